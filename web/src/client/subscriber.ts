import { Peer } from "./peer";
import type { Token } from "./token";

export interface SubscriberOptions {
  /** Take the sound and leave the picture. */
  audioOnly?: boolean;
}

/** Receives one remote participant. The tracks in `stream` change with every reconnect. */
export class Subscriber extends Peer {
  /** What to play: stays the same object, so that an element can keep it as srcObject. */
  readonly stream: MediaStream;
  readonly audioOnly: boolean;

  constructor(
    token: Token,
    readonly participantId: string,
    { audioOnly = false }: SubscriberOptions = {},
  ) {
    const stream = new MediaStream();
    super({
      url: `${token.whipURL}/subscribe/${encodeURIComponent(participantId)}`,
      token: token.raw,
      prepare: (pc) => {
        for (const old of stream.getTracks()) stream.removeTrack(old);
        pc.addTransceiver("audio", { direction: "recvonly" });
        if (!audioOnly) pc.addTransceiver("video", { direction: "recvonly" });
        pc.ontrack = ({ track }) => stream.addTrack(track);
        this.emit("made", pc);
      },
    });
    this.stream = stream;
    this.audioOnly = audioOnly;
  }

  receiver(kind: "audio" | "video"): RTCRtpReceiver | undefined {
    return this.connection?.getReceivers().find((r) => r.track.kind === kind);
  }

  /** How loud the participant is now, 0 to 1, linear. */
  async audioLevel(): Promise<number> {
    let level = 0;
    (await this.receiver("audio")?.getStats())?.forEach((report: { type: string; audioLevel?: number }) => {
      if (report.type === "inbound-rtp") level = report.audioLevel ?? 0;
    });
    return level;
  }
}
