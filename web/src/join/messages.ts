import { StageError } from "../client";

/** What to tell a person about a failure: what happened, and what helps. */
export interface Explanation {
  title: string;
  text: string;
}

const stageErrors: Partial<Record<StageError["code"], Explanation>> = {
  TOKEN_MISSING: { title: "No token", text: "Paste a participant token to join." },
  TOKEN_EXPIRED: { title: "This token has expired", text: "Ask for a new one and paste it here." },
  STAGE_NOT_FOUND: {
    title: "This stage does not exist",
    text: "It was deleted, or the token belongs to another server.",
  },
  INSUFFICIENT_CAPABILITIES: {
    title: "This token does not allow that",
    text: "It lacks the right to publish or to subscribe. Ask for a token with both.",
  },
  PARTICIPANT_DISCONNECTED: {
    title: "You were removed from the stage",
    text: "This token cannot join again. Ask for a new one.",
  },
  TOKEN_REUSED: {
    title: "This token joined somewhere else",
    text: "A token stands for one participant: the newer page took over. Ask for another token to join twice.",
  },
  STAGE_DELETED: { title: "The stage was deleted", text: "Ask for a token of another stage." },
  QUOTA_EXCEEDED: { title: "The stage is full", text: "Wait until somebody leaves, then try again." },
  INVALID_VIDEO_CODEC: {
    title: "This browser cannot send H.264",
    text: "A stage needs it. Try Chrome, Edge, Safari or Firefox in a current version.",
  },
  "media-timeout": {
    title: "The picture cannot get through",
    text: "The server answers, but media is blocked: UDP and TCP port 4081 must be open. Trying again.",
  },
  unreachable: { title: "The server does not answer", text: "Trying again until it is back." },
};

const deviceErrors: Record<string, Explanation> = {
  NotAllowedError: {
    title: "Camera and microphone are blocked",
    text: "Allow them for this site in the address bar, or step on with the test pattern.",
  },
  NotFoundError: { title: "No camera or microphone found", text: "Connect one, or step on with the test pattern." },
  NotReadableError: {
    title: "The camera is in use",
    text: "Another program holds it. Close that one, or choose another camera.",
  },
  OverconstrainedError: { title: "That device is gone", text: "Choose another camera or microphone." },
  InsecureContext: {
    title: "Cameras need a secure page",
    text: "Browsers give them only to https:// and localhost. The test pattern works here.",
  },
};

/** Turns any failure of the join page into words. Never shows a stack or a token. */
export function explain(error: unknown): Explanation {
  if (error instanceof StageError) {
    if (error.code === "TOKEN_MALFORMED") {
      return error.status === 0
        ? { title: "This is not a participant token", text: after(error.message) }
        : { title: "The server does not accept this token", text: "It was changed, or signed by another server." };
    }
    return stageErrors[error.code] ?? { title: "The stage refused", text: error.message };
  }
  if (error instanceof DOMException) {
    return deviceErrors[error.name] ?? { title: "The camera cannot be opened", text: error.message };
  }
  return { title: "Something went wrong", text: error instanceof Error ? error.message : String(error) };
}

/** The reason in "This is not a participant token: reason." as a sentence of its own. */
function after(message: string): string {
  const reason = message.slice(message.indexOf(": ") + 2);
  return reason.charAt(0).toUpperCase() + reason.slice(1);
}
