import { Room } from "../client";
import { byId, onKeys, setIcon } from "../ui/dom";
import { setStatus } from "../ui/status";
import { type Entry, type Kind, Lobby } from "./lobby";
import { explain } from "./messages";
import { Tiles } from "./tiles";

const lobbyView = byId("lobby");
const stageView = byId("stage");
const banner = byId("banner");
const bannerAction = byId<HTMLButtonElement>("banner-action");
const buttons = {
  audio: byId<HTMLButtonElement>("mute-mic"),
  video: byId<HTMLButtonElement>("mute-camera"),
};

/** What a press would do, before and after. */
const labels = { audio: ["Mute", "Unmute"], video: ["Camera off", "Camera on"] } as const;

const tiles = new Tiles(byId("grid"), () => tellStage("Your browser holds back the sound.", "Turn on sound", () => tiles.unmute()));
const lobby = new Lobby(enter);

let room: Room | undefined;
let entry: Entry | undefined;

function enter(next: Entry): void {
  entry = next;
  lobbyView.hidden = true;
  stageView.hidden = false;
  byId("stage-name").textContent = next.token.stageId;
  buttons.audio.disabled = !next.source?.stream.getAudioTracks().length;
  buttons.video.disabled = !next.source?.stream.getVideoTracks().length;
  for (const track of next.source?.stream.getTracks() ?? []) track.enabled = true;
  tellStage(next.token.canSubscribe ? "" : "Your token may only publish: you do not see the others.");

  const joined = new Room(next.token);
  room = joined;
  const publish = () => joined.publish(next.source?.stream, { maxBitrate: next.maxBitrate });
  let wasOnline = false;
  setStatus("connecting", "Joining…");
  room.on("online", (online) => {
    if (online) setStatus("live", next.source ? "On stage" : "Watching");
    else setStatus(wasOnline ? "reconnecting" : "connecting", wasOnline ? "Reconnecting…" : "Joining…");
    wasOnline ||= online;
    show();
  });
  room.on("members", show);
  room.on("publishError", (error) => {
    const { title, text } = explain(error);
    tellStage(`${title}. ${text}`, "Try again", publish);
  });
  room.on("ended", (error) => back(() => lobby.tell(explain(error))));
  publish();
  show();
  room.start();
}

function leave(): void {
  room?.leave();
  back(() => lobby.tell({ title: "You left the stage.", text: "Join again whenever you like." }, "calm"));
}

function back(then: () => void): void {
  entry?.source?.stop();
  room = undefined;
  entry = undefined;
  tiles.show([], { stream: undefined, mirrored: false });
  stageView.hidden = true;
  lobbyView.hidden = false;
  byId("stage-name").textContent = "";
  setStatus("idle", "");
  void lobby.refresh().then(then);
}

function show(): void {
  if (!room || !entry) return;
  const { members, muted } = room;
  tiles.show(members, { stream: entry.source?.stream, mirrored: entry.kind === "camera" });
  for (const [kind, name] of [["audio", "mic"], ["video", "camera"]] as const) {
    buttons[kind].classList.toggle("off", muted[kind]);
    setIcon(buttons[kind], muted[kind] ? `${name}-off` : name);
    buttons[kind].querySelector("span")!.textContent = labels[kind][muted[kind] ? 1 : 0];
  }
  const n = members.length;
  byId("count").querySelector("b")!.textContent = String(n);
  byId("count").title = n === 1 ? "You are alone on this stage" : `${n} people on this stage`;
}

function toggle(kind: "audio" | "video"): void {
  if (buttons[kind].disabled) return;
  room?.setMuted(kind, !room.muted[kind]);
}

function tellStage(text: string, action = "", act: () => void = () => undefined): void {
  banner.hidden = text === "";
  byId("banner-text").textContent = text;
  bannerAction.hidden = action === "";
  bannerAction.textContent = action;
  bannerAction.onclick = () => {
    banner.hidden = true;
    act();
  };
}

buttons.audio.addEventListener("click", () => toggle("audio"));
buttons.video.addEventListener("click", () => toggle("video"));
byId("leave").addEventListener("click", leave);
onKeys((key) => {
  if (!room || (key !== "m" && key !== "v")) return false;
  toggle(key === "m" ? "audio" : "video");
  return true;
});
addEventListener("pagehide", () => {
  room?.leave();
  entry?.source?.stop();
});

/**
 * Reads the link: #token=…&source=camera|pattern|none&quality=360|540|720&join=1. The fragment never reaches a server or its log;
 * a token that came as ?token=… is moved there at once.
 */
function readLink(): void {
  const query = new URLSearchParams(location.search);
  const link = new URLSearchParams(location.hash.slice(1));
  for (const [name, value] of query) if (!link.has(name)) link.set(name, value);
  if (query.size > 0) history.replaceState(null, "", `${location.pathname}#${link}`);

  const source = link.get("source") ?? "";
  if (["camera", "pattern", "none"].includes(source)) lobby.kind = source as Kind;
  lobby.quality = link.get("quality") ?? "";
  const token = link.get("token");
  if (token) lobby.token = token;
  void lobby.refresh().then(() => {
    if (token && link.get("join") === "1") void lobby.submit();
  });
}

/** For tests and the curious: the room and our source while on stage. See web/README.md. */
declare global {
  interface Window {
    footlight: unknown;
  }
}
window.footlight = {
  get room() {
    return room;
  },
  get source() {
    return entry?.source;
  },
};

addEventListener("hashchange", () => {
  if (!room) readLink();
});
readLink();
