import { type Participant, Room, type StageError as ClientError, type Subscriber, type Token, type Wish } from "../client";
import {
  StageConnectionState as ConnectionState,
  StageEvents,
  StageLeftReason as LeftReason,
  StageParticipantPublishState as PublishState,
  SubscribeType,
} from "./enums";
import { StageError, StageErrorCategory, StageErrorCode, stageError } from "./errors";
import type { StageEventValues } from "./events";
import type { Listeners } from "./listeners";
import { type StageParticipantInfo, localParticipant, remoteParticipant } from "./participant";
import { Publication } from "./publication";
import type { StageStrategy } from "./strategy";
import { Subscription } from "./subscription";

/** How long joining may take, in ms. */
const joinTimeout = 15_000;

const leftReasons: Partial<Record<ClientError["code"], LeftReason>> = {
  TOKEN_REUSED: LeftReason.TOKEN_REUSED,
  PARTICIPANT_DISCONNECTED: LeftReason.PARTICIPANT_DISCONNECTED,
  STAGE_DELETED: LeftReason.STAGE_DELETED,
  STAGE_NOT_FOUND: LeftReason.STAGE_DELETED,
};

const wishes: Record<SubscribeType, Wish> = {
  [SubscribeType.NONE]: "nothing",
  [SubscribeType.AUDIO_ONLY]: "audio",
  [SubscribeType.AUDIO_VIDEO]: "everything",
};

/** One stay on a stage, from join to leave: a room, run by the app's strategy, told of in the events of a Stage. */
export class Stay {
  /** Settles when the stage has us, or cannot. */
  readonly joined: Promise<void>;
  readonly #room: Room;
  readonly #publication: Publication;
  readonly #subscriptions = new Map<string, Subscription>();
  #known = new Map<string, Participant>();
  #left = false;
  #settle!: { resolve(): void; reject(error: StageError): void };

  constructor(
    token: Token,
    private strategy: StageStrategy,
    private readonly listeners: Listeners<StageEventValues>,
    private readonly over: () => void,
  ) {
    this.joined = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    const room = (this.#room = new Room(token));
    room.wish = (p) => this.#wish(p);
    room.on("subscriber", (subscriber) => this.#subscribe(subscriber));
    room.on("ended", (error) => this.#end(error));
    const { connection } = room;
    connection.on("state", (state) => {
      if (state === "connected") this.#tellState(ConnectionState.CONNECTED);
      else if (state === "connecting" || state === "reconnecting") this.#tellState(ConnectionState.CONNECTING);
      else if (state === "failed") this.#tellState(ConnectionState.ERRORED);
    });
    connection.on("left", (p) => this.#gone(p));
    connection.on("joined", (p) => this.#came(p));
    connection.on("changed", (p) => this.#changed(p));
    connection.on("participants", () => this.#settle.resolve());
    this.#publication = new Publication(room, {
      added: (streams) => this.#tell(StageEvents.STAGE_PARTICIPANT_STREAMS_ADDED, this.local, streams),
      removed: (streams) => this.#tell(StageEvents.STAGE_PARTICIPANT_STREAMS_REMOVED, this.local, streams),
      muted: (stream) => this.#tell(StageEvents.STAGE_STREAM_MUTE_CHANGED, this.local, stream),
      state: (state) => this.#tell(StageEvents.STAGE_PARTICIPANT_PUBLISH_STATE_CHANGED, this.local, state),
      error: (error) => this.#tell(StageEvents.ERROR, error),
    });
  }

  get token(): Token {
    return this.#room.token;
  }

  async exchange(token: Token): Promise<void> {
    await this.#room.exchange(token);
    this.refresh(); // what we may do, or who we are, may make the strategy answer otherwise
  }

  start(): void {
    const timer = setTimeout(() => {
      this.#fail(new StageError(StageErrorCode.TIMEOUT, StageErrorCategory.JOIN_ERROR, "the stage did not answer in time"));
    }, joinTimeout);
    this.joined.then(
      () => clearTimeout(timer),
      () => clearTimeout(timer),
    );
    this.#room.start();
  }

  /** Ourselves, as the stage sees us now. */
  get local(): StageParticipantInfo {
    const { token } = this;
    return localParticipant(token, this.#known.get(token.participantId), this.#room.muted);
  }

  follow(strategy: StageStrategy): void {
    this.strategy = strategy;
    this.refresh();
  }

  /** Asks the strategy, and does what differs from before. Before the stage has us there is nothing to do. */
  refresh(): void {
    if (this.#left || !this.#known.has(this.token.participantId)) return;
    this.#publish();
    this.#room.refresh();
  }

  leave(reason: LeftReason): void {
    if (this.#left) return;
    this.#publication.show([]);
    for (const { subscriber } of this.#subscriptions.values()) subscriber.close();
    this.#left = true;
    this.#room.leave();
    const everybody = [...this.#known.values()];
    for (const p of everybody) this.#tell(StageEvents.STAGE_PARTICIPANT_LEFT, this.#info(p));
    if (this.#room.connection.state !== "failed") this.#tellState(ConnectionState.DISCONNECTED);
    this.over();
    this.#tell(StageEvents.STAGE_LEFT, reason);
    this.#settle.reject(new StageError(StageErrorCode.CANCELED, StageErrorCategory.JOIN_ERROR, "left before the stage answered"));
  }

  #end(error: ClientError): void {
    const reason = leftReasons[error.code] ?? LeftReason.UNKNOWN;
    // Somebody else going on with our token is no error: the stay went over to them.
    if (reason === LeftReason.TOKEN_REUSED) this.leave(reason);
    else this.#fail(stageError(error, StageErrorCategory.JOIN_ERROR), reason);
  }

  #fail(error: StageError, reason: LeftReason = LeftReason.UNKNOWN): void {
    this.#settle.reject(error);
    this.#tell(StageEvents.ERROR, error);
    this.leave(reason);
  }

  #came(p: Participant): void {
    this.#known.set(p.id, p);
    this.#tell(StageEvents.STAGE_PARTICIPANT_JOINED, this.#info(p));
    if (p.id === this.token.participantId) this.#publish();
    else if (p.isPublishing) this.#tellPublishing(p);
  }

  #gone(p: Participant): void {
    if (p.id === this.token.participantId) {
      // The server forgot us for a moment, as in a restart; our media comes back by itself.
      this.#known.delete(p.id);
      return;
    }
    this.#room.subscriber(p.id)?.close();
    this.#subscriptions.delete(p.id);
    this.#known.delete(p.id);
    this.#tell(StageEvents.STAGE_PARTICIPANT_LEFT, this.#info(p));
  }

  #changed(p: Participant): void {
    const before = this.#known.get(p.id);
    this.#known.set(p.id, p);
    if (before && said(before) !== said(p)) this.#tell(StageEvents.STAGE_PARTICIPANT_METADATA_CHANGED, this.#info(p));
    if (p.id === this.token.participantId) return; // we know our own media best
    if (before?.isPublishing !== p.isPublishing) this.#tellPublishing(p);
    this.#subscriptions.get(p.id)?.update(p);
  }

  #publish(): void {
    const { local, strategy } = this;
    try {
      const wanted = this.token.canPublish && strategy.shouldPublishParticipant(local);
      this.#publication.show(wanted ? strategy.stageStreamsToPublish() : []);
    } catch (error) {
      this.#tell(StageEvents.ERROR, stageError(error, StageErrorCategory.PUBLISH_ERROR));
    }
  }

  #wish(p: Participant): Wish {
    try {
      return wishes[this.strategy.shouldSubscribeToParticipant(this.#info(p))] ?? "nothing";
    } catch (error) {
      this.#tell(StageEvents.ERROR, stageError(error, StageErrorCategory.SUBSCRIBE_ERROR, p.id));
      return "nothing";
    }
  }

  #subscribe(subscriber: Subscriber): void {
    const id = subscriber.participantId;
    const participant = this.#known.get(id);
    if (!participant) return;
    const about = () => this.#info(this.#known.get(id) ?? participant);
    const inBand = this.strategy.subscribeConfiguration?.(about())?.inBandMessaging?.enabled ?? false;
    const subscription = new Subscription(subscriber, participant, inBand, {
      added: (streams) => this.#tell(StageEvents.STAGE_PARTICIPANT_STREAMS_ADDED, about(), streams),
      removed: (streams) => this.#tell(StageEvents.STAGE_PARTICIPANT_STREAMS_REMOVED, about(), streams),
      muted: (stream) => this.#tell(StageEvents.STAGE_STREAM_MUTE_CHANGED, about(), stream),
      state: (state) => this.#tell(StageEvents.STAGE_PARTICIPANT_SUBSCRIBE_STATE_CHANGED, about(), state),
      message: (message) => this.#tell(StageEvents.STAGE_STREAM_SEI_MESSAGE_RECEIVED, about(), message),
      error: (error) => this.#tell(StageEvents.ERROR, error),
    });
    this.#subscriptions.set(id, subscription);
  }

  #info(p: Participant): StageParticipantInfo {
    return p.id === this.token.participantId ? this.local : remoteParticipant(p);
  }

  #tellPublishing(p: Participant): void {
    const state = p.isPublishing ? PublishState.PUBLISHED : PublishState.NOT_PUBLISHED;
    this.#tell(StageEvents.STAGE_PARTICIPANT_PUBLISH_STATE_CHANGED, this.#info(p), state);
  }

  #tellState(state: ConnectionState): void {
    this.#tell(StageEvents.STAGE_CONNECTION_STATE_CHANGED, state);
  }

  #tell<Name extends keyof StageEventValues>(name: Name, ...values: StageEventValues[Name]): void {
    this.listeners.tell(name, ...values);
  }
}

/** What a participant's token says of them. */
function said(p: Participant): string {
  return JSON.stringify([p.userId, p.attributes]);
}
