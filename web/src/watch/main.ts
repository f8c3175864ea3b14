import { copyText } from "../ui/clipboard";
import { byId, memory, onKeys, setIcon } from "../ui/dom";
import { QualityMenu } from "../ui/quality";
import { type Status, setStatus } from "../ui/status";
import { readAddress } from "./address";
import { type Measures, Player, type PlayerState, needsNative } from "./player";

const frame = byId("player");
const video = byId<HTMLVideoElement>("video");
const playButton = byId<HTMLButtonElement>("play");
const muteButton = byId<HTMLButtonElement>("mute");
const volume = byId<HTMLInputElement>("volume");
const hint = byId<HTMLButtonElement>("unmute");
const quality = new QualityMenu(byId<HTMLSelectElement>("quality"), (hls, level) => {
  hls.loadLevel = level; // from the next segment or part on: the buffer is too short to throw any of it away
});

interface Saying {
  status: Status;
  pill: string;
  title: string;
  text: string;
}

const sayings: Record<PlayerState, Saying> = {
  idle: { status: "idle", pill: "", title: "What would you like to watch?", text: "Paste the playback URL of a channel." },
  checking: { status: "connecting", pill: "Connecting…", title: "Connecting…", text: "" },
  playing: { status: "live", pill: "Live", title: "", text: "" },
  reconnecting: { status: "reconnecting", pill: "Reconnecting…", title: "The server is out of reach", text: "Playback goes on by itself when it is back." },
  offline: { status: "offline", pill: "Offline", title: "This channel is offline", text: "Keep this page open: it starts by itself when the stream goes live. Should it be live already? Then compare the address below with the channel's playback URL." },
  ended: { status: "ended", pill: "Ended", title: "The stream has ended", text: "Keep this page open: the next one starts by itself." },
  refused: { status: "offline", pill: "Refused", title: "Playback is refused", text: "A private channel needs ?token=… at the end of its playback URL." },
};

let player: Player | undefined;

function showState(state: PlayerState): void {
  const { status, pill, title, text } = sayings[state];
  frame.dataset["state"] = state;
  setStatus(status, pill);
  byId("curtain-title").textContent = title;
  byId("curtain-text").textContent = state === "refused" && player?.reason ? sentence(player.reason) : text;
  byId("open").hidden = state !== "idle";
  showSound();
}

const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

function showSound(): void {
  const silent = video.muted || video.volume === 0;
  setIcon(muteButton, silent ? "sound-off" : "sound");
  muteButton.setAttribute("aria-label", silent ? "Unmute" : "Mute");
  volume.value = String(video.muted ? 0 : video.volume);
  hint.hidden = !(player?.state === "playing" && video.muted && !touchedSound);
}

function showPlaying(): void {
  setIcon(playButton, video.paused ? "play" : "pause");
  playButton.setAttribute("aria-label", video.paused ? "Play" : "Pause");
  frame.classList.toggle("paused", video.paused);
}

const seconds = (value: number | undefined) => (value === undefined ? "–" : `${value.toFixed(value < 10 ? 2 : 0)} s`);

function showMeasures(): void {
  const m = measures();
  quality.refresh(player?.hls);
  const playing = player?.state === "playing";
  byId("latency").textContent = playing && m.live !== undefined ? `${m.live.toFixed(1)} s` : "";
  const atEdge = m.live === undefined || m.target === undefined || m.live < m.target + 1.5;
  byId("edge").classList.toggle("at-edge", playing && !video.paused && atEdge);
  byId("fact-latency").textContent = playing ? seconds(m.live) : "–";
  byId("fact-clock").textContent = playing ? seconds(m.clock) : "–";
  byId("fact-buffer").textContent = playing ? seconds(m.buffer) : "–";
  byId("fact-picture").textContent = playing && video.videoWidth > 0 ? `${video.videoWidth} × ${video.videoHeight}` : "–";
  byId("fact-bitrate").textContent = playing && m.bitrate ? `${(m.bitrate / 1e6).toFixed(1)} Mb/s` : "–";
  const frames = video.getVideoPlaybackQuality?.();
  byId("fact-dropped").textContent = playing && frames ? `${frames.droppedVideoFrames} of ${frames.totalVideoFrames}` : "–";
}

let touchedSound = false;

function toggleSound(): void {
  touchedSound = true;
  video.muted = !video.muted;
  if (!video.muted && video.volume === 0) video.volume = 1;
}

function togglePlay(): void {
  if (!video.paused) video.pause();
  else if (player) player.toEdge();
}

function toggleFull(): void {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void frame.requestFullscreen?.();
}

playButton.addEventListener("click", togglePlay);
muteButton.addEventListener("click", toggleSound);
hint.addEventListener("click", toggleSound);
byId("full").addEventListener("click", toggleFull);
byId("edge").addEventListener("click", () => player?.toEdge());
video.addEventListener("click", togglePlay);
video.addEventListener("dblclick", toggleFull);
video.addEventListener("volumechange", showSound);
video.addEventListener("play", showPlaying);
video.addEventListener("pause", showPlaying);
video.addEventListener("waiting", () => frame.classList.add("waiting"));
video.addEventListener("playing", () => frame.classList.remove("waiting"));
volume.addEventListener("input", () => {
  touchedSound = true;
  video.volume = Number(volume.value);
  video.muted = video.volume === 0;
  memory.set("volume", volume.value);
});
onKeys((key) => {
  const act = { " ": togglePlay, k: togglePlay, m: toggleSound, f: toggleFull, l: () => player?.toEdge() }[key];
  act?.();
  return act !== undefined;
});

/** Reads ?channel= or ?src=, from the query or, where a playback token should stay out of logs, the fragment. */
function readLink(): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) query.set(name, value);
  const text = query.get("src") ?? query.get("channel") ?? "";
  const address = readAddress(text, location.origin);
  player?.close();
  player = undefined;
  showState("idle");
  if (address === undefined) {
    if (text !== "") byId("curtain-text").textContent = "That is not a playback URL. Paste another one.";
    return;
  }
  document.title = `${address.name} · Footlight`;
  byId("channel-name").textContent = address.name;
  byId("url").textContent = address.url;
  byId("copy").hidden = false;
  player = new Player(video, address.url, query.get("engine") === "native" || needsNative());
  player.on("state", showState);
  player.start();
}

function measures(): Measures {
  return player?.measures() ?? { live: undefined, clock: undefined, target: undefined, buffer: 0, bitrate: undefined };
}

byId("open").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = new URLSearchParams({ src: byId<HTMLInputElement>("address").value }).toString();
});
byId("copy").addEventListener("click", () => void copyText(byId("url").textContent ?? "", byId("copy")));
addEventListener("hashchange", readLink);

const remembered = Number(memory.get("volume") || "1");
video.volume = remembered > 0 && remembered <= 1 ? remembered : 1;
setInterval(showMeasures, 250);
readLink();
showPlaying();

/** For tests and the curious. See web/README.md. */
declare global {
  interface Window {
    footlight: unknown;
  }
}
window.footlight = {
  video,
  get hls() {
    return player?.hls;
  },
  get state() {
    return player?.state ?? "idle";
  },
  latency: measures,
};
