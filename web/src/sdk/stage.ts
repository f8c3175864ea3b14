import { type Token, decodeToken } from "../client";
import { StageEvents, StageLeftReason } from "./enums";
import { StageError, StageErrorCategory, StageErrorCode, stageError } from "./errors";
import type { StageEventValues } from "./events";
import { Listeners } from "./listeners";
import { Stay } from "./stay";
import type { StageStrategy } from "./strategy";

/**
 * A stage, for the holder of a participant token. It stays joined through changes of the network and restarts of the
 * server until leave, or until the server says that it cannot. Everything is told by events; see StageEvents.
 *
 * May be subclassed. leave and refreshStrategy may be passed on without their stage; so may on, bound to it.
 */
export class Stage {
  readonly #listeners = new Listeners<StageEventValues>();
  #token: string;
  #strategy: StageStrategy;
  #stay: Stay | undefined;

  constructor(token: string, strategy: StageStrategy) {
    this.#token = token;
    this.#strategy = strategy;
  }

  /** Resolves when the stage has us. Rejects with a StageError, of which listeners are told too. */
  join(): Promise<void> {
    if (this.#stay) return this.#stay.joined;
    let token: Token;
    try {
      token = decodeToken(this.#token);
    } catch (cause) {
      const error = stageError(cause, StageErrorCategory.JOIN_ERROR);
      this.#listeners.tell(StageEvents.ERROR, error);
      return Promise.reject(error);
    }
    const stay = new Stay(token, this.#strategy, this.#listeners, () => {
      if (this.#stay === stay) this.#stay = undefined;
    });
    this.#stay = stay;
    stay.start();
    return stay.joined;
  }

  /** Leaves at once. The tracks that were published go on: stopping a camera is the app's affair. */
  readonly leave = (): void => {
    this.#stay?.leave(StageLeftReason.USER_INITIATED);
  };

  /** Asks the strategy again: call it when what the strategy would answer has changed. */
  readonly refreshStrategy = (): void => {
    this.#stay?.refresh();
  };

  replaceStrategy(strategy: StageStrategy): void {
    this.#strategy = strategy;
    this.#stay?.follow(strategy);
  }

  /**
   * Exchanges the token for another one of the same participant, without connecting anew. Both must be signed with an
   * imported key; attributes, user id and capabilities may differ. Before joining, the new one merely takes the old one's place.
   */
  async exchangeToken(token: string): Promise<void> {
    let decoded: Token;
    try {
      decoded = decodeToken(token);
    } catch (cause) {
      throw exchangeError(StageErrorCode.TOKEN_EXCHANGE_REQUEST_INVALID, cause);
    }
    try {
      await this.#stay?.exchange(decoded);
    } catch (cause) {
      throw exchangeError(StageErrorCode.TOKEN_EXCHANGE_FAILED, cause);
    }
    this.#token = token;
  }

  on<Name extends keyof StageEventValues>(event: Name, listener: (...values: StageEventValues[Name]) => void): void {
    this.#listeners.add(event, listener);
  }

  off<Name extends keyof StageEventValues>(event: Name, listener: (...values: StageEventValues[Name]) => void): void {
    this.#listeners.remove(event, listener);
  }

  removeAllListeners(): void {
    this.#listeners.clear();
  }
}

function exchangeError(code: StageErrorCode, cause: unknown): StageError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new StageError(code, StageErrorCategory.TOKEN_EXCHANGE_ERROR, message, { cause });
}
