import { type Member, displayName } from "../client";
import { icon, make } from "../ui/dom";
import { bestGrid } from "./grid";
import { LinkMeter, barsText } from "./link";
import { hueOf } from "./pattern";

const aspect = 16 / 9;
/** Audio level (0..1, linear) from which somebody counts as speaking. */
const speakingLevel = 0.03;

/** What we send, for our own tile. */
export interface Local {
  stream: MediaStream | undefined;
  mirrored: boolean;
  connection: RTCPeerConnection | undefined;
}

interface Tile {
  root: HTMLElement;
  video: HTMLVideoElement;
  note: HTMLElement;
  marks: HTMLElement;
  bars: HTMLElement;
  link: LinkMeter;
}

/** Whether a participant shows a screen, by the attribute that IVS's documents use. */
function showsScreen(member: Member): boolean {
  return member.attributes["screen-share"] === "true";
}

/** The grid of people on the stage. Call show whenever something changed; it keeps the elements of those who stay. */
export class Tiles {
  readonly #tiles = new Map<string, Tile>();
  #members: readonly Member[] = [];
  #local: Local = { stream: undefined, mirrored: false, connection: undefined };
  #pinned: string | undefined; // chosen by the viewer; "" when they chose nobody

  /** `silenced` is called when the browser does not let sound play before a click. */
  constructor(
    readonly grid: HTMLElement,
    readonly silenced: () => void,
  ) {
    new ResizeObserver(() => this.#arrange()).observe(grid);
    setInterval(() => void this.#hear(), 250);
    setInterval(() => void this.#rate(), 2000);
  }

  show(members: readonly Member[], local: Local): void {
    this.#members = members;
    this.#local = local;
    for (const [id, tile] of this.#tiles) {
      if (members.some((m) => m.id === id)) continue;
      tile.video.srcObject = null;
      tile.root.remove();
      this.#tiles.delete(id);
    }
    for (const member of members) {
      const tile = this.#tiles.get(member.id) ?? this.#add(member);
      const stream = member.isLocal ? local.stream : member.subscriber?.stream;
      if (tile.video.srcObject !== (stream ?? null)) {
        tile.video.srcObject = stream ?? null;
        if (stream) this.#play(tile.video);
      }
      const hidden = stream === undefined || member.videoStopped;
      tile.root.classList.toggle("faceless", hidden);
      tile.root.classList.toggle("mirrored", member.isLocal && local.mirrored);
      tile.root.dataset["state"] = member.isLocal ? "local" : (member.subscriber?.state ?? "silent");
      tile.note.textContent = note(member, local);
      tile.marks.replaceChildren(
        ...(stream && member.audioMuted ? [icon("mic-off")] : []),
        ...(stream && member.videoStopped ? [icon("camera-off")] : []),
      );
    }
    this.#arrange();
  }

  /** Shows somebody large and the others beside, or everybody alike again. Without a choice, a shared screen is large. */
  pin(id: string): void {
    this.#pinned = this.#large === id ? "" : id;
    this.#arrange();
  }

  get #large(): string | undefined {
    if (this.#tiles.size < 2) return undefined;
    if (this.#pinned !== undefined && (this.#pinned === "" || this.#tiles.has(this.#pinned))) return this.#pinned || undefined;
    return this.#members.find((m) => showsScreen(m) && m.isPublishing && !m.isLocal)?.id;
  }

  /** Lets everyone be heard; call from a click. */
  unmute(): void {
    for (const member of this.#members) {
      const tile = this.#tiles.get(member.id);
      if (!tile || member.isLocal) continue;
      tile.video.muted = false;
      void tile.video.play();
    }
  }

  #add(member: Member): Tile {
    const name = displayName(member);
    const video = make("video");
    video.autoplay = true;
    video.playsInline = true;
    video.muted = member.isLocal;
    const note = make("span", "tile-note");
    const marks = make("span", "tile-marks");
    const bars = make("span", "tile-bars", make("i"), make("i"), make("i"));
    bars.setAttribute("role", "img");
    const pin = make("button", "tile-pin", icon("pin"));
    pin.type = "button";
    pin.addEventListener("click", () => this.pin(member.id));
    const root = make(
      "article",
      "tile",
      make("div", "tile-back", make("div", "avatar", initials(name))),
      video,
      note,
      make("footer", "tile-foot", make("span", "tile-name", member.isLocal ? `${name} (you)` : name), marks, bars),
      pin,
    );
    root.addEventListener("dblclick", () => this.pin(member.id));
    root.addEventListener("pointerup", ({ pointerType, target }) => {
      // A finger has nothing to hover with: a tap does what the button does.
      if (pointerType === "touch" && !(target as Element).closest("button")) this.pin(member.id);
    });
    root.style.setProperty("--hue", String(hueOf(name)));
    root.dataset["participant"] = member.id;
    root.setAttribute("aria-label", name);
    this.grid.append(root);
    const tile = { root, video, note, marks, bars, link: new LinkMeter() };
    this.#tiles.set(member.id, tile);
    return tile;
  }

  #play(video: HTMLVideoElement): void {
    video.play().catch((error: unknown) => {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return;
      video.muted = true;
      void video.play().catch(() => undefined);
      this.silenced();
    });
  }

  #arrange(): void {
    const box = this.grid.getBoundingClientRect();
    const gap = parseFloat(getComputedStyle(this.grid).columnGap) || 0;
    const large = this.#large;
    const { width } = bestGrid(this.#tiles.size, box.width, box.height, aspect, gap);
    this.grid.style.setProperty("--tile", `${width}px`);
    this.grid.classList.toggle("pinned", large !== undefined);
    for (const [id, { root }] of this.#tiles) {
      root.classList.toggle("large", id === large);
      const pin = root.querySelector(".tile-pin")!;
      const text = id === large ? "Show everybody alike" : `Show ${root.getAttribute("aria-label")} large`;
      pin.setAttribute("aria-label", text);
      pin.setAttribute("aria-pressed", String(id === large));
      pin.setAttribute("title", text);
    }
  }

  /** Shows how well each connection does. */
  async #rate(): Promise<void> {
    for (const { id, isLocal, subscriber } of this.#members) {
      const tile = this.#tiles.get(id);
      if (!tile) continue;
      const bars = await tile.link.measure(isLocal ? this.#local.connection : subscriber?.connection);
      tile.bars.dataset["bars"] = String(bars);
      tile.bars.setAttribute("aria-label", barsText[bars]);
      tile.bars.title = barsText[bars];
    }
  }

  /** Rings the tiles of those who speak. */
  async #hear(): Promise<void> {
    for (const { id, subscriber } of this.#members) {
      const level = (await subscriber?.audioLevel()) ?? 0;
      this.#tiles.get(id)?.root.classList.toggle("speaking", level > speakingLevel);
    }
  }
}

function note(member: Member, local: Local): string {
  if (member.isLocal) return local.stream === undefined ? "Only watching" : "";
  switch (member.subscriber?.state) {
    case undefined:
      return "Not publishing";
    case "connecting":
      return "Connecting…";
    case "reconnecting":
      return "Reconnecting…";
    case "failed":
      return "Cannot be received";
    default:
      return "";
  }
}

/** One or two letters for somebody whose picture is off. */
function initials(name: string): string {
  const words = name.split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : [words[0] ?? "?"];
  return letters.map((word) => Array.from(word ?? "")[0] ?? "").join("").toUpperCase();
}
