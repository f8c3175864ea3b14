import type { Participant, Subscriber } from "../client";
import { delay } from "../client/wait";
import { StageParticipantSubscribeState as SubscribeState } from "./enums";
import { type StageError, StageErrorCategory, stageError } from "./errors";
import type { SEIMessage } from "./sei";
import { RemoteStageStream } from "./streams";
import { canTransform, transformReceiver } from "./transform";

/** What a subscription tells its stage. */
export interface SubscriptionEvents {
  added(streams: RemoteStageStream[]): void;
  removed(streams: RemoteStageStream[]): void;
  muted(stream: RemoteStageStream): void;
  state(state: SubscribeState): void;
  message(message: SEIMessage): void;
  error(error: StageError): void;
}

const pollEvery = 50; // ms
/** How long one kind that came waits for the other, in ms, so that both are told together. */
const together = 300;

/**
 * One participant whom we receive: turns the tracks of a subscriber into streams. A stream is told of when media
 * of its kind arrives, for the connection has both kinds whatever the publisher sends.
 */
export class Subscription {
  #streams: RemoteStageStream[] = [];
  #state: SubscribeState = SubscribeState.NOT_SUBSCRIBED;
  #listening: AbortController | undefined;

  constructor(
    readonly subscriber: Subscriber,
    private participant: Participant,
    inBand: boolean,
    readonly events: SubscriptionEvents,
  ) {
    subscriber.on("made", (pc) => {
      const video = pc.getTransceivers().find((t) => t.receiver.track.kind === "video");
      if (inBand && video && canTransform()) transformReceiver(video.receiver, events.message);
    });
    subscriber.on("state", (state) => {
      if (state !== "connected") this.#clear();
      switch (state) {
        case "connected":
          this.#become(SubscribeState.SUBSCRIBED);
          this.#listening = new AbortController();
          void this.#listen(this.#listening.signal);
          break;
        case "failed":
          this.#become(SubscribeState.ERRORED);
          break;
        case "closed":
          this.#become(SubscribeState.NOT_SUBSCRIBED);
          break;
        default:
          this.#become(SubscribeState.ATTEMPTING_SUBSCRIBE);
      }
    });
    subscriber.on("error", (error) => {
      if (error.final) events.error(stageError(error, StageErrorCategory.SUBSCRIBE_ERROR, subscriber.participantId));
    });
  }

  /** Takes over what the stage says of the participant. */
  update(participant: Participant): void {
    this.participant = participant;
    for (const stream of this.#streams) {
      if (stream.tellMuted(this.#muted(stream.mediaStreamTrack))) this.events.muted(stream);
    }
  }

  #muted(track: MediaStreamTrack): boolean {
    return track.kind === "audio" ? this.participant.audioMuted : this.participant.videoStopped;
  }

  /** Looks for media of each kind until all of it is there. */
  async #listen(signal: AbortSignal): Promise<void> {
    const waiting = new Set(this.subscriber.stream.getTracks());
    const arrived: MediaStreamTrack[] = [];
    let since = 0;
    while (waiting.size > 0 || arrived.length > 0) {
      for (const track of waiting) {
        if (!(await flows(this.subscriber.receiver(track.kind as "audio" | "video")))) continue;
        waiting.delete(track);
        since ||= performance.now();
        arrived.push(track);
      }
      if (signal.aborted) return;
      if (arrived.length > 0 && (waiting.size === 0 || performance.now() - since > together)) {
        this.#add(arrived.splice(0));
      }
      if (waiting.size > 0 || arrived.length > 0) await delay(pollEvery, signal);
      if (signal.aborted) return;
    }
  }

  #add(tracks: readonly MediaStreamTrack[]): void {
    const streams = tracks.map(
      (track) =>
        new RemoteStageStream(track, this.#muted(track), async () =>
          this.subscriber.receiver(track.kind as "audio" | "video")?.getStats(),
        ),
    );
    this.#streams.push(...streams);
    this.events.added(streams);
  }

  #clear(): void {
    this.#listening?.abort();
    const gone = this.#streams;
    this.#streams = [];
    if (gone.length > 0) this.events.removed(gone);
  }

  #become(state: SubscribeState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.events.state(state);
  }
}

async function flows(receiver: RTCRtpReceiver | undefined): Promise<boolean> {
  let packets = 0;
  (await receiver?.getStats())?.forEach((report: { type: string; packetsReceived?: number }) => {
    if (report.type === "inbound-rtp") packets += report.packetsReceived ?? 0;
  });
  return packets > 0;
}
