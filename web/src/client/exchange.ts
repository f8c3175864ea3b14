import { StageError, errorFromResponse } from "./errors";
import type { Token } from "./token";

const timeout = 8000; // ms

/** Has the stage take another token of a participant that is connected. Throws the StageError with which it refuses. */
export async function exchangeToken(old: Token, token: Token): Promise<void> {
  let response: Response;
  try {
    response = await fetch(`${old.whipURL}/token`, {
      method: "PUT",
      headers: { Authorization: `Bearer ${old.raw}`, "Content-Type": "application/jwt" },
      body: token.raw,
      signal: AbortSignal.timeout(timeout),
    });
  } catch {
    throw new StageError("unreachable", `no answer from ${new URL(old.whipURL).host}`);
  }
  if (!response.ok) throw await errorFromResponse(response);
}
