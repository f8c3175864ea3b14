import Hls from "hls.js";
import { Emitter } from "../client/emitter";
import { delay } from "../client/wait";
import { Engine, type Outcome, bufferEnd } from "./engine";
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

const pollFirst = 1000;
const pollLast = 4000;

/**
 * Plays one address for as long as the page is open: an async loop (run) owns it, asks whether the channel is live,
 * plays until the stream ends or is lost, and asks again. The engine is hls.js, or the browser's own HLS.
 */
export class Player extends Emitter<{ state: PlayerState }> {
  #engine: Engine | undefined;
  #state: PlayerState = "idle";
  #reason = "";
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

  /** Why the server refused last, in its words; may be empty. */
  get reason(): string {
    return this.#reason;
  }

  /** The present engine's hls.js; undefined between streams, and with the browser's own HLS. */
  get hls(): Hls | undefined {
    return this.#engine?.hls;
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
    const playing = this.#state === "playing";
    const date = hls?.playingDate ?? nativeDate(video);
    return {
      live: playing && hls?.latency ? hls.latency : undefined,
      clock: playing && date ? (Date.now() - date.getTime()) / 1000 : undefined,
      target: hls?.targetLatency ?? undefined,
      buffer: Math.max(0, bufferEnd(video) - video.currentTime),
      bitrate: hls?.levels[Math.max(0, hls.currentLevel)]?.bitrate,
    };
  }

  /** Jumps to where the server wants low-latency players to be, and plays. */
  toEdge(): void {
    const { video } = this;
    if (this.#engine) this.#engine.toEdge();
    else if (video.seekable.length > 0) video.currentTime = video.seekable.end(video.seekable.length - 1);
    void video.play().catch(() => undefined);
  }

  async #run(): Promise<void> {
    const signal = this.#life.signal;
    this.#become("checking");
    let session = ""; // the newest multivariant playlist
    for (let wait = pollFirst; !signal.aborted; ) {
      const { is, multivariant = session, reason = "" } = await probe(this.url, signal, session);
      if (signal.aborted) return;
      session = multivariant;
      this.#reason = reason;
      if (is === "live") {
        const outcome = this.native ? await this.#playNative(signal) : await this.#playHls(session, signal);
        if (signal.aborted) return;
        wait = pollFirst;
        this.#become(outcome === "ended" ? "ended" : "reconnecting");
      } else {
        this.#become(stateOf(is, this.#state));
      }
      await delay(wait, signal);
      wait = Math.min(wait * 1.5, pollLast);
    }
  }

  async #playHls(multivariant: string, signal: AbortSignal): Promise<Outcome> {
    const { video } = this;
    const engine = new Engine(video, this.url, multivariant);
    this.#engine = engine;
    const stop = () => engine.destroy();
    signal.addEventListener("abort", stop);
    video.onplaying = () => this.#become("playing");
    const outcome = await engine.outcome;
    signal.removeEventListener("abort", stop);
    video.onplaying = null;
    this.#engine = undefined;
    engine.destroy();
    return outcome;
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
