import type { PublisherOptions } from "../client";
import type { LocalStageStream } from "./streams";

/** One layer of a simulcast publisher: the longer side of its picture is `width` for landscape. */
export interface Layer {
  width: number;
  height: number;
  maxBitrateKbps: number;
  maxFramerate: number;
}

/** Layers to build configurations from. */
export const SimulcastLayers = {
  DEFAULT_720: { width: 1280, height: 720, maxBitrateKbps: 1700, maxFramerate: 30 },
  DEFAULT_540: { width: 960, height: 540, maxBitrateKbps: 1000, maxFramerate: 30 },
  DEFAULT_360: { width: 640, height: 360, maxBitrateKbps: 700, maxFramerate: 20 },
  DEFAULT_180: { width: 320, height: 180, maxBitrateKbps: 200, maxFramerate: 15 },
} as const satisfies Record<string, Layer>;

/** The longest side that a stage takes, and what it costs at most. */
const largest = 1280;
const maxVideoBitrate = 2500;

/** How the streams are sent, for the publisher below. */
export function publisherOptions(streams: readonly LocalStageStream[]): PublisherOptions {
  const audio = streams.find((s) => s.streamType === "audio")?.config ?? {};
  const video = streams.find((s) => s.streamType === "video");
  const options: PublisherOptions = {
    maxBitrate: Math.min(video?.config.maxVideoBitrateKbps ?? maxVideoBitrate, 8500) * 1000,
    maxFramerate: video?.config.maxFramerate ?? 30,
    stereo: audio.stereo ?? false,
  };
  if (audio.maxAudioBitrateKbps !== undefined) options.maxAudioBitrate = audio.maxAudioBitrateKbps * 1000;
  if (video?.config.simulcast?.enabled) options.layers = encodings(video);
  return options;
}

/** Layers as encodings, largest first. The browser scales down only: a layer larger than the picture is sent as it is. */
function encodings(stream: LocalStageStream): RTCRtpEncodingParameters[] {
  const { width = largest, height = 720 } = stream.mediaStreamTrack.getSettings();
  const short = Math.min(width, height);
  const layers = stream.config.simulcast?.layers ?? suited(short);
  return [...layers]
    .sort((a, b) => b.height - a.height)
    .slice(0, 3)
    .map((layer, i, all) => ({
      rid: all.length === 1 ? "hi" : ["hi", "mid", "low"].at(i === all.length - 1 ? -1 : i)!,
      maxBitrate: layer.maxBitrateKbps * 1000,
      maxFramerate: Math.min(layer.maxFramerate, stream.config.maxFramerate ?? 60),
      scaleResolutionDownBy: Math.max(1, short / Math.min(layer.width, layer.height)),
    }));
}

/** The default layers of a picture, by its shorter side. */
function suited(short: number): readonly Layer[] {
  const { DEFAULT_720, DEFAULT_540, DEFAULT_360, DEFAULT_180 } = SimulcastLayers;
  if (short >= 720) return [DEFAULT_720, DEFAULT_360, DEFAULT_180];
  if (short >= 540) return [DEFAULT_540, DEFAULT_180];
  if (short >= 360) return [DEFAULT_360, DEFAULT_180];
  return [{ ...DEFAULT_180, maxBitrateKbps: 400, maxFramerate: 30 }];
}
