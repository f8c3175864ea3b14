/** What GET /footlight/v1/compositions shows of each; see docs/footlight-api.md. Times are RFC 3339. */
export interface Composition {
  id: string;
  arn: string;
  stageArn: string;
  stageName?: string;
  state: "STARTING" | "ACTIVE" | "STOPPING" | "STOPPED" | "FAILED";
  startTime: string;
  endTime?: string;
  cause?: Cause;
  destinations: Destination[];
  composer: Composer;
  idleSince?: string;
  stopsAt?: string;
}

/** All compositions, the newest first, and the cores that composers take. */
export interface Program {
  compositions: Composition[];
  capacity?: { cores: number; used: number; free: number };
}

export interface Cause {
  code?: string;
  reason?: string;
}

export interface Destination {
  id: string;
  name?: string;
  channelArn?: string;
  channelName?: string;
  playbackUrl?: string;
  /** In place of a channel. */
  recording?: { bucket: string; prefix: string };
  state: string;
  cause?: Cause;
  video: { width: number; height: number; framerate: number; bitrate: number };
  viewers: number;
  partLatency: Timing;
}

export interface Composer {
  pid?: number;
  restarts: number;
  lastExit?: string;
  cpu: number;
  memory: number;
  publishing: number;
  overloaded: boolean;
  alert?: string;
}

export interface Details extends Composition {
  layout: unknown;
  scene?: unknown;
  measurements: Measurements | null;
}

/** Milliseconds. */
export interface Timing {
  count: number;
  p50: number;
  p99: number;
}

/** A composer's heartbeat: counters since its start, timings of the last ten seconds. */
export interface Measurements {
  time: string;
  frames: number;
  lateTicks: number;
  missedFrames: number;
  cpu: number;
  memory: number;
  decode: Timing;
  draw: Timing;
  mix: Timing;
  encode: Timing;
  publish: Timing;
  latency: Timing;
  participants: Input[] | null;
  canvases: Canvas[] | null;
  destinations: Figure[] | null;
}

export interface Input {
  id: string;
  label: string;
  video: string;
  audio: string;
  width?: number;
  height?: number;
  received: number;
  lost: number;
  jitter: number;
  delay: number;
  level: number;
  speaking: boolean;
}

export interface Canvas {
  destinations: string[];
  encoder: string;
  width: number;
  height: number;
  frameRate: number;
  tiles: Tile[] | null;
}

/** In pixels of the canvas, in drawing order. */
export interface Tile {
  participantId: string;
  x: number;
  y: number;
  width: number;
  height: number;
  shows: string;
  age: number;
}

export interface Figure {
  id: string;
  bytes: number;
  dropped: number;
  queue: number;
  retries: number;
}

/** What GET /footlight/v1/recordings shows of each; see docs/footlight-api.md. */
export interface Recording {
  id: string;
  kind: string;
  state: string;
  bucket: string;
  prefix: string;
  stageArn?: string;
  stageName?: string;
  channelArn?: string;
  channelName?: string;
  startTime: string;
  durationMs: number;
  filesWaiting: number;
  storeAwaySince?: string;
  problem?: string;
  framesDropped?: number;
  failure?: string;
  playbackUrl?: string;
  thumbnailUrl?: string;
  downloadUrl?: string;
  renditions?: { name: string }[];
}

export interface Key {
  id: string;
  secret: string;
}

/** A refusal in the server's words; status 0 means that it could not be asked. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

const root = "/footlight/v1/";

/** Talks to Footlight's own API with an access key. Rejects with a Refusal. */
export class API {
  #authorization: string;

  constructor(key: Key) {
    this.#authorization = `Basic ${base64(`${key.id}:${key.secret}`)}`;
  }

  /** Resolves if the server takes the key. */
  async check(): Promise<void> {
    await this.#ask("GET", "compositions");
  }

  async compositions(): Promise<Program> {
    return (await this.#json("compositions")) as Program;
  }

  /** All recordings, the newest first, with links that are good for an hour. */
  async recordings(): Promise<Recording[]> {
    return ((await this.#json("recordings")) as { recordings: Recording[] }).recordings;
  }

  async composition(id: string): Promise<Details> {
    return (await this.#json(`compositions/${encodeURIComponent(id)}`)) as Details;
  }

  async scenes(): Promise<string[]> {
    return ((await this.#json("scenes")) as { scenes: { name: string }[] }).scenes.map(({ name }) => name);
  }

  async scene(name: string): Promise<unknown> {
    return ((await this.#json(`scenes/${encodeURIComponent(name)}`)) as { scene: unknown }).scene;
  }

  async keepScene(name: string, document: string): Promise<void> {
    await this.#ask("PUT", `scenes/${encodeURIComponent(name)}`, document);
  }

  /** Changes how a composition looks from the next frames on; undefined is its plain layout. */
  async wear(id: string, document: string | undefined): Promise<void> {
    const path = `compositions/${encodeURIComponent(id)}/scene`;
    await (document === undefined ? this.#ask("DELETE", path) : this.#ask("PUT", path, document));
  }

  /** The picture as a data: URL, which the page's policy shows. */
  async preview(body: unknown): Promise<string> {
    const response = await this.#ask("POST", "preview", JSON.stringify(body));
    const picture = await response.blob();
    return new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result as string);
      reader.onerror = () => reject(new Refusal("The picture could not be read.", 0));
      reader.readAsDataURL(picture);
    });
  }

  async #json(path: string): Promise<unknown> {
    return (await this.#ask("GET", path)).json();
  }

  async #ask(method: string, path: string, body?: string): Promise<Response> {
    const headers: Record<string, string> = { Authorization: this.#authorization };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response: Response;
    try {
      // Without credentials of the browser's own it does not put up its own sign-in after a 401.
      response = await fetch(root + path, {
        method, headers, credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(15_000),
        ...(body === undefined ? {} : { body }),
      });
    } catch {
      throw new Refusal("The server is out of reach.", 0);
    }
    if (response.ok) return response;
    const said = (await response.json().catch(() => ({}))) as { error?: string };
    throw new Refusal(said.error ?? `The server answered ${response.status}.`, response.status);
  }
}

/** Base 64 of the text's UTF-8. */
function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
