import { Peer } from "./peer";
import type { Token } from "./token";

/** Receives one remote participant. The tracks in `stream` change with every reconnect. */
export class Subscriber extends Peer {
  /** What to play: stays the same object, so that an element can keep it as srcObject. */
  readonly stream: MediaStream;

  constructor(
    token: Token,
    readonly participantId: string,
  ) {
    const stream = new MediaStream();
    super({
      url: `${token.whipURL}/subscribe/${encodeURIComponent(participantId)}`,
      token: token.raw,
      prepare: (pc) => {
        for (const old of stream.getTracks()) stream.removeTrack(old);
        pc.addTransceiver("audio", { direction: "recvonly" });
        pc.addTransceiver("video", { direction: "recvonly" });
        pc.ontrack = ({ track }) => stream.addTrack(track);
      },
    });
    this.stream = stream;
  }

  /** How loud the participant is now, 0 to 1, linear. */
  async audioLevel(): Promise<number> {
    const receiver = this.connection?.getReceivers().find((r) => r.track.kind === "audio");
    let level = 0;
    (await receiver?.getStats())?.forEach((report: { type: string; audioLevel?: number }) => {
      if (report.type === "inbound-rtp") level = report.audioLevel ?? 0;
    });
    return level;
  }
}
