import type { API, Destination, Details } from "../operator/api";
import { span } from "../operator/format";
import { setText } from "../operator/keyed";
import { Session } from "../operator/session";
import { byId, memory, onKeys, setIcon } from "../ui/dom";
import { Player, needsNative } from "../watch/player";
import { Figures } from "./figures";
import { List, showState, stageOf } from "./list";
import { Look } from "./look";
import { Overlay, canvasOf } from "./overlay";
import { Tables } from "./tables";

/** One question a second: heartbeats come twice as often. */
const every = 1000;

const list = new List();
const overlay = new Overlay();
const figures = new Figures();
const tables = new Tables();
const look = new Look(() => session.api, () => session.wake());

let chosen: Details | undefined;
let player: Player | undefined;

const video = byId<HTMLVideoElement>("video");
const screen = byId("screen");
const layoutButton = byId<HTMLButtonElement>("toggle-layout");

function chosenId(): string {
  return location.hash.slice(1);
}

async function ask(api: API, current: () => boolean): Promise<void> {
  const { compositions: all, capacity } = await api.compositions();
  if (!current()) return;
  setText(byId("capacity"), capacity ? `${capacity.used.toFixed(1)} of ${capacity.cores.toFixed(1)} cores in use` : "");
  const id = all.some((c) => c.id === chosenId()) ? chosenId() : (all[0]?.id ?? "");
  if (id !== chosenId()) history.replaceState(null, "", id === "" ? location.pathname : `#${id}`);
  list.show(all, id);
  byId("list-card").hidden = false;
  const details = id === "" ? undefined : await api.composition(id);
  if (current() && chosenId() === id) show(details);
}

function show(now: Details | undefined): void {
  byId("detail").hidden = now === undefined;
  if (now === undefined) {
    watch(undefined);
    chosen = undefined;
    return;
  }
  if (now.id !== chosen?.id) {
    overlay.clear();
    figures.clear();
    tables.clear();
  }
  chosen = now;
  showState(byId("state"), now.state);
  setText(byId("name"), now.id);
  setText(byId("stage"), stageOf(now));
  setText(byId("age"), now.endTime ? `ended ${span((Date.now() - Date.parse(now.endTime)) / 1000)} ago` : `for ${span((Date.now() - Date.parse(now.startTime)) / 1000)}`);
  setText(byId("restarts"), now.composer.restarts === 0 ? "" : `${now.composer.restarts} ${now.composer.restarts === 1 ? "restart" : "restarts"}`);
  document.title = `${now.id} · Footlight`;
  showBanners(now);
  watch(now);
  if (now.measurements) overlay.add(now.measurements);
  figures.add(now);
  tables.show(now);
  look.show(now);
}

/** What somebody should know at once. */
function showBanners(now: Details): void {
  const said: [tone: string, title: string, text: string][] = [];
  const { composer } = now;
  const cause = [now.cause?.code, now.cause?.reason].filter(Boolean).join(": ");
  if (now.state === "FAILED") said.push(["bad", "The composition has failed", cause]);
  if (composer.overloaded) said.push(["bad", "The machine is too slow", "Pictures are left out, so that the sound goes on without a gap."]);
  if (composer.alert) said.push(["bad", "Something is wrong with the output", `It is ${composer.alert}, although the participants are well.`]);
  if (now.idleSince && now.stopsAt) {
    said.push(["calm", "Nobody publishes", `The composition stops by itself in ${span((Date.parse(now.stopsAt) - Date.now()) / 1000)}.`]);
  }
  if (!now.endTime && now.state === "ACTIVE" && !composer.pid) said.push(["bad", "There is no composer", "A new one is being started."]);
  if (composer.restarts > 0) said.push(["calm", `The composer was replaced ${composer.restarts === 1 ? "once" : `${composer.restarts} times`}`, composer.lastExit ?? ""]);
  const key = JSON.stringify(said);
  const banners = byId("banners");
  if (banners.dataset["key"] === key) return;
  banners.dataset["key"] = key;
  banners.replaceChildren(
    ...said.map(([tone, title, text]) => {
      const banner = document.createElement("p");
      banner.className = "message";
      banner.dataset["tone"] = tone;
      const strong = document.createElement("strong");
      strong.textContent = title;
      banner.append(strong, text);
      return banner;
    }),
  );
}

/** The destination whose picture is shown: a channel. */
function watched({ destinations }: Details): Destination | undefined {
  return destinations.find(({ playbackUrl }) => playbackUrl !== undefined);
}

/** Plays the first channel of a composition for as long as it is chosen. */
function watch(now: Details | undefined): void {
  const url = now && watched(now)?.playbackUrl;
  const address = url === undefined ? undefined : new URL(new URL(url).pathname, location.origin).href;
  if (player?.url === address) return;
  player?.close();
  player = undefined;
  screen.dataset["state"] = "idle";
  if (address === undefined) return;
  player = new Player(video, address, needsNative());
  player.on("state", (state) => {
    screen.dataset["state"] = state;
    setText(byId("screen-note"), notes[state] ?? "");
  });
  player.start();
}

const notes: Record<string, string> = {
  checking: "Looking for the stream…", reconnecting: "The stream is interrupted", offline: "Nothing is on the channel",
  ended: "The stream has ended", refused: "The channel is private: its picture needs a playback token",
};

/** Draws the layout of the picture that is seen, several times a second. */
function drawLayout(): void {
  if (!chosen?.measurements) {
    overlay.show("", undefined);
    return;
  }
  const destination = watched(chosen)?.id ?? chosen.destinations[0]?.id ?? "";
  const canvas = canvasOf(chosen.measurements, destination);
  if (canvas) screen.style.aspectRatio = `${canvas.width} / ${canvas.height}`;
  const clock = player?.state === "playing" ? player.measures().clock : undefined;
  overlay.show(destination, clock === undefined ? undefined : Date.now() - clock * 1000);
  setText(byId("behind"), clock === undefined ? "" : `${clock.toFixed(1)} s behind the composer`);
}

function toggleLayout(): void {
  const on = screen.classList.toggle("bare");
  layoutButton.setAttribute("aria-pressed", String(!on));
  memory.set("layout", on ? "off" : "on");
}

function toggleSound(): void {
  video.muted = !video.muted;
  const button = byId("toggle-sound");
  setIcon(button, video.muted ? "sound-off" : "sound");
  button.setAttribute("aria-label", video.muted ? "Unmute" : "Mute");
}

layoutButton.addEventListener("click", toggleLayout);
byId("toggle-sound").addEventListener("click", toggleSound);
onKeys((key) => {
  const act = {
    o: toggleLayout, m: toggleSound, j: () => list.step(1), k: () => list.step(-1), e: () => byId("scene").focus(),
  }[key];
  act?.();
  return act !== undefined;
});

if (memory.get("layout") === "off") toggleLayout();
setInterval(drawLayout, 200);
const session = new Session({ every, ask, clear: () => show(undefined) });
