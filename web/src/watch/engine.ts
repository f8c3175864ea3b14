import Hls, { type HlsConfig, type LevelDetails } from "hls.js";
import { pace } from "./pace";

/** How a stream went: it was over, or it broke and may be there again. */
export type Outcome = "ended" | "lost";

const steerEvery = 200;
/** A playhead that stands still for this long is brought back to the live edge, and later the engine is made anew, in ms. */
const stuck = 2500;
const hopeless = 9000;

/** hls.js set up for low latency, and what it takes to stay close to the edge. Lives for one stream. */
export class Engine {
  readonly hls: Hls;
  readonly outcome: Promise<Outcome>;
  #end!: (outcome: Outcome) => void;
  #steering: ReturnType<typeof setInterval> | undefined;
  #recovered = -Infinity;
  #moved = performance.now(); // when the playhead last did
  #position = 0;

  constructor(
    readonly video: HTMLVideoElement,
    url: string,
    multivariant: string,
  ) {
    this.outcome = new Promise((resolve) => (this.#end = resolve));
    const hls = new Hls({
      lowLatencyMode: true,
      // A part of MPEG-TS takes 0.4 ms here to become fMP4, which itself takes 0.2 ms (720p30 at 2.5 Mb/s): a worker would
      // only add a hop, and a blob: to the page's policy.
      enableWorker: false,
      backBufferLength: 20,
      // After a stall stay a little further back, not a whole second.
      liveSyncOnStallIncrease: 0.25,
      pLoader: loaderKnowing(multivariant),
    });
    this.hls = hls;
    hls.on(Hls.Events.MANIFEST_PARSED, () => void video.play().catch(() => undefined));
    hls.once(Hls.Events.LEVEL_LOADED, (_, { details }) => {
      const start = startPosition(details, hls.liveSyncPosition);
      if (start !== -1) hls.startLoad(start);
    });
    hls.on(Hls.Events.ERROR, (_, { fatal, type }) => {
      if (!fatal) return;
      if (type === Hls.ErrorTypes.MEDIA_ERROR && performance.now() - this.#recovered > 5000) {
        this.#recovered = performance.now();
        hls.recoverMediaError();
      } else {
        this.#end("lost");
      }
    });
    video.addEventListener("ended", this.#ended);
    this.#steering = setInterval(() => this.#steer(), steerEvery);
    hls.loadSource(url);
    hls.attachMedia(video);
  }

  destroy(): void {
    clearInterval(this.#steering);
    this.video.removeEventListener("ended", this.#ended);
    this.video.playbackRate = 1;
    this.hls.destroy();
    this.#end("lost");
  }

  /** Jumps to where the server wants low-latency players to be. */
  toEdge(): void {
    const { hls, video } = this;
    const sync = hls.liveSyncPosition;
    if (sync === null) return;
    const end = bufferEnd(video);
    // Stay within what is buffered when that is as good: such a jump needs no loading.
    video.currentTime = end > video.currentTime && sync - end < 1 ? Math.min(sync, end - 0.2) : sync;
  }

  #ended = () => this.#end("ended");

  #steer(): void {
    const { hls, video } = this;
    const details = hls.latestLevelDetails;
    if (!details || video.paused) {
      this.#moved = performance.now();
      return;
    }
    if (video.currentTime !== this.#position) {
      this.#position = video.currentTime;
      this.#moved = performance.now();
    }
    const still = performance.now() - this.#moved;
    if (!details.live) {
      if (drained(details, video) || still > stuck) this.#end("ended");
      return;
    }
    // The playlist's age tells whether the stream itself stands still: then there is nothing to jump to.
    if (still > hopeless && details.age < 1) return this.#end("lost");
    if (still > stuck && details.age < 1 && still % stuck < steerEvery) return this.toEdge();
    const { targetLatency: target, latency } = hls;
    if (video.seeking || target === null || latency === 0) return;
    const rate = pace({ latency, target, buffer: bufferEnd(video) - video.currentTime, rate: video.playbackRate });
    if (rate === "jump") this.toEdge();
    else if (video.playbackRate !== rate) video.playbackRate = rate;
  }
}

/**
 * A loader of playlists that has the multivariant one already. To ask for it again would begin a second playback session:
 * the server would count two viewers, and a playback token that works once has been used by the first.
 */
function loaderKnowing(multivariant: string): HlsConfig["pLoader"] {
  type Loader = InstanceType<NonNullable<HlsConfig["pLoader"]>>;
  return class extends (Hls.DefaultConfig.loader as NonNullable<HlsConfig["pLoader"]>) {
    override load(...[context, config, callbacks]: Parameters<Loader["load"]>): void {
      if (context.type !== "manifest") super.load(context, config, callbacks);
      else queueMicrotask(() => callbacks.onSuccess({ url: context.url, data: multivariant }, this.stats, context, undefined));
    }
  };
}

/** Where the buffered media ends; 0 where there is none. */
export function bufferEnd({ buffered }: HTMLVideoElement): number {
  return buffered.length > 0 ? buffered.end(buffered.length - 1) : 0;
}

/**
 * Where to begin: -1 leaves it to hls.js, which begins inside the segment at the live edge and takes it for granted that
 * segments begin with a key frame. In the first seconds of a stream they need not: then begin at the last that does.
 */
export function startPosition(details: Pick<LevelDetails, "fragments" | "partList">, sync: number | null): number {
  const dependent = new Set(details.partList?.filter((p) => !p.independent && p.index === 0).map((p) => p.fragment.sn));
  const before = details.fragments.filter((f) => f.start <= (sync ?? Infinity));
  const last = before[before.length - 1];
  if (!last || !dependent.has(last.sn)) return -1;
  return before.findLast((f) => !dependent.has(f.sn))?.start ?? -1;
}

/**
 * Whether a finished stream has played out. hls.js 1.6 forgets the last part when its playlist, which is also the
 * first with EXT-X-ENDLIST, comes after all others were loaded: the element then waits for it and never ends.
 */
function drained(details: LevelDetails, video: HTMLVideoElement): boolean {
  const left = details.edge - video.currentTime;
  return !video.seeking && left < 2 * (details.partTarget || 0.5) && video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA;
}
