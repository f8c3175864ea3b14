import { Emitter } from "./emitter";
import { type ErrorCode, StageError, errorFromResponse } from "./errors";
import { type Participant, difference, readSnapshot } from "./snapshot";
import type { Token } from "./token";
import { backOff, delay } from "./wait";

/** connecting → connected ⇄ reconnecting → closed; failed when retrying cannot help. */
export type ConnectionState = "idle" | "connecting" | "connected" | "reconnecting" | "failed" | "closed";

/** What we take from the others: our sound, our picture. */
export interface Muted {
  audio: boolean;
  video: boolean;
}

interface ConnectionEvents {
  state: ConnectionState;
  error: StageError;
  /** Somebody came, possibly ourselves. */
  joined: Participant;
  /** Somebody left. */
  left: Participant;
  /** Somebody began or stopped publishing, muted or unmuted, or changed attributes. */
  changed: Participant;
  /** After every snapshot: all participants in order of arrival. */
  participants: readonly Participant[];
}

const pingEvery = 10_000;
/** A socket that says nothing for this long, pings unanswered, is dead. */
const silence = 25_000;
const openTimeout = 8_000;

/** Refusals of the token itself, rather than of what was asked with it. */
const admission: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "TOKEN_MALFORMED",
  "TOKEN_EXPIRED",
  "STAGE_NOT_FOUND",
  "PARTICIPANT_DISCONNECTED",
]);

/** Why the server closed a socket for good, by close code. */
const closings: Readonly<Record<number, ErrorCode>> = {
  4001: "TOKEN_REUSED",
  4002: "PARTICIPANT_DISCONNECTED",
  4003: "STAGE_DELETED",
};

/**
 * The events socket of a stage: who is there and who publishes. An async loop (run) owns it and connects anew
 * with back-off. After a reconnect the first snapshot is compared with the last one before, so that listeners
 * hear only of what really changed.
 */
export class StageConnection extends Emitter<ConnectionEvents> {
  #state: ConnectionState = "idle";
  #life = new AbortController();
  #participants: readonly Participant[] = [];
  #muted: Muted = { audio: false, video: false };
  #say: ((message: object) => void) | undefined; // to the open socket

  /** The token may be exchanged for another one of the same participant. */
  constructor(public token: Token) {
    super();
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get participants(): readonly Participant[] {
    return this.#participants;
  }

  /** Connects and stays connected until close. Call once. */
  start(): void {
    void this.#run();
  }

  close(): void {
    this.#life.abort();
    if (this.#state !== "failed") this.#become("closed");
  }

  /** Tells the others what we mute, now and after every reconnect. */
  setMuted(muted: Muted): void {
    this.#muted = { ...muted };
    this.#say?.({ type: "MUTE", ...muted });
  }

  async #run(): Promise<void> {
    const signal = this.#life.signal;
    this.#become("connecting");
    for (let attempt = 0; !signal.aborted; attempt++) {
      const ended = await this.#session(signal);
      if (signal.aborted) return;
      if (ended === "opened") attempt = 0;
      this.#become("reconnecting");
      const error = ended instanceof StageError ? ended : ended === "refused" ? await this.#diagnose(signal) : undefined;
      if (signal.aborted) return;
      if (error) {
        this.#life.abort();
        this.#become("failed");
        this.emit("error", error);
        return;
      }
      await delay(backOff(attempt), signal);
    }
  }

  /**
   * One socket from dial to close. Resolves with how far it came: it was open for a while, it was refused
   * (or nobody answered), or the server closed it for a reason that is final.
   */
  #session(signal: AbortSignal): Promise<"opened" | "refused" | StageError> {
    return new Promise((resolve) => {
      const socket = new WebSocket(`${this.token.eventsURL}/${encodeURIComponent(this.token.stageId)}`, [
        this.token.raw,
      ]);
      let opened = false;
      let timer = setTimeout(() => finish(), openTimeout);
      let pinger: ReturnType<typeof setInterval> | undefined;
      const finish = (reason?: StageError) => {
        clearTimeout(timer);
        clearInterval(pinger);
        signal.removeEventListener("abort", aborted);
        this.#say = undefined;
        socket.onopen = socket.onmessage = socket.onclose = null;
        socket.close();
        resolve(reason ?? (opened ? "opened" : "refused"));
      };
      const aborted = () => finish();
      const alive = () => {
        clearTimeout(timer);
        timer = setTimeout(() => finish(), silence);
      };
      signal.addEventListener("abort", aborted);
      socket.onclose = ({ code, reason }) => {
        const known = closings[code];
        finish(known && new StageError(known, reason));
      };
      socket.onopen = () => {
        opened = true;
        alive();
        const say = (message: object) => socket.send(JSON.stringify(message));
        const ping = () => say({ type: "PING" });
        ping();
        pinger = setInterval(ping, pingEvery);
        say({ type: "HELLO", ext: 1 }); // servers without mute states ignore both
        say({ type: "MUTE", ...this.#muted });
        this.#say = say;
        this.#become("connected");
      };
      socket.onmessage = ({ data }) => {
        alive();
        this.#receive(data);
      };
    });
  }

  #receive(data: unknown): void {
    let message: { type?: unknown; payload?: unknown };
    try {
      message = JSON.parse(String(data)) as typeof message;
    } catch {
      return;
    }
    if (message?.type !== "STAGE_STATE") return; // PONG, and what later servers may add
    const before = this.#participants;
    this.#participants = readSnapshot(message.payload);
    const { joined, left, changed } = difference(before, this.#participants);
    for (const p of left) this.emit("left", p);
    for (const p of joined) this.emit("joined", p);
    for (const p of changed) this.emit("changed", p);
    this.emit("participants", this.#participants);
  }

  /**
   * Browsers do not tell why a socket was refused. An empty offer to subscribe to ourselves does: the server checks
   * the token before it looks at the offer. Any other answer means that the token is fine; none, that the server is away.
   */
  async #diagnose(signal: AbortSignal): Promise<StageError | undefined> {
    const { token } = this;
    try {
      const response = await fetch(`${token.whipURL}/subscribe/${encodeURIComponent(token.participantId)}`, {
        method: "POST",
        headers: { Authorization: `Bearer ${token.raw}`, "Content-Type": "application/sdp" },
        cache: "no-store",
        signal: AbortSignal.any([signal, AbortSignal.timeout(openTimeout)]),
      });
      const error = await errorFromResponse(response);
      return admission.has(error.code) ? error : undefined;
    } catch {
      return undefined;
    }
  }

  #become(state: ConnectionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.emit("state", state);
  }
}
