import { type PatternSize, drawPattern, flashLength, toneOf } from "./pattern";

/** What to publish, and how to stop making it. */
export interface Source {
  readonly stream: MediaStream;
  stop(): void;
}

export type Quality = "360" | "540" | "720";

/** Sizes that a stage takes, and the bit rate that each is worth. */
export const qualities: Record<Quality, PatternSize & { bitrate: number }> = {
  "360": { width: 640, height: 360, bitrate: 800_000 },
  "540": { width: 960, height: 540, bitrate: 1_300_000 },
  "720": { width: 1280, height: 720, bitrate: 2_200_000 },
};

const frameRate = 30;

/** Opens camera and microphone; an empty device id means the browser's choice, "none" leaves that one out. */
export async function openDevices(cameraId: string, microphoneId: string, quality: Quality): Promise<Source> {
  const { width, height } = qualities[quality];
  const stream = await navigator.mediaDevices.getUserMedia({
    video: cameraId !== "none" && {
      width: { ideal: width },
      height: { ideal: height },
      frameRate: { ideal: frameRate, max: frameRate },
      ...(cameraId === "" ? {} : { deviceId: { exact: cameraId } }),
    },
    audio: microphoneId !== "none" && {
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
      ...(microphoneId === "" ? {} : { deviceId: { exact: microphoneId } }),
    },
  });
  for (const track of stream.getVideoTracks()) track.contentHint = "motion";
  return { stream, stop: () => stream.getTracks().forEach((track) => track.stop()) };
}

/** Makes the test pattern: a picture with the name and a clock, a soft tone, and a flash with a beep each second. */
export function openPattern(name: string, quality: Quality): Source {
  const size = qualities[quality];
  const video = "MediaStreamTrackGenerator" in window ? patternFromWorker(name, size) : patternFromCanvas(name, size);
  const audio = tone(name);
  video.track.contentHint = "motion";
  return {
    stream: new MediaStream([video.track, audio.track]),
    stop: () => {
      video.stop();
      audio.stop();
    },
  };
}

/** Chromium's track that is fed with frames (MediaStreamTrack Insertable Streams); not in TypeScript's DOM library. */
declare const MediaStreamTrackGenerator: new (init: { kind: "video" }) => MediaStreamTrack & {
  readonly writable: WritableStream<VideoFrame>;
};

function patternFromWorker(name: string, size: PatternSize): { track: MediaStreamTrack; stop(): void } {
  const track = new MediaStreamTrackGenerator({ kind: "video" });
  const script = document.querySelector<HTMLMetaElement>("meta[name=pattern-worker]")!.content;
  const worker = new Worker(script);
  const { width, height } = size;
  worker.postMessage({ width, height, name, frameRate, frames: track.writable }, [track.writable]);
  return {
    track,
    stop: () => {
      track.stop();
      worker.terminate();
    },
  };
}

function patternFromCanvas(name: string, size: PatternSize): { track: MediaStreamTrack; stop(): void } {
  const canvas = document.createElement("canvas");
  canvas.width = size.width;
  canvas.height = size.height;
  const context = canvas.getContext("2d", { alpha: false })!;
  const draw = () => drawPattern(context, size, name, Date.now());
  draw();
  const timer = setInterval(draw, 1000 / frameRate);
  const track = canvas.captureStream(frameRate).getVideoTracks()[0]!;
  return {
    track,
    stop: () => {
      clearInterval(timer);
      track.stop();
    },
  };
}

/** A tone at -34 dB and, at each full second of the wall clock, a beep at -14 dB. */
function tone(name: string): { track: MediaStreamTrack; stop(): void } {
  const audio = new AudioContext({ sampleRate: 48000, latencyHint: "interactive" });
  const out = audio.createMediaStreamDestination();
  const voice = (frequency: number, level: number): GainNode => {
    const oscillator = new OscillatorNode(audio, { frequency });
    const gain = new GainNode(audio, { gain: level });
    oscillator.connect(gain).connect(out);
    oscillator.start();
    return gain;
  };
  voice(toneOf(name), 0.02);
  const beep = voice(toneOf(name) * 4, 0).gain;

  // Beeps are put on the audio clock ahead of time; twice a second looks for the next full one.
  let next = 0;
  const schedule = () => {
    const second = Math.ceil((Date.now() + 50) / 1000);
    if (second <= next) return;
    next = second;
    const at = audio.currentTime + (second * 1000 - Date.now()) / 1000;
    beep.setValueAtTime(0.2, at);
    beep.setValueAtTime(0, at + flashLength / 1000);
  };
  const timer = setInterval(schedule, 500);
  void audio.resume();
  return {
    track: out.stream.getAudioTracks()[0]!,
    stop: () => {
      clearInterval(timer);
      void audio.close();
    },
  };
}
