import { StageError } from "./errors";

/** What a participant token says about itself. The signature is the server's business: clients only read. */
export interface Token {
  /** The JWT as given, for Authorization and the events socket. */
  readonly raw: string;
  /** Claim jti. */
  readonly participantId: string;
  /** Claim topic: the last part of the stage's ARN. */
  readonly stageId: string;
  readonly stageARN: string;
  /** Claim whip_url, without a trailing slash. */
  readonly whipURL: string;
  /** Claim events_url, without a trailing slash. */
  readonly eventsURL: string;
  readonly userId: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly canPublish: boolean;
  readonly canSubscribe: boolean;
  /** Checked by the server when joining; a joined participant stays. */
  readonly expires: Date;
}

/** Decodes a token. Throws a StageError TOKEN_MALFORMED that says what is wrong with it. */
export function decodeToken(text: string): Token {
  const raw = text.trim();
  const parts = raw.split(".");
  if (parts.length !== 3 || parts[1] === undefined) {
    throw malformed("a token has three parts separated by dots. Copy all of it, without quotes");
  }
  let claims: Record<string, unknown>;
  try {
    const parsed: unknown = JSON.parse(decodeBase64URL(parts[1]));
    if (typeof parsed !== "object" || parsed === null) throw new Error("not an object");
    claims = parsed as Record<string, unknown>;
  } catch {
    throw malformed("its payload cannot be read. Was it cut off?");
  }
  const capabilities = (claims["capabilities"] ?? {}) as Record<string, unknown>;
  return {
    raw,
    participantId: required(claims, "jti"),
    stageId: required(claims, "topic"),
    stageARN: string(claims["resource"]),
    whipURL: url(claims, "whip_url", ["http:", "https:"]),
    eventsURL: url(claims, "events_url", ["ws:", "wss:"]),
    userId: string(claims["user_id"]),
    attributes: strings(claims["attributes"]),
    canPublish: capabilities["allow_publish"] === true,
    canSubscribe: capabilities["allow_subscribe"] === true,
    expires: new Date(number(claims, "exp") * 1000),
  };
}

/** The name to show for a participant: what its token's maker most likely meant as one. */
export function displayName(p: {
  id: string;
  userId: string;
  attributes: Readonly<Record<string, string>>;
}): string {
  return p.attributes["username"] || p.attributes["name"] || p.userId || p.id;
}

function decodeBase64URL(text: string): string {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(binary, (c) => c.charCodeAt(0)));
}

function malformed(why: string): StageError {
  return new StageError("TOKEN_MALFORMED", `This is not a participant token: ${why}.`);
}

function string(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function strings(value: unknown): Record<string, string> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

function required(claims: Record<string, unknown>, name: string): string {
  const value = string(claims[name]);
  if (value === "") throw malformed(`the claim ${name} is missing`);
  return value;
}

function number(claims: Record<string, unknown>, name: string): number {
  const value = claims[name];
  if (typeof value !== "number" || !Number.isFinite(value)) throw malformed(`the claim ${name} is missing`);
  return value;
}

function url(claims: Record<string, unknown>, name: string, schemes: string[]): string {
  const value = required(claims, name);
  if (!URL.canParse(value) || !schemes.includes(new URL(value).protocol)) {
    throw malformed(`the claim ${name} is not a ${schemes.join(" or ")} address`);
  }
  return value.replace(/\/+$/, "");
}
