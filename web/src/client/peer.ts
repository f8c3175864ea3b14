import { Emitter } from "./emitter";
import { StageError, errorFromResponse } from "./errors";
import { backOff, delay } from "./wait";

/**
 * The life of a peer: idle → connecting → connected ⇄ reconnecting → closed,
 * or failed from anywhere when the server says that retrying cannot help.
 */
export type PeerState = "idle" | "connecting" | "connected" | "reconnecting" | "failed" | "closed";

export interface PeerConfig {
  /** Where to POST the offer (WHIP, RFC 9725; the subscribe side is the same exchange). */
  url: string;
  /** Bearer token. May be exchanged: the next request has the new one. */
  token: string;
  /** Adds the transceivers to a new connection, each time one is made. */
  prepare(pc: RTCPeerConnection): void;
  /** Changes the offer before it is applied and sent. A browser that refuses that makes its own. */
  propose?(offer: string): string;
  /** Changes the server's answer before it is applied. */
  amend?(answer: string): string;
}

interface PeerEvents {
  state: PeerState;
  /** A connection was made and has its transceivers, before anything flows: for encoded transforms. */
  made: RTCPeerConnection;
  /** Why it failed, or why this attempt did. */
  error: StageError;
}

/** Longest wait for the server's answer, and for media to connect after it. */
const answerTimeout = 8000;
const connectTimeout = 10000;
/** A connection that browsers call disconnected often heals within this time. */
const disconnectedGrace = 2500;
/** A connection that lasted this long was a good one. */
const settled = 5000;

/**
 * One WebRTC connection to the server that keeps itself alive: an async loop (run) owns it,
 * connects, waits until it is lost, and connects anew with back-off.
 */
export class Peer extends Emitter<PeerEvents> {
  #state: PeerState = "idle";
  #life = new AbortController();
  #pc: RTCPeerConnection | undefined;
  #session: string | undefined; // the WHIP session's URL, for DELETE
  #lose: (() => void) | undefined; // ends the wait in lost()

  constructor(readonly config: PeerConfig) {
    super();
  }

  get state(): PeerState {
    return this.#state;
  }

  /** The present connection, for statistics. It changes with every reconnect. */
  get connection(): RTCPeerConnection | undefined {
    return this.#pc;
  }

  /** Connects and stays connected until close. Call once. */
  start(): void {
    void this.#run();
  }

  /** Gives up the present connection and makes a new one: for when the caller knows that the server forgot us. */
  restart(): void {
    this.#lose?.();
  }

  /** Ends the session, also in a page that is being closed. */
  close(): void {
    this.#life.abort();
    this.#drop();
    if (this.#state !== "failed") this.#become("closed");
  }

  async #run(): Promise<void> {
    const signal = this.#life.signal;
    this.#become("connecting");
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const pc = await this.#connect(signal);
        this.#become("connected");
        const since = performance.now();
        await this.#lost(pc);
        // A connection that held earns an immediate retry; one that breaks at once is treated like a refusal.
        if (performance.now() - since > settled) attempt = -1;
      } catch (err) {
        if (signal.aborted) return;
        const error = err instanceof StageError ? err : new StageError("unreachable", String(err));
        if (error.final) this.#become("failed");
        this.emit("error", error);
        if (error.final) {
          this.#life.abort();
          this.#drop();
          return;
        }
      }
      this.#drop();
      if (signal.aborted) return;
      this.#become("reconnecting");
      if (attempt >= 0) await delay(backOff(attempt), signal);
    }
  }

  async #connect(signal: AbortSignal): Promise<RTCPeerConnection> {
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.#pc = pc;
    this.config.prepare(pc);
    await propose(pc, this.config.propose);
    // The server's answer holds all of its candidates and it learns ours from the first packets:
    // there is nothing to gather or trickle.
    const response = await this.#post(pc.localDescription?.sdp ?? "", signal);
    const location = response.headers.get("Location");
    this.#session = location === null ? undefined : new URL(location, response.url).href;
    const answer = await response.text();
    if (signal.aborted) {
      // close() came while the answer was on its way: it could not delete a session it did not know yet.
      this.#drop();
      throw new DOMException("closed", "AbortError");
    }
    if (!answer.startsWith("v=")) throw new StageError("bad-answer", "the server's answer is not SDP");
    await pc.setRemoteDescription({ type: "answer", sdp: this.config.amend?.(answer) ?? answer });
    await connected(pc, signal);
    return pc;
  }

  async #post(offer: string, signal: AbortSignal): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(this.config.url, {
        method: "POST",
        headers: { Authorization: `Bearer ${this.config.token}`, "Content-Type": "application/sdp" },
        body: offer,
        cache: "no-store",
        signal: AbortSignal.any([signal, AbortSignal.timeout(answerTimeout)]),
      });
    } catch {
      throw new StageError("unreachable", `no answer from ${new URL(this.config.url).host}`);
    }
    if (response.status !== 201) throw await errorFromResponse(response);
    return response;
  }

  #lost(pc: RTCPeerConnection): Promise<void> {
    return new Promise((resolve) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const finish = () => {
        clearTimeout(timer);
        this.#lose = undefined;
        pc.onconnectionstatechange = null;
        resolve();
      };
      this.#lose = finish;
      pc.onconnectionstatechange = () => {
        clearTimeout(timer);
        switch (pc.connectionState) {
          case "failed":
          case "closed":
            finish();
            break;
          case "disconnected":
            timer = setTimeout(finish, disconnectedGrace);
            break;
        }
      };
    });
  }

  #drop(): void {
    this.#lose?.();
    if (this.#pc) {
      this.#pc.onconnectionstatechange = null;
      this.#pc.close();
      this.#pc = undefined;
    }
    if (this.#session !== undefined) {
      // keepalive lets the request outlive the page.
      fetch(this.#session, {
        method: "DELETE",
        headers: { Authorization: `Bearer ${this.config.token}` },
        keepalive: true,
      }).catch(() => undefined);
      this.#session = undefined;
    }
  }

  #become(state: PeerState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.emit("state", state);
  }
}

function connected(pc: RTCPeerConnection, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => done("media-timeout"), connectTimeout);
    const aborted = () => done("unreachable");
    const done = (failure?: "media-timeout" | "unreachable") => {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
      pc.onconnectionstatechange = null;
      if (failure === undefined) resolve();
      else reject(new StageError(failure, "the server answered, but no media connection came about"));
    };
    signal.addEventListener("abort", aborted);
    pc.onconnectionstatechange = () => {
      if (pc.connectionState === "connected") done();
      else if (pc.connectionState === "failed" || pc.connectionState === "closed") done("media-timeout");
    };
    pc.onconnectionstatechange(new Event("connectionstatechange"));
  });
}

async function propose(pc: RTCPeerConnection, change?: (offer: string) => string): Promise<void> {
  const offer = await pc.createOffer();
  try {
    await pc.setLocalDescription({ type: "offer", sdp: change?.(offer.sdp ?? "") ?? offer.sdp });
  } catch {
    await pc.setLocalDescription(offer);
  }
}
