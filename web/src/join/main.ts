import { Room, type Token, decodeToken } from "../client";
import { byId, onKeys, setIcon } from "../ui/dom";
import { setStatus } from "../ui/status";
import { type Entry, type Kind, Lobby } from "./lobby";
import { explain } from "./messages";
import { Share } from "./share";
import { Tiles } from "./tiles";

const lobbyView = byId("lobby");
const stageView = byId("stage");
const banner = byId("banner");
const bannerAction = byId<HTMLButtonElement>("banner-action");
const buttons = {
  audio: byId<HTMLButtonElement>("mute-mic"),
  video: byId<HTMLButtonElement>("mute-camera"),
};
const shareButton = byId<HTMLButtonElement>("share");

/** What a press would do, before and after. */
const labels = { audio: ["Mute", "Unmute"], video: ["Camera off", "Camera on"] } as const;

const tiles = new Tiles(byId("grid"), () => tellStage("Your browser holds back the sound.", "Turn on sound", () => tiles.unmute()));
const lobby = new Lobby(enter);

let room: Room | undefined;
let share: Share | undefined;
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
  share = new Share(joined, next.screen);
  share.on("sharing", show);
  // In place of a camera there must be one; browsers give screens to secure pages only.
  const picture = !buttons.video.disabled;
  shareButton.disabled = !next.token.canPublish || !(picture || next.screen) || !navigator.mediaDevices?.getDisplayMedia;
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
  back(() => lobby.tell({ title: "You left the stage.", text: "Join again whenever you like." }, "calm"));
}

function back(then: () => void): void {
  end();
  tiles.show([], { stream: undefined, mirrored: false, connection: undefined });
  stageView.hidden = true;
  lobbyView.hidden = false;
  byId("stage-name").textContent = "";
  setStatus("idle", "");
  void lobby.refresh().then(then);
}

/** Gives everything back: connections, screen, camera. */
function end(): void {
  share?.stop();
  room?.leave();
  entry?.source?.stop();
  share = room = entry = undefined;
}

function show(): void {
  if (!room || !entry || !share) return;
  const { members, muted } = room;
  const screen = share.inPlace;
  tiles.show(members, {
    stream: screen ?? entry.source?.stream,
    mirrored: entry.kind === "camera" && !screen,
    connection: room.publisher?.connection,
  });
  shareButton.setAttribute("aria-pressed", String(share.sharing));
  shareButton.querySelector("span")!.textContent = share.sharing ? "Stop sharing" : "Share screen";
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

async function toggleShare(): Promise<void> {
  if (!share || shareButton.disabled) return;
  if (share.sharing) return share.stop();
  try {
    await share.start();
  } catch (error) {
    // Who closes the browser's question has said no: nothing to explain.
    if (!(error instanceof DOMException && error.name === "NotAllowedError")) tellStage(explain(error).title);
  }
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
shareButton.addEventListener("click", () => void toggleShare());
byId("leave").addEventListener("click", leave);
const keys: Record<string, () => void> = { m: () => toggle("audio"), v: () => toggle("video"), s: () => void toggleShare() };
onKeys((key) => {
  if (!room || !(key in keys)) return false;
  keys[key]!();
  return true;
});
addEventListener("pagehide", end);

/**
 * Reads the link: #token=…&screen=…&source=camera|pattern|none&quality=360|540|720&join=1; screen is a second token. The fragment never reaches a server or its log;
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
  lobby.screen = screenToken(link.get("screen"));
  const token = link.get("token");
  if (token) lobby.token = token;
  void lobby.refresh().then(() => {
    if (token && link.get("join") === "1") void lobby.submit();
  });
}

function screenToken(text: string | null): Token | undefined {
  try {
    return text ? decodeToken(text) : undefined;
  } catch {
    return undefined; // then the screen takes the camera's place
  }
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
