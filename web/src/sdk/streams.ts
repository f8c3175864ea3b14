import { type StreamType, StreamType as streamTypes } from "./enums";
import type { Layer } from "./layers";

/** A track on the stage, ours or somebody else's. */
export interface StageStream {
  readonly id: string;
  readonly mediaStreamTrack: MediaStreamTrack;
  readonly streamType: StreamType;
  readonly isMuted: boolean;
  /** The browser's statistics of the connection's part that carries this track; undefined while there is none. */
  getStats(): Promise<RTCStatsReport | undefined>;
  requestRTCStats(): Promise<RTCStatsReport | undefined>;
}

export interface SimulcastConfiguration {
  enabled: boolean;
  /** Default: the layers that suit the height of the picture, see SimulcastLayers. */
  layers?: readonly Layer[];
}

/** How a track is sent. Bit rates are in kilobits per second. */
export interface LocalStageStreamConfiguration {
  maxVideoBitrateKbps?: number;
  /** Frames per second. */
  maxFramerate?: number;
  simulcast?: SimulcastConfiguration;
  maxAudioBitrateKbps?: number;
  stereo?: boolean;
  /** SEI messages in the pictures, see insertSeiMessage. */
  inBandMessaging?: { enabled: boolean };
}

export interface SEIOptions {
  /** How many further pictures carry the message, for receivers that lose some: 0 to 30. */
  repeatCount?: number;
}

/** What the stage does with a local stream while it is published. */
export interface Outlet {
  muted(stream: LocalStageStream): void;
  stats(stream: LocalStageStream): Promise<RTCStatsReport | undefined>;
  message(payload: Uint8Array, repeat: number): void;
}

const longestMessage = 1023;
const bytesPerSecond = 10_000;

/** A track of ours to be published. The same stream may be handed to a stage again and again. */
export class LocalStageStream implements StageStream {
  readonly streamType: StreamType;
  /** Of the stage that publishes this stream. Not for apps. */
  outlet: Outlet | undefined;
  #sent: { at: number; bytes: number }[] = [];

  constructor(
    readonly mediaStreamTrack: MediaStreamTrack,
    readonly config: LocalStageStreamConfiguration = {},
  ) {
    this.streamType = typeOf(mediaStreamTrack);
  }

  get id(): string {
    return this.mediaStreamTrack.id;
  }

  get isMuted(): boolean {
    return !this.mediaStreamTrack.enabled;
  }

  /** The track goes on as silence or black, and the others are told. */
  setMuted(muted: boolean): void {
    if (muted === this.isMuted) return;
    this.mediaStreamTrack.enabled = !muted;
    this.outlet?.muted(this);
  }

  async getStats(): Promise<RTCStatsReport | undefined> {
    return this.outlet?.stats(this);
  }

  requestRTCStats(): Promise<RTCStatsReport | undefined> {
    return this.getStats();
  }

  /**
   * Sends up to 1 KB of data within the next picture, to arrive with it. Throws where the stream was not made with
   * inBandMessaging, the browser has no encoded transforms, or more than 10 KB go out within a second.
   */
  insertSeiMessage(payload: ArrayBuffer | Uint8Array, { repeatCount = 0 }: SEIOptions = {}): void {
    if (this.streamType !== streamTypes.VIDEO) throw new TypeError("SEI messages go with pictures: this is an audio stream");
    if (!this.config.inBandMessaging?.enabled) {
      throw new TypeError("make the stream with { inBandMessaging: { enabled: true } } to send SEI messages");
    }
    const bytes = new Uint8Array(payload);
    if (bytes.length === 0 || bytes.length > longestMessage) {
      throw new RangeError(`an SEI message has 1 to ${longestMessage} bytes, not ${bytes.length}`);
    }
    if (!Number.isInteger(repeatCount) || repeatCount < 0 || repeatCount > 30) {
      throw new RangeError(`repeatCount is 0 to 30, not ${repeatCount}`);
    }
    const now = performance.now();
    this.#sent = this.#sent.filter(({ at }) => now - at < 1000);
    const cost = bytes.length * (repeatCount + 1);
    if (this.#sent.reduce((sum, { bytes }) => sum + bytes, cost) > bytesPerSecond) {
      throw new RangeError(`more than ${bytesPerSecond} bytes of SEI messages within a second, repeats included`);
    }
    if (!this.outlet) throw new Error("the stream is not published");
    this.#sent.push({ at: now, bytes: cost });
    this.outlet.message(bytes, repeatCount);
  }
}

/** A track of somebody else. */
export class RemoteStageStream implements StageStream {
  readonly streamType: StreamType;
  #muted: boolean;

  constructor(
    readonly mediaStreamTrack: MediaStreamTrack,
    muted: boolean,
    private readonly stats: () => Promise<RTCStatsReport | undefined>,
  ) {
    this.streamType = typeOf(mediaStreamTrack);
    this.#muted = muted;
  }

  get id(): string {
    return this.mediaStreamTrack.id;
  }

  /** What the publisher says of it. */
  get isMuted(): boolean {
    return this.#muted;
  }

  /** Takes over what the stage says; tells whether that is new. Not for apps. */
  tellMuted(muted: boolean): boolean {
    const news = muted !== this.#muted;
    this.#muted = muted;
    return news;
  }

  getStats(): Promise<RTCStatsReport | undefined> {
    return this.stats();
  }

  requestRTCStats(): Promise<RTCStatsReport | undefined> {
    return this.stats();
  }
}

function typeOf(track: MediaStreamTrack): StreamType {
  return track.kind === "audio" ? streamTypes.AUDIO : streamTypes.VIDEO;
}
