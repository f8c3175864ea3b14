import { Peer } from "./peer";
import type { Token } from "./token";

/** Bit rates are in bits per second. */
export interface PublisherOptions {
  /** Largest video bit rate. The stage takes up to 8.5 Mb/s; 1.5 Mb/s is plenty for 720p of people. Without layers only. */
  maxBitrate?: number;
  /** Frames per second. Without layers only. */
  maxFramerate?: number;
  /** Simulcast layers, each with a rid and at most three, largest first. */
  layers?: readonly RTCRtpEncodingParameters[];
  maxAudioBitrate?: number;
  stereo?: boolean;
}

type Kind = "audio" | "video";

/**
 * Publishes the tracks of a stream to the token's stage over WHIP. At most one video and one audio track;
 * video is always offered, for a stage refuses an offer without H.264 even when only sound is sent.
 */
export class Publisher extends Peer {
  readonly #stream: MediaStream;

  constructor(token: Token, stream: MediaStream, options: PublisherOptions = {}) {
    const maxBitrate = options.maxBitrate ?? 1_500_000;
    const encodings = options.layers ?? [{ maxBitrate, maxFramerate: options.maxFramerate ?? 30 }];
    super({
      url: token.whipURL,
      token: token.raw,
      prepare: (pc) => {
        const [audio] = stream.getAudioTracks();
        const [video] = stream.getVideoTracks();
        pc.addTransceiver(audio ?? "audio", {
          direction: "sendonly",
          streams: [stream],
          sendEncodings: options.maxAudioBitrate === undefined ? [] : [{ maxBitrate: options.maxAudioBitrate }],
        });
        const sender = pc.addTransceiver(video ?? "video", {
          direction: "sendonly",
          streams: [stream],
          sendEncodings: encodings.map((e) => ({ ...e })),
        });
        sender.setCodecPreferences(h264First(RTCRtpSender.getCapabilities("video")?.codecs ?? []));
        this.emit("made", pc);
      },
      propose: repairSound,
      amend: (answer) => {
        const started = startAt(answer, encodings.reduce((sum, e) => sum + (e.maxBitrate ?? 0), 0) / 2);
        return options.stereo ? inStereo(started) : started;
      },
    });
    this.#stream = stream;
  }

  /** What sends one kind, with its statistics. It changes with every reconnect; undefined while there is no connection. */
  sender(kind: Kind): RTCRtpSender | undefined {
    return this.connection?.getTransceivers().find((t) => t.receiver.track.kind === kind)?.sender;
  }

  /** What is sent of one kind. */
  track(kind: Kind): MediaStreamTrack | undefined {
    return this.#stream.getTracks().find((t) => t.kind === kind);
  }

  /** Sends another track in place of the present one of its kind, or none, on the same connection. */
  async replace(kind: Kind, track: MediaStreamTrack | undefined): Promise<void> {
    for (const old of this.#stream.getTracks()) if (old.kind === kind) this.#stream.removeTrack(old);
    if (track) this.#stream.addTrack(track);
    await this.sender(kind)?.replaceTrack(track ?? null);
  }

  /** Stops or resumes sending what the camera or the microphone takes; the track goes on as black or silence. */
  setMuted(kind: Kind, muted: boolean): void {
    for (const track of this.#stream.getTracks()) {
      if (track.kind === kind) track.enabled = !muted;
    }
  }
}

/**
 * Orders codecs for a stage: H.264 that may split pictures over packets (packetization-mode 1) first,
 * constrained baseline (42e01f) before the rest, then all others in the browser's order.
 */
export function h264First<Codec extends { mimeType: string; sdpFmtpLine?: string }>(codecs: readonly Codec[]): Codec[] {
  const rank = (codec: Codec): number => {
    if (codec.mimeType.toLowerCase() !== "video/h264") return 3;
    const fmtp = codec.sdpFmtpLine ?? "";
    if (!fmtp.includes("packetization-mode=1")) return 2;
    return fmtp.toLowerCase().includes("profile-level-id=42e0") ? 0 : 1;
  };
  return codecs
    .map((codec, index) => ({ codec, index }))
    .sort((a, b) => rank(a.codec) - rank(b.codec) || a.index - b.index)
    .map(({ codec }) => codec);
}

/**
 * Has Chromium begin at a bit rate (in bits per second) rather than at 300 kb/s, which makes it shrink the picture for
 * the first seconds: the composite would show a blur. The estimate goes on from there; other browsers ignore it.
 */
export function startAt(answer: string, bitrate: number): string {
  return answer.replace(
    /^(a=fmtp:\d+ (?=.*packetization-mode=)[^\r\n]*)/gm,
    `$1;x-google-start-bitrate=${Math.round(bitrate / 1000)}`,
  );
}

/** Offers to send lost packets of Opus again, which Chromium does when asked but does not offer by itself. */
export function repairSound(offer: string): string {
  return offer.replace(/^a=rtpmap:(\d+) opus\/48000\/2$/gim, (line, opus: string) =>
    new RegExp(`^a=rtcp-fb:${opus} nack\r?$`, "m").test(offer) ? line : `${line}\r\na=rtcp-fb:${opus} nack`,
  );
}

/** Has Opus sent in stereo, which senders do only where the receiver asks for it (RFC 7587, section 7). */
export function inStereo(answer: string): string {
  const opus = /^a=rtpmap:(\d+) opus\//im.exec(answer)?.[1];
  if (opus === undefined) return answer;
  const fmtp = new RegExp(`^a=fmtp:${opus} [^\\r\\n]*`, "m");
  return fmtp.test(answer)
    ? answer.replace(fmtp, (line) => `${line};stereo=1`)
    : answer.replace(new RegExp(`^a=rtpmap:${opus} [^\\r\\n]*`, "m"), (line) => `${line}\r\na=fmtp:${opus} stereo=1`);
}
