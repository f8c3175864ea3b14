import type { PublisherOptions, Room } from "../client";
import { StageParticipantPublishState as PublishState, StreamType } from "./enums";
import { StageErrorCategory, StageErrorCode, StageError, stageError } from "./errors";
import { publisherOptions } from "./sending";
import type { LocalStageStream, Outlet } from "./streams";
import { canTransform, transformSender } from "./transform";

/** What a publication tells its stage. */
export interface PublicationEvents {
  added(streams: LocalStageStream[]): void;
  removed(streams: LocalStageStream[]): void;
  muted(stream: LocalStageStream): void;
  state(state: PublishState): void;
  error(error: StageError): void;
}

/** Our side of a stay: keeps the room's publisher in line with the streams that the app wants to send. */
export class Publication implements Outlet {
  #streams: readonly LocalStageStream[] = [];
  #way = ""; // how they are sent, to tell whether the connection can stay
  #state: PublishState = PublishState.NOT_PUBLISHED;
  #messages: MessagePort | undefined;

  constructor(
    readonly room: Room,
    readonly events: PublicationEvents,
  ) {
    room.on("publisher", (publisher) => {
      publisher.on("made", () => this.#transform());
      publisher.on("state", (state) => {
        if (publisher !== this.room.publisher) return;
        if (state === "connected") this.#become(PublishState.PUBLISHED);
        else if (state === "failed") this.#become(PublishState.ERRORED);
        else this.#become(PublishState.ATTEMPTING_PUBLISH);
      });
    });
    room.on("publishError", (error) => this.events.error(stageError(error, StageErrorCategory.PUBLISH_ERROR)));
  }

  /** Publishes these streams from now on: none, one, or one of each kind. */
  show(wanted: readonly LocalStageStream[]): void {
    for (const type of Object.values(StreamType)) {
      if (wanted.filter((s) => s.streamType === type).length > 1) {
        const message = `a participant publishes one ${type} stream: join with a second token for another one`;
        throw new StageError(StageErrorCode.FAILED, StageErrorCategory.PUBLISH_ERROR, message);
      }
    }
    const before = this.#streams;
    const removed = before.filter((s) => !wanted.includes(s));
    const added = wanted.filter((s) => !before.includes(s));
    // A failed publisher is tried again when the app says what it wants anew.
    const failed = this.#state === PublishState.ERRORED && wanted.length > 0;
    if (removed.length === 0 && added.length === 0 && !failed) return;
    this.#streams = [...wanted];
    for (const stream of removed) if (stream.outlet === this) stream.outlet = undefined;
    for (const stream of added) stream.outlet = this;
    if (removed.length > 0) this.events.removed(removed);
    this.#send(before.length > 0 && !failed, [...removed, ...added]);
    this.#tellMuted();
    if (added.length > 0) this.events.added(added);
  }

  #send(running: boolean, changed: readonly LocalStageStream[]): void {
    if (this.#streams.length === 0) {
      this.room.publish(undefined);
      this.#become(PublishState.NOT_PUBLISHED);
      return;
    }
    const options: PublisherOptions = publisherOptions(this.#streams);
    const way = JSON.stringify([options, this.#inBand]);
    const publisher = this.room.publisher;
    if (running && publisher && way === this.#way) {
      for (const kind of new Set(changed.map((s) => s.streamType))) {
        void publisher.replace(kind, this.#stream(kind)?.mediaStreamTrack);
      }
      return;
    }
    this.#way = way;
    this.room.publish(new MediaStream(this.#streams.map((s) => s.mediaStreamTrack)), options);
  }

  #stream(kind: StreamType): LocalStageStream | undefined {
    return this.#streams.find((s) => s.streamType === kind);
  }

  get #inBand(): boolean {
    return this.#stream(StreamType.VIDEO)?.config.inBandMessaging?.enabled ?? false;
  }

  #transform(): void {
    const sender = this.room.publisher?.sender("video");
    this.#messages = this.#inBand && canTransform() && sender ? transformSender(sender) : undefined;
  }

  /** What we do not send is as if it were muted. */
  #tellMuted(): void {
    for (const kind of Object.values(StreamType)) {
      const muted = this.#stream(kind)?.isMuted ?? true;
      if (this.#streams.length > 0 && muted !== this.room.muted[kind]) this.room.setMuted(kind, muted);
    }
  }

  #become(state: PublishState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.events.state(state);
  }

  muted(stream: LocalStageStream): void {
    this.#tellMuted();
    this.events.muted(stream);
  }

  async stats(stream: LocalStageStream): Promise<RTCStatsReport | undefined> {
    return this.room.publisher?.sender(stream.streamType)?.getStats();
  }

  message(payload: Uint8Array, repeat: number): void {
    if (!canTransform()) throw new Error("this browser does not let pages write into encoded pictures (RTCRtpScriptTransform)");
    if (!this.#messages) throw new Error("the stream is not published yet");
    this.#messages.postMessage({ payload, repeat });
  }
}
