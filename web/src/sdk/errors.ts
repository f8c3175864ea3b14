import { type ErrorCode, StageError as ClientError } from "../client";

export const StageErrorCode = {
  TOKEN_MALFORMED: 1,
  TOKEN_EXPIRED: 2,
  TIMEOUT: 3,
  FAILED: 4,
  CANCELED: 5,
  STAGE_AT_CAPACITY: 6,
  CODEC_MISMATCH: 7,
  TOKEN_NOT_ALLOWED: 8,
  STAGE_DELETED: 9,
  PARTICIPANT_DISCONNECTED: 10,
  TOKEN_EXCHANGE_REQUEST_INVALID: 11,
  TOKEN_EXCHANGE_FAILED: 12,
} as const;
export type StageErrorCode = (typeof StageErrorCode)[keyof typeof StageErrorCode];

export const StageErrorCategory = {
  JOIN_ERROR: "JOIN_ERROR",
  PUBLISH_ERROR: "PUBLISH_ERROR",
  SUBSCRIBE_ERROR: "SUBSCRIBE_ERROR",
  TOKEN_EXCHANGE_ERROR: "TOKEN_EXCHANGE_ERROR",
} as const;
export type StageErrorCategory = (typeof StageErrorCategory)[keyof typeof StageErrorCategory];

/** What the Stage rejects with, throws, and hands to listeners of StageEvents.ERROR. */
export class StageError extends Error {
  /** Whom a subscribe error is about. */
  readonly participantId: string | undefined;

  constructor(
    readonly code: StageErrorCode,
    readonly category: StageErrorCategory,
    message: string,
    options: { participantId?: string; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = "StageError";
    this.participantId = options.participantId;
  }
}

const codes: Partial<Record<ErrorCode, StageErrorCode>> = {
  TOKEN_MISSING: StageErrorCode.TOKEN_MALFORMED,
  TOKEN_MALFORMED: StageErrorCode.TOKEN_MALFORMED,
  TOKEN_EXPIRED: StageErrorCode.TOKEN_EXPIRED,
  unreachable: StageErrorCode.TIMEOUT,
  "media-timeout": StageErrorCode.TIMEOUT,
  QUOTA_EXCEEDED: StageErrorCode.STAGE_AT_CAPACITY,
  INVALID_VIDEO_CODEC: StageErrorCode.CODEC_MISMATCH,
  INVALID_AUDIO_CODEC: StageErrorCode.CODEC_MISMATCH,
  INSUFFICIENT_CAPABILITIES: StageErrorCode.TOKEN_NOT_ALLOWED,
  STAGE_NOT_FOUND: StageErrorCode.STAGE_DELETED,
  STAGE_DELETED: StageErrorCode.STAGE_DELETED,
  PARTICIPANT_DISCONNECTED: StageErrorCode.PARTICIPANT_DISCONNECTED,
};

/** Puts a failure of the stage client, or of anything else, into the terms of this interface. */
export function stageError(error: unknown, category: StageErrorCategory, participantId?: string): StageError {
  if (error instanceof StageError) return error;
  const code = error instanceof ClientError ? codes[error.code] : undefined;
  const message = error instanceof Error ? error.message : String(error);
  return new StageError(code ?? StageErrorCode.FAILED, category, message, { participantId, cause: error });
}
