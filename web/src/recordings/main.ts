import Hls from "hls.js";
import type { API, Recording } from "../operator/api";
import { shortName, span } from "../operator/format";
import { Keyed, setText } from "../operator/keyed";
import { Session } from "../operator/session";
import { byId, make } from "../ui/dom";
import { QualityMenu } from "../ui/quality";

/** What is recorded now grows: the list is asked for again this often, in ms. */
const every = 3000;

let hls: Hls | undefined;
let playing = ""; // the id of the recording in the player

const video = byId<HTMLVideoElement>("video");
const quality = new QualityMenu(byId<HTMLSelectElement>("quality"), (hls, level) => {
  hls.nextLevel = level; // from the next segment on: what is buffered beyond it is loaded anew
});

/** States in words, and how they look. */
const states: Record<string, readonly [word: string, tone: string]> = {
  WAITING: ["Waiting", "connecting"],
  ACTIVE: ["Recording", "live"],
  INTERRUPTED: ["Interrupted", "reconnecting"],
  PAUSED: ["Paused", "failed"],
  UPLOADING: ["Uploading", "connecting"],
  STORED: ["Stored", "ended"],
};

/** When it began, short enough for a row: the list goes back 60 days, so that the year says nothing. */
const moment = (r: Recording): string =>
  new Date(r.startTime).toLocaleString([], { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });

const rows = new Keyed<Recording, { element: HTMLAnchorElement; picture: HTMLImageElement; pill: HTMLElement; what: HTMLElement; facts: HTMLElement; trouble: HTMLElement }>(
  byId("list"),
  ({ id }) => id,
  (r) => {
    const picture = make("img", "row-picture");
    picture.alt = "";
    const pill = make("span", "pill");
    const what = make("span", "row-stage");
    const facts = make("span", "row-facts");
    const trouble = make("span", "row-trouble");
    const head = make("span", "row-head", make("b", "", moment(r)), pill);
    const element = make("a", "row", picture, head, what, facts, trouble);
    element.href = `#${r.id}`;
    return { element, picture, pill, what, facts, trouble };
  },
  ({ element, picture, pill, what, facts, trouble }, r) => {
    showState(pill, r);
    setText(what, whatOf(r));
    // A link changes at every question: only another picture, or the end of the link, is worth loading.
    const name = r.thumbnailUrl && localPath(r.thumbnailUrl).replace(/^(\/recordings\/[^/]+\/)[^/]+/, "$1");
    picture.hidden = !name;
    if (r.thumbnailUrl && (picture.dataset["name"] !== name || r.state === "ACTIVE")) {
      picture.dataset["name"] = name;
      picture.src = localPath(r.thumbnailUrl);
    }
    setText(facts, factsOf(r));
    setText(trouble, troubleOf(r));
    element.classList.toggle("alarm", trouble.textContent !== "");
    if (r.id === chosenId()) element.setAttribute("aria-current", "true");
    else element.removeAttribute("aria-current");
  },
);

function showState(pill: HTMLElement, { state, failure }: Recording): void {
  const [word, tone] = states[state] ?? [state, "ended"];
  pill.dataset["state"] = failure ? "failed" : tone;
  setText(pill, failure ? "Failed" : word);
}

/** What was recorded, by its name, else by its id. */
function whatOf({ kind, channelName, channelArn, stageName, stageArn, id }: Recording): string {
  return `${kind} of ${channelName ?? stageName ?? shortName(channelArn ?? stageArn ?? id)}`;
}

function factsOf({ durationMs, filesWaiting, renditions }: Recording): string {
  const sizes = renditions?.map(({ name }) => name) ?? [];
  return [span(durationMs / 1000), sizes.length > 1 ? sizes.join(", ") : "", filesWaiting > 0 ? `${filesWaiting} files to upload` : ""].filter(Boolean).join(" · ");
}

function troubleOf({ storeAwaySince, framesDropped, state }: Recording): string {
  if (state === "PAUSED") return "The spool is full: what comes now is lost.";
  if (storeAwaySince) return `The object store has taken nothing for ${span((Date.now() - Date.parse(storeAwaySince)) / 1000)}.`;
  return framesDropped ? `${framesDropped} frames were lost.` : "";
}

/** Links name the server as clients reach it; this page has reached it already. */
function localPath(url: string): string {
  return new URL(url).pathname;
}

function chosenId(): string {
  return location.hash.slice(1);
}

async function ask(api: API, current: () => boolean): Promise<void> {
  const all = await api.recordings();
  if (!current()) return;
  const chosen = all.find(({ id }) => id === chosenId()) ?? all[0];
  if (chosen && chosen.id !== chosenId()) history.replaceState(null, "", `#${chosen.id}`);
  rows.show(all);
  byId("list-card").hidden = false;
  byId("none").hidden = all.length > 0;
  show(chosen);
}

function show(r: Recording | undefined): void {
  byId("detail").hidden = r === undefined;
  if (r === undefined) return stop();
  setText(byId("name"), moment(r));
  showState(byId("state"), r);
  setText(byId("where"), `${r.bucket}/${r.prefix}`);
  setText(byId("facts"), [whatOf(r), factsOf(r), troubleOf(r), r.failure ?? "", r.problem ?? ""].filter(Boolean).join(" · "));
  byId("empty").hidden = r.playbackUrl !== undefined;
  const link = byId<HTMLAnchorElement>("playlist");
  link.hidden = r.playbackUrl === undefined;
  if (r.playbackUrl) link.href = r.playbackUrl;
  const file = byId<HTMLAnchorElement>("download");
  file.hidden = r.downloadUrl === undefined;
  if (r.downloadUrl) file.href = localPath(r.downloadUrl);
  if (r.playbackUrl && playing !== r.id) play(r.id, localPath(r.playbackUrl), r.thumbnailUrl && localPath(r.thumbnailUrl));
  if (!r.playbackUrl) stop();
}

/** Loads a recording from its beginning and shows its picture; it plays when somebody asks for it. */
function play(id: string, url: string, poster: string | undefined): void {
  stop();
  playing = id;
  video.poster = poster ?? "";
  if (!Hls.isSupported()) {
    video.src = url; // Safari
    return;
  }
  hls = new Hls({ enableWorker: false, startPosition: 0, maxBufferLength: 30 });
  for (const event of [Hls.Events.MANIFEST_PARSED, Hls.Events.LEVEL_SWITCHED]) hls.on(event, () => quality.refresh(hls));
  hls.on(Hls.Events.ERROR, (_, { fatal, type }) => {
    if (!fatal) return;
    if (type === Hls.ErrorTypes.MEDIA_ERROR) hls?.recoverMediaError();
    else stop(); // the link may have ended: the next answer has a new one
  });
  hls.loadSource(url);
  hls.attachMedia(video);
}

function stop(): void {
  hls?.destroy();
  hls = undefined;
  quality.refresh(hls);
  playing = "";
  video.removeAttribute("src");
  video.removeAttribute("poster");
  video.load();
}

new Session({ every, ask, clear: () => show(undefined) });
