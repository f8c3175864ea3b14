import { byId } from "./dom";

export type Status = "idle" | "connecting" | "live" | "reconnecting" | "offline" | "ended";

/** Shows a state in the page's header; an empty text hides the pill. */
export function setStatus(status: Status, text: string): void {
  const pill = byId("status");
  pill.dataset["state"] = status;
  pill.textContent = text;
}
