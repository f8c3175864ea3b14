import Hls from "hls.js";
import { Emitter } from "../client/emitter";
import { delay } from "../client/wait";
import { pace } from "./pace";
import { type Availability, probe } from "./probe";

/** idle → checking → playing ⇄ (reconnecting | offline | ended | refused), in any order as the channel comes and goes. */
export type PlayerState = "idle" | "checking" | "playing" | "reconnecting" | "offline" | "ended" | "refused";

/** Numbers for people and tests; undefined where the engine cannot tell. Times in seconds. */
export interface Measures {
  /** Behind the newest media that the server has. */
  live: number | undefined;
  /** Since the picture was stamped by the server (EXT-X-PROGRAM-DATE-TIME against this machine's clock). */
  clock: number | undefined;
  /** Where playback aims to be behind live. */
  target: number | undefined;
  buffer: number;
  /** Bits per second of the stream as announced. */
  bitrate: number | undefined;
}

type Outcome = "ended" | "lost";

const pollFirst = 1000;
const pollLast = 4000;
const steerEvery = 200;

/**
 * Plays one address for as long as the page is open: an async loop (run) owns it, asks whether the channel is live,
 * plays until the stream ends or is lost, and asks again. The engine is hls.js, or the browser's own HLS.
 */
export class Player extends Emitter<{ state: PlayerState }> {
  hls: Hls | undefined;
  #state: PlayerState = "idle";
  #life = new AbortController();

  constructor(
    readonly video: HTMLVideoElement,
    readonly url: string,
    readonly native: boolean,
  ) {
    super();
  }

  get state(): PlayerState {
    return this.#state;
  }

  /** Plays from now on. Call once. */
  start(): void {
    void this.#run();
  }

  close(): void {
    this.#life.abort();
  }

  measures(): Measures {
    const { hls, video } = this;
    const { buffered, currentTime } = video;
    const playing = this.#state === "playing";
    const date = hls?.playingDate ?? nativeDate(video);
    return {
      live: playing && hls?.latency ? hls.latency : undefined,
      clock: playing && date ? (Date.now() - date.getTime()) / 1000 : undefined,
      target: hls?.targetLatency ?? undefined,
      buffer: buffered.length > 0 ? Math.max(0, buffered.end(buffered.length - 1) - currentTime) : 0,
      bitrate: hls?.levels[Math.max(0, hls.currentLevel)]?.bitrate,
    };
  }

  /** Jumps to where the server wants low-latency players to be, and plays. */
  toEdge(): void {
    const { hls, video } = this;
    const edge = hls ? hls.liveSyncPosition : video.seekable.length > 0 ? video.seekable.end(video.seekable.length - 1) : null;
    if (edge !== null) video.currentTime = edge;
    void video.play().catch(() => undefined);
  }

  async #run(): Promise<void> {
    const signal = this.#life.signal;
    this.#become("checking");
    for (let wait = pollFirst; !signal.aborted; ) {
      const found = await probe(this.url, signal);
      if (signal.aborted) return;
      if (found === "live") {
        const outcome = this.native ? await this.#playNative(signal) : await this.#playHls(signal);
        wait = pollFirst;
        this.#become(outcome === "ended" ? "ended" : "reconnecting");
      } else {
        this.#become(stateOf(found, this.#state));
      }
      await delay(wait, signal);
      wait = Math.min(wait * 1.5, pollLast);
    }
  }

  #playHls(signal: AbortSignal): Promise<Outcome> {
    const { video } = this;
    const hls = new Hls({
      lowLatencyMode: true,
      // fMP4 passes through without transmuxing: a worker would only add a hop, and a blob: to the page's policy.
      enableWorker: false,
      backBufferLength: 20,
      // After a stall stay a little further back, not a whole second.
      liveSyncOnStallIncrease: 0.25,
      startFragPrefetch: true,
    });
    this.hls = hls;
    let recovered = -Infinity;
    let steering: ReturnType<typeof setInterval> | undefined;
    return new Promise<Outcome>((resolve) => {
      hls.on(Hls.Events.MANIFEST_PARSED, () => void video.play().catch(() => undefined));
      hls.on(Hls.Events.ERROR, (_, { fatal, type }) => {
        if (!fatal) return;
        if (type === Hls.ErrorTypes.MEDIA_ERROR && performance.now() - recovered > 5000) {
          recovered = performance.now();
          hls.recoverMediaError();
        } else {
          resolve("lost");
        }
      });
      video.onplaying = () => this.#become("playing");
      video.onended = () => resolve("ended");
      signal.addEventListener("abort", () => resolve("lost"), { once: true });
      steering = setInterval(() => {
        this.#steer(hls);
        if (this.#drained(hls)) resolve("ended");
      }, steerEvery);
      hls.loadSource(this.url);
      hls.attachMedia(video);
    }).finally(() => {
      clearInterval(steering);
      video.onplaying = video.onended = null;
      video.playbackRate = 1;
      this.hls = undefined;
      hls.destroy();
    });
  }

  #steer(hls: Hls): void {
    const { video } = this;
    const { targetLatency, latency } = hls;
    if (video.paused || video.seeking || targetLatency === null || latency === 0 || !hls.latestLevelDetails?.live) return;
    const rate = pace({ latency, target: targetLatency, buffer: this.measures().buffer, rate: video.playbackRate });
    if (rate === "jump") this.toEdge();
    else if (video.playbackRate !== rate) video.playbackRate = rate;
  }

  /**
   * Whether a finished stream has played out. hls.js 1.6 forgets the last part when its playlist, which is also the
   * first with EXT-X-ENDLIST, comes after all others were loaded: the element then waits for it and never ends.
   */
  #drained(hls: Hls): boolean {
    const details = hls.latestLevelDetails;
    const { video } = this;
    if (!details || details.live || video.paused || video.seeking) return false;
    const left = details.edge - video.currentTime;
    return left < 2 * (details.partTarget || 0.5) && video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA;
  }

  #playNative(signal: AbortSignal): Promise<Outcome> {
    const { video } = this;
    return new Promise<Outcome>((resolve) => {
      video.onplaying = () => this.#become("playing");
      video.onended = () => resolve("ended");
      video.onerror = () => resolve("lost");
      signal.addEventListener("abort", () => resolve("lost"), { once: true });
      video.src = this.url;
      void video.play().catch(() => undefined);
    }).finally(() => {
      video.onplaying = video.onended = video.onerror = null;
      video.removeAttribute("src");
      video.load();
    });
  }

  #become(state: PlayerState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.emit("state", state);
  }
}

/** hls.js wherever Media Source Extensions are; the browser's own HLS elsewhere, or when asked for. */
export function needsNative(): boolean {
  return !Hls.isSupported();
}

function stateOf(found: Exclude<Availability, "live">, before: PlayerState): PlayerState {
  // A channel whose stream is over soon has nothing to play at all; people want to know that it was the end.
  if (found === "offline" && before === "ended") return "ended";
  if (found !== "away") return found;
  return before === "checking" ? "offline" : "reconnecting";
}

/** Safari's clock of a native HLS stream. */
function nativeDate(video: HTMLVideoElement): Date | undefined {
  const start = (video as { getStartDate?: () => Date }).getStartDate?.();
  if (!start || Number.isNaN(start.getTime())) return undefined;
  return new Date(start.getTime() + video.currentTime * 1000);
}
