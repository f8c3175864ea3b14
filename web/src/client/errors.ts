/**
 * Why something with a stage did not work. Codes in capitals come from the server as they are;
 * the others (lower case) are found on this side of the wire.
 */
export type ErrorCode =
  | "TOKEN_MISSING"
  | "TOKEN_MALFORMED"
  | "TOKEN_EXPIRED"
  | "INSUFFICIENT_CAPABILITIES"
  | "PARTICIPANT_DISCONNECTED"
  | "STAGE_NOT_FOUND"
  | "PUBLISHER_NOT_FOUND"
  | "SESSION_NOT_FOUND"
  | "INVALID_INPUT"
  | "INVALID_VIDEO_CODEC"
  | "INVALID_AUDIO_CODEC"
  | "QUOTA_EXCEEDED"
  | "INTERNAL_SERVER_EXCEPTION"
  | "TOKEN_REUSED" // the events socket was closed for a newer one
  | "STAGE_DELETED" // the events socket was closed with the stage
  | "unreachable" // no answer over HTTP
  | "media-timeout" // the answer came, but media cannot flow (firewall, UDP blocked)
  | "bad-answer"; // the answer is not SDP

/** Trying again cannot help until somebody changes something. */
const finalCodes: ReadonlySet<string> = new Set([
  "TOKEN_MISSING",
  "TOKEN_MALFORMED",
  "TOKEN_EXPIRED",
  "INSUFFICIENT_CAPABILITIES",
  "PARTICIPANT_DISCONNECTED",
  "STAGE_NOT_FOUND",
  "INVALID_INPUT",
  "INVALID_VIDEO_CODEC",
  "INVALID_AUDIO_CODEC",
  "QUOTA_EXCEEDED",
  "TOKEN_REUSED",
  "STAGE_DELETED",
]);

/** A refusal or a failure, with its reason. `status` is the HTTP status, 0 where there was none. */
export class StageError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly status = 0,
  ) {
    super(message);
    this.name = "StageError";
  }

  /** True when retrying by itself is pointless. */
  get final(): boolean {
    return finalCodes.has(this.code);
  }
}

const byStatus: Record<number, ErrorCode> = {
  400: "INVALID_INPUT",
  401: "TOKEN_MALFORMED",
  403: "INSUFFICIENT_CAPABILITIES",
  404: "STAGE_NOT_FOUND",
};

/**
 * Reads the server's refusal: a JSON body with code and message (exceptionMessage is understood too),
 * or the x-amzn-ErrorType header, or else only the status.
 */
export async function errorFromResponse(response: Response): Promise<StageError> {
  const text = (await response.text().catch(() => "")).trim();
  let body: Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null) body = parsed as Record<string, unknown>;
  } catch {
    // Not JSON: a proxy's page or a bare line of text.
  }
  const named = body["code"] ?? body["errorCode"] ?? response.headers.get("x-amzn-ErrorType");
  const said = body["message"] ?? body["exceptionMessage"];
  const code =
    typeof named === "string" && named !== ""
      ? (named as ErrorCode)
      : (byStatus[response.status] ?? "INTERNAL_SERVER_EXCEPTION");
  const message = typeof said === "string" && said !== "" ? said : `the server answered ${response.status}`;
  return new StageError(code, message, response.status);
}
