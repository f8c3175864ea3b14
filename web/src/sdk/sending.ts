import type { PublisherOptions } from "../client";
import { suited } from "./layers";
import type { LocalStageStream } from "./streams";

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
