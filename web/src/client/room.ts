import { StageConnection, type Muted } from "./connection";
import { Emitter } from "./emitter";
import type { StageError } from "./errors";
import { exchangeToken } from "./exchange";
import { Publisher, type PublisherOptions } from "./publisher";
import type { Participant } from "./snapshot";
import { Subscriber } from "./subscriber";
import type { Token } from "./token";

/** What to take from a participant who publishes. */
export type Wish = "nothing" | "audio" | "everything";

/** Somebody on the stage: what the snapshot says, and our connection to them. */
export interface Member extends Participant {
  readonly isLocal: boolean;
  /** Undefined for ourselves, for those who do not publish, and for those whom we do not want. */
  readonly subscriber: Subscriber | undefined;
}

interface RoomEvents {
  /** Who is there, or anything about them, changed. */
  members: readonly Member[];
  /** Presence, or our own media, is there or is being sought. */
  online: boolean;
  /** A publisher was made, before it starts. It may be replaced by another one later. */
  publisher: Publisher;
  /** A subscriber was made, before it starts. Its end shows in its own state. */
  subscriber: Subscriber;
  /** Publishing failed for good; watching goes on. */
  publishError: StageError;
  /** The room cannot go on. It has left. */
  ended: StageError;
}

/** How long a subscription may stand still after the server came back before it is made anew, in ms. */
const stillness = 1200;

/**
 * One stay on a stage: the events socket says who is there, and the room subscribes to whoever publishes, as wished.
 * It survives changes of the network and restarts of the server. Everything runs on the page's one thread, in
 * reaction to the client's events.
 */
export class Room extends Emitter<RoomEvents> {
  readonly connection: StageConnection;
  #token: Token;
  /** Asked for each participant who publishes; asked again by refresh. */
  wish: (participant: Participant) => Wish = () => "everything";
  #publisher: Publisher | undefined;
  readonly #subscribers = new Map<string, Subscriber>();
  #muted: Muted = { audio: false, video: false };
  #reopened = false; // the next snapshot is the first after a reconnect

  constructor(token: Token) {
    super();
    this.#token = token;
    this.connection = new StageConnection(token);
    this.connection.on("state", (state) => {
      if (state === "reconnecting") this.#reopened = true;
      this.#online();
    });
    this.connection.on("participants", (participants) => this.#snapshot(participants));
    this.connection.on("error", (error) => this.#end(error));
  }

  get token(): Token {
    return this.#token;
  }

  /**
   * Exchanges our token for another one of the same participant, without connecting anew: other attributes, another user id,
   * other capabilities. Throws the StageError with which the stage refuses.
   */
  async exchange(token: Token): Promise<void> {
    await exchangeToken(this.#token, token);
    this.#token = this.connection.token = token;
    for (const peer of [this.#publisher, ...this.#subscribers.values()]) if (peer) peer.config.token = token.raw;
    if (!token.canPublish) this.publish(undefined);
    this.refresh();
  }

  get publisher(): Publisher | undefined {
    return this.#publisher;
  }

  start(): void {
    this.connection.start();
    this.#publisher?.start();
  }

  /** Publishes a stream in place of what was published before, or nothing any more. */
  publish(stream: MediaStream | undefined, options: PublisherOptions = {}): void {
    this.#publisher?.close();
    this.#publisher = undefined;
    if (stream && this.token.canPublish) {
      const publisher = new Publisher(this.token, stream, options);
      this.#publisher = publisher;
      publisher.on("state", () => this.#online());
      publisher.on("error", (error) => {
        if (!error.final || publisher !== this.#publisher) return;
        // What is wrong with the token or the stage ends the stay; a full stage leaves us watching.
        if (error.status === 401 || error.status === 404 || error.code === "PARTICIPANT_DISCONNECTED") this.#end(error);
        else this.emit("publishError", error);
      });
      this.emit("publisher", publisher);
      if (this.connection.state !== "idle") publisher.start();
    }
    this.#online();
  }

  /** Ends the stay. The published stream goes on: whoever opened it stops it. */
  leave(): void {
    this.#publisher?.close();
    for (const subscriber of this.#subscribers.values()) subscriber.close();
    this.#subscribers.clear();
    this.connection.close();
  }

  get muted(): Readonly<Muted> {
    return this.#muted;
  }

  /** Mutes or unmutes our sound or picture, and tells the others. */
  setMuted(kind: keyof Muted, muted: boolean): void {
    this.#muted = { ...this.#muted, [kind]: muted };
    this.#publisher?.setMuted(kind, muted);
    this.connection.setMuted(this.#muted);
    this.emit("members", this.members);
  }

  /** Everybody in order of arrival; ourselves first, also before the server has heard of us. */
  get members(): readonly Member[] {
    const { token } = this;
    const seen = this.connection.participants.find((p) => p.id === token.participantId);
    const self: Member = {
      id: token.participantId,
      userId: token.userId,
      attributes: seen?.attributes ?? token.attributes,
      isPublishing: seen?.isPublishing ?? false,
      audioMuted: this.#muted.audio,
      videoStopped: this.#muted.video,
      isLocal: true,
      subscriber: undefined,
    };
    const others = this.connection.participants
      .filter((p) => p.id !== token.participantId)
      .map((p): Member => ({ ...p, isLocal: false, subscriber: this.#subscribers.get(p.id) }));
    return [self, ...others];
  }

  subscriber(participantId: string): Subscriber | undefined {
    return this.#subscribers.get(participantId);
  }

  /** Asks wish again for everybody, and subscribes and unsubscribes accordingly. */
  refresh(): void {
    const wanted = new Map<string, Wish>();
    for (const p of this.token.canSubscribe ? this.connection.participants : []) {
      if (!p.isPublishing || p.id === this.token.participantId) continue;
      const wish = this.wish(p);
      if (wish !== "nothing") wanted.set(p.id, wish);
    }
    for (const [id, subscriber] of this.#subscribers) {
      const wish = wanted.get(id);
      if (wish !== undefined && subscriber.audioOnly === (wish === "audio")) continue;
      subscriber.close();
      this.#subscribers.delete(id);
    }
    for (const [id, wish] of wanted) {
      if (this.#subscribers.has(id)) continue;
      const subscriber = new Subscriber(this.token, id, { audioOnly: wish === "audio" });
      this.#subscribers.set(id, subscriber);
      subscriber.on("state", () => this.emit("members", this.members));
      this.emit("subscriber", subscriber);
      subscriber.start();
    }
    this.emit("members", this.members);
  }

  #snapshot(participants: readonly Participant[]): void {
    if (this.#reopened) {
      this.#reopened = false;
      // A server that was restarted has forgotten our sessions; one that was merely out of reach has not.
      for (const subscriber of this.#subscribers.values()) void restartIfStill(subscriber);
      const self = participants.find((p) => p.id === this.token.participantId);
      if (!self?.isPublishing && this.#publisher?.state === "connected") this.#publisher.restart();
    }
    this.refresh();
  }

  #online(): void {
    const publishing = this.#publisher === undefined || ["connected", "failed"].includes(this.#publisher.state);
    this.emit("online", this.connection.state === "connected" && publishing);
  }

  #end(error: StageError): void {
    this.leave();
    this.emit("ended", error);
  }
}

async function restartIfStill(subscriber: Subscriber): Promise<void> {
  const connection = subscriber.connection;
  const before = await received(connection);
  await new Promise((resolve) => setTimeout(resolve, stillness));
  if (subscriber.state === "connected" && connection === subscriber.connection && (await received(connection)) === before) {
    subscriber.restart();
  }
}

/** Bytes of media received so far. */
async function received(connection: RTCPeerConnection | undefined): Promise<number> {
  let bytes = 0;
  (await connection?.getStats())?.forEach((report: { type: string; bytesReceived?: number }) => {
    if (report.type === "inbound-rtp") bytes += report.bytesReceived ?? 0;
  });
  return bytes;
}
