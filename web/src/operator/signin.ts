import { byId } from "../ui/dom";
import type { Key } from "./api";

const place = "footlight.key";

/** The key of this tab; it is forgotten with the tab. */
export function rememberedKey(): Key | undefined {
  try {
    const key = JSON.parse(sessionStorage.getItem(place) ?? "null") as Key | null;
    return key && typeof key.id === "string" && typeof key.secret === "string" ? key : undefined;
  } catch {
    return undefined;
  }
}

export function remember(key: Key): void {
  try {
    sessionStorage.setItem(place, JSON.stringify(key));
  } catch {
    // Storage is switched off: the key is asked for again after a reload.
  }
}

export function forget(): void {
  try {
    sessionStorage.removeItem(place);
  } catch {
    // It was not there.
  }
}

/** Shows the form until somebody has signed in, which check decides: it returns why not. */
export function askForKey(why: string, check: (key: Key) => Promise<string>): void {
  const form = byId<HTMLFormElement>("signin");
  const id = byId<HTMLInputElement>("key-id");
  const secret = byId<HTMLInputElement>("key-secret");
  const message = byId("signin-message");
  const say = (text: string) => {
    message.hidden = text === "";
    message.textContent = text;
  };
  form.hidden = false;
  say(why !== "" ? why : privateHere() ? "" : warning);
  id.focus();
  form.onsubmit = async (event) => {
    event.preventDefault();
    const key = { id: id.value.trim(), secret: secret.value.trim() };
    if (key.id === "" || key.secret === "") {
      say("Both are needed. On the server, footlight env prints them.");
      return;
    }
    form.classList.add("busy");
    const refusal = await check(key);
    form.classList.remove("busy");
    say(refusal);
    if (refusal !== "") return;
    secret.value = "";
    remember(key);
    form.hidden = true;
  };
}

const warning =
  "This page came without encryption. The server takes a secret only over HTTPS, or on its own machine: others could read it on its way.";

/** Whether a secret that is typed here reaches the server unseen. */
function privateHere(): boolean {
  return location.protocol === "https:" || ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
}
