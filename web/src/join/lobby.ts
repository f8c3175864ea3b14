import { StageError, type Token, decodeToken, displayName } from "../client";
import { copyText } from "../ui/clipboard";
import { byId, make, memory } from "../ui/dom";
import { meter } from "./level";
import { type Explanation, explain } from "./messages";
import { type Quality, type Source, openDevices, openPattern, qualities } from "./sources";

export type Kind = "camera" | "pattern" | "none";

/** What the lobby hands over: who joins, and with what. The source is the stage's to stop. */
export interface Entry {
  token: Token;
  kind: Kind;
  source: Source | undefined;
  maxBitrate: number;
  /** Of the participant that our screen is, where the link brought one. */
  screen: Token | undefined;
}

const tokenField = byId<HTMLTextAreaElement>("token");
const facts = byId("token-facts");
const tokenNote = byId("token-note");
const copyLink = byId<HTMLButtonElement>("copy-link");
const message = byId("message");
const previewBox = byId("preview-box");
const preview = byId<HTMLVideoElement>("preview");
const previewStart = byId<HTMLButtonElement>("preview-start");
const cameras = byId<HTMLSelectElement>("camera");
const microphones = byId<HTMLSelectElement>("microphone");
const quality = byId<HTMLSelectElement>("quality");
const joinButton = byId<HTMLButtonElement>("join");

/** The page before joining: the token, what to step on with, and a preview of it. */
export class Lobby {
  #source: Source | undefined;
  #opening: Promise<Source | undefined> | undefined; // leads to #source
  #opened = ""; // what it was opened with, to tell whether it still fits
  #stopMeter = () => {};
  /** Of the participant that our screen is to be, as the link says. */
  screen: Token | undefined;
  #turn = 0; // counts the openings: a slow one that was overtaken is thrown away

  constructor(readonly enter: (entry: Entry) => void) {
    byId("setup").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.submit();
    });
    tokenField.addEventListener("input", () => this.#tokenChanged());
    byId("source").addEventListener("change", () => {
      this.tell(undefined);
      void this.refresh();
    });
    copyLink.addEventListener("click", () => {
      const link = new URL(`${location.pathname}#token=${tokenField.value.trim()}`, location.href);
      void copyText(link.href, copyLink);
    });
    previewStart.addEventListener("click", () => void this.#preview());
    for (const field of [cameras, microphones, quality]) {
      field.addEventListener("change", () => {
        memory.set(field.id, field.value);
        if (this.#source) void this.#preview();
      });
    }
    navigator.mediaDevices?.addEventListener("devicechange", () => void listDevices());
    this.quality = memory.get("quality");
  }

  get kind(): Kind {
    return document.querySelector<HTMLInputElement>("input[name=source]:checked")!.value as Kind;
  }

  set kind(kind: Kind) {
    document.querySelector<HTMLInputElement>(`input[name=source][value=${kind}]`)!.checked = true;
  }

  /** Anything that is no quality is ignored. */
  set quality(name: string) {
    if (name in qualities) quality.value = name;
  }

  set token(text: string) {
    tokenField.value = text;
    this.#tokenChanged();
  }

  /** Shows the lobby's preview again, without asking for a permission that is not given yet. */
  async refresh(): Promise<void> {
    this.#close();
    const turn = this.#turn;
    await listDevices();
    const unasked = this.kind === "pattern" || (this.kind === "camera" && (await permitted()));
    // Whoever chose or joined meanwhile has opened what they want.
    if (unasked && turn === this.#turn) {
      await this.#preview();
    }
  }

  /** Opens what is chosen and previews it. Throws what the browser says when it cannot. */
  open(): Promise<Source | undefined> {
    const want = [this.kind, cameras.value, microphones.value, quality.value, this.#name()].join("|");
    if (this.#opening && want === this.#opened) return this.#opening;
    this.#close();
    this.#opened = want;
    const opening = this.#start(++this.#turn).catch((error: unknown) => {
      if (this.#opening === opening) this.#opening = undefined;
      throw error;
    });
    this.#opening = opening;
    return opening;
  }

  async #start(turn: number): Promise<Source | undefined> {
    const { kind } = this;
    if (kind === "none") return undefined;
    if (kind === "camera" && !navigator.mediaDevices) throw new DOMException("", "InsecureContext");
    const source =
      kind === "pattern"
        ? openPattern(this.#name(), quality.value as Quality)
        : await openDevices(cameras.value, microphones.value, quality.value as Quality);
    if (turn !== this.#turn) {
      source.stop();
      throw new DOMException("another source was chosen meanwhile", "AbortError");
    }
    this.#source = source;
    preview.srcObject = source.stream;
    previewBox.dataset["kind"] = kind;
    this.#stopMeter = meter(source.stream, byId("level"));
    if (kind === "camera") void listDevices();
    return source;
  }

  /** Checks the token, opens the source and enters. Every failure is told on the page. */
  async submit(): Promise<void> {
    let token: Token;
    try {
      token = readToken(tokenField.value);
      if (this.kind === "none" && !token.canSubscribe) {
        throw new StageError("INSUFFICIENT_CAPABILITIES", "publish only");
      }
    } catch (error) {
      this.tell(explain(error));
      tokenField.focus();
      return;
    }
    joinButton.disabled = true;
    try {
      const source = token.canPublish ? await this.open() : undefined;
      const kind = source ? this.kind : "none";
      this.#release();
      this.enter({ token, kind, source, maxBitrate: qualities[quality.value as Quality].bitrate, screen: this.screen });
    } catch (error) {
      this.#fail(error);
    } finally {
      joinButton.disabled = false;
    }
  }

  tell(what: Explanation | undefined, tone: "error" | "calm" = "error"): void {
    message.hidden = what === undefined;
    message.dataset["tone"] = tone;
    if (what) message.replaceChildren(make("strong", "", what.title), ` ${what.text}`);
  }

  /** Opens for the preview only. */
  async #preview(): Promise<void> {
    await this.open().catch((error: unknown) => this.#fail(error));
  }

  /** Tells why opening failed; that another source was chosen meanwhile is no failure. */
  #fail(error: unknown): void {
    if (!(error instanceof DOMException && error.name === "AbortError")) this.tell(explain(error));
  }

  #name(): string {
    try {
      const { participantId, userId, attributes } = decodeToken(tokenField.value);
      return displayName({ id: participantId, userId, attributes });
    } catch {
      return "Test pattern";
    }
  }

  #tokenChanged(): void {
    facts.hidden = copyLink.hidden = true;
    tokenNote.hidden = false;
    tokenField.classList.remove("read");
    joinButton.textContent = "Join stage";
    this.tell(undefined);
    if (tokenField.value.trim() === "") return;
    try {
      const token = readToken(tokenField.value);
      facts.replaceChildren(...describe(token));
      facts.hidden = copyLink.hidden = false;
      tokenNote.hidden = true;
      tokenField.classList.add("read");
      for (const input of document.querySelectorAll<HTMLInputElement>("input[name=source]")) {
        input.disabled = !token.canPublish && input.value !== "none";
      }
      if (!token.canPublish) {
        this.kind = "none";
        joinButton.textContent = "Watch stage";
        this.#close();
      } else if (this.kind === "pattern") {
        void this.#preview(); // with the new name
      }
    } catch (error) {
      this.tell(explain(error));
    }
  }

  /** Forgets the source without stopping it: the stage has it now. */
  #release(): void {
    this.#source = undefined;
    this.#close();
  }

  #close(): void {
    this.#turn++;
    this.#stopMeter();
    this.#stopMeter = () => {};
    this.#source?.stop();
    this.#source = this.#opening = undefined;
    preview.srcObject = null;
    previewBox.dataset["kind"] = "none";
    const camera = this.kind === "camera";
    byId("preview-icon").setAttribute("href", camera ? "#i-camera" : this.kind === "pattern" ? "#i-pattern" : "#i-eye");
    byId("preview-text").textContent = camera ? "Your camera is off" : "You will be seen by name only";
    previewStart.hidden = !camera;
    byId("device-fields").dataset["kind"] = this.kind;
  }
}

/** Decodes and refuses what has expired by this machine's clock. */
function readToken(text: string): Token {
  if (text.trim() === "") throw new StageError("TOKEN_MISSING", "no token");
  const token = decodeToken(text);
  if (token.expires.getTime() < Date.now()) throw new StageError("TOKEN_EXPIRED", "expired");
  return token;
}

function describe(token: Token): HTMLElement[] {
  const { participantId, userId, attributes } = token;
  const may = [token.canPublish ? "publish" : "", token.canSubscribe ? "subscribe" : ""].filter(Boolean).join(" and ");
  const rows: [string, string][] = [
    ["Name", displayName({ id: participantId, userId, attributes })],
    ["Stage", token.stageId],
    ["May", may || "nothing"],
    ["Valid until", token.expires.toLocaleString([], { dateStyle: "medium", timeStyle: "short" })],
  ];
  return rows.map(([term, value]) => make("div", "", make("dt", "", term), make("dd", "", value)));
}

/** Whether camera and microphone open without a question. */
async function permitted(): Promise<boolean> {
  if (!navigator.mediaDevices || !navigator.permissions) return false;
  const ask = (name: string) => navigator.permissions.query({ name: name as PermissionName });
  const states = await Promise.all([ask("camera"), ask("microphone")]).catch(() => []);
  return states.length > 0 && states.every((s) => s.state === "granted");
}

async function listDevices(): Promise<void> {
  const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  fill(cameras, devices.filter((d) => d.kind === "videoinput"), "Camera");
  fill(microphones, devices.filter((d) => d.kind === "audioinput"), "Microphone");
}

/** Browsers leave ids and names empty until the permission is given: then only the default can be chosen. */
function fill(select: HTMLSelectElement, devices: MediaDeviceInfo[], noun: string): void {
  const named = devices.filter((d) => d.deviceId !== "" && d.deviceId !== "default");
  const chosen = select.value || memory.get(select.id);
  select.replaceChildren(
    new Option("Default", ""),
    ...named.map((d, i) => new Option(d.label || `${noun} ${i + 1}`, d.deviceId)),
    new Option(`No ${noun.toLowerCase()}`, "none"),
  );
  select.value = chosen;
  if (select.selectedIndex < 0) select.value = "";
}
