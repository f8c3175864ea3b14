import { Emitter } from "./emitter";
import { StageError, errorFromResponse } from "./errors";
import { type Participant, difference, readSnapshot } from "./snapshot";
import type { Token } from "./token";
import { backOff, delay } from "./wait";

/** connecting → connected ⇄ reconnecting → closed; failed when retrying cannot help. */
export type ConnectionState = "idle" | "connecting" | "connected" | "reconnecting" | "failed" | "closed";

interface ConnectionEvents {
  state: ConnectionState;
  error: StageError;
  /** Somebody came, possibly ourselves. */
  joined: Participant;
  /** Somebody left. */
  left: Participant;
  /** Somebody began or stopped publishing, or changed attributes. */
  changed: Participant;
  /** After every snapshot: all participants in order of arrival. */
  participants: readonly Participant[];
}

const pingEvery = 10_000;
/** A socket that says nothing for this long, pings unanswered, is dead. */
const silence = 25_000;
const openTimeout = 8_000;

/**
 * The events socket of a stage: who is there and who publishes. An async loop (run) owns it and connects anew
 * with back-off. After a reconnect the first snapshot is compared with the last one before, so that listeners
 * hear only of what really changed.
 */
export class StageConnection extends Emitter<ConnectionEvents> {
  #state: ConnectionState = "idle";
  #life = new AbortController();
  #participants: readonly Participant[] = [];

  constructor(readonly token: Token) {
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

  async #run(): Promise<void> {
    const signal = this.#life.signal;
    this.#become("connecting");
    for (let attempt = 0; !signal.aborted; attempt++) {
      const opened = await this.#session(signal);
      if (signal.aborted) return;
      if (opened) attempt = 0;
      this.#become("reconnecting");
      const error = opened ? undefined : await this.#diagnose(signal);
      if (signal.aborted) return;
      if (error?.final) {
        this.#life.abort();
        this.#become("failed");
        this.emit("error", error);
        return;
      }
      await delay(backOff(attempt), signal);
    }
  }

  /** One socket from dial to close. Resolves with whether the server ever accepted it. */
  #session(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = new WebSocket(`${this.token.eventsURL}/${encodeURIComponent(this.token.stageId)}`, [
        this.token.raw,
      ]);
      let opened = false;
      let timer = setTimeout(() => finish(), openTimeout);
      let pinger: ReturnType<typeof setInterval> | undefined;
      const finish = () => {
        clearTimeout(timer);
        clearInterval(pinger);
        signal.removeEventListener("abort", finish);
        socket.onopen = socket.onmessage = socket.onclose = null;
        socket.close();
        resolve(opened);
      };
      const alive = () => {
        clearTimeout(timer);
        timer = setTimeout(finish, silence);
      };
      signal.addEventListener("abort", finish);
      socket.onclose = finish;
      socket.onopen = () => {
        opened = true;
        alive();
        const ping = () => socket.send('{"type":"PING"}');
        ping();
        pinger = setInterval(ping, pingEvery);
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
   * Browsers do not tell why a socket was refused. The same address asked over HTTP does: it answers with the
   * refusal, or with something else when the token is fine. No answer at all means that the server is away.
   */
  async #diagnose(signal: AbortSignal): Promise<StageError | undefined> {
    if (this.token.expires.getTime() < Date.now()) {
      return new StageError("TOKEN_EXPIRED", "the token has expired");
    }
    const url = new URL(`${this.token.eventsURL}/${encodeURIComponent(this.token.stageId)}`);
    url.protocol = url.protocol === "wss:" ? "https:" : "http:";
    try {
      const response = await fetch(url, {
        headers: { Authorization: `Bearer ${this.token.raw}` },
        cache: "no-store",
        signal: AbortSignal.any([signal, AbortSignal.timeout(openTimeout)]),
      });
      return response.ok || response.status === 426 ? undefined : await errorFromResponse(response);
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
