import { type Muted, type Participant, Publisher, StageConnection, type StageError, Subscriber, type Token } from "../client";
import { Emitter } from "../client/emitter";
import type { Source } from "./sources";

/** Somebody on the stage as the page shows them. */
export interface Member extends Participant {
  readonly isLocal: boolean;
  /** Undefined for ourselves and for those who do not publish. */
  readonly subscriber: Subscriber | undefined;
}

interface RoomEvents {
  /** Who is there, or anything about them, changed. */
  members: readonly Member[];
  /** Presence, or our own media, is there or is being sought. */
  online: boolean;
  /** Publishing failed for good; watching goes on. */
  publishError: StageError;
  /** The room cannot go on. It has left. */
  ended: StageError;
}

/** How long a subscription may stand still after the server came back before it is made anew, in ms. */
const stillness = 1200;

/**
 * One stay on a stage: the events socket says who is there, and the room subscribes to whoever publishes.
 * Everything runs on the page's one thread, in reaction to the client's events.
 */
export class Room extends Emitter<RoomEvents> {
  readonly connection: StageConnection;
  readonly publisher: Publisher | undefined;
  readonly #subscribers = new Map<string, Subscriber>();
  #muted: Muted = { audio: false, video: false };
  #reopened = false; // the next snapshot is the first after a reconnect

  constructor(
    readonly token: Token,
    readonly source: Source | undefined,
    maxBitrate: number,
  ) {
    super();
    this.connection = new StageConnection(token);
    this.connection.on("state", (state) => {
      if (state === "reconnecting") this.#reopened = true;
      this.#online();
    });
    this.connection.on("participants", (participants) => this.#snapshot(participants));
    this.connection.on("error", (error) => this.#end(error));
    if (source && token.canPublish) {
      this.publisher = new Publisher(token, source.stream, { maxBitrate });
      this.publisher.on("state", () => this.#online());
      this.publisher.on("error", (error) => {
        if (!error.final) return;
        // What is wrong with the token or the stage ends the stay; a full stage leaves us watching.
        if (error.status === 401 || error.status === 404 || error.code === "PARTICIPANT_DISCONNECTED") this.#end(error);
        else this.emit("publishError", error);
      });
    }
  }

  start(): void {
    this.connection.start();
    this.publisher?.start();
  }

  /** Leaves, and stops camera and microphone unless somebody still wants them. */
  leave({ keepSource = false } = {}): void {
    this.publisher?.close();
    for (const subscriber of this.#subscribers.values()) subscriber.close();
    this.#subscribers.clear();
    this.connection.close();
    if (!keepSource) this.source?.stop();
  }

  get muted(): Readonly<Muted> {
    return this.#muted;
  }

  /** Mutes or unmutes our sound or picture, and tells the others. */
  setMuted(kind: keyof Muted, muted: boolean): void {
    this.#muted = { ...this.#muted, [kind]: muted };
    this.publisher?.setMuted(kind, muted);
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
      attributes: token.attributes,
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

  #snapshot(participants: readonly Participant[]): void {
    const wanted = new Set(
      this.token.canSubscribe
        ? participants.filter((p) => p.isPublishing && p.id !== this.token.participantId).map((p) => p.id)
        : [],
    );
    for (const [id, subscriber] of this.#subscribers) {
      if (wanted.has(id)) {
        if (this.#reopened) void restartIfStill(subscriber);
      } else {
        subscriber.close();
        this.#subscribers.delete(id);
      }
    }
    for (const id of wanted) {
      if (this.#subscribers.has(id)) continue;
      const subscriber = new Subscriber(this.token, id);
      this.#subscribers.set(id, subscriber);
      subscriber.on("state", () => this.emit("members", this.members));
      subscriber.start();
    }
    if (this.#reopened) {
      this.#reopened = false;
      // A server that was restarted has forgotten our session; one that was merely out of reach has not.
      const self = participants.find((p) => p.id === this.token.participantId);
      if (!self?.isPublishing && this.publisher?.state === "connected") this.publisher.restart();
    }
    this.emit("members", this.members);
  }

  #online(): void {
    const publishing = this.publisher === undefined || ["connected", "failed"].includes(this.publisher.state);
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
