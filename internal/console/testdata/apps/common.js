// What the apps of the tests share: elements for the streams of each participant, and what a test asks about them.
// The token stands in the fragment, the address of the client's server in ?sdk=.
const params = new URLSearchParams(location.hash.slice(1));
const token = params.get("token");
const log = []; // what the stage told, in order

function note(name, participant, value) {
  log.push([name, participant?.id ?? participant, value].filter((v) => v !== undefined).join(" "));
}

const media = new Map(); // participant id to its element and streams

function addStreams(participant, streams) {
  let entry = media.get(participant.id);
  if (!entry) {
    const video = document.createElement("video");
    video.autoplay = video.playsInline = true;
    video.muted = participant.isLocal;
    video.srcObject = new MediaStream();
    document.body.append(video);
    media.set(participant.id, (entry = { video, streams: [] }));
  }
  for (const stream of streams) {
    entry.streams.push(stream);
    entry.video.srcObject.addTrack(stream.mediaStreamTrack);
  }
}

function removeStreams(participant, streams) {
  const entry = media.get(participant.id);
  if (!entry) return;
  for (const stream of streams) {
    entry.streams = entry.streams.filter((s) => s !== stream);
    entry.video.srcObject.removeTrack(stream.mediaStreamTrack);
  }
  if (entry.streams.length === 0) {
    entry.video.remove();
    media.delete(participant.id);
  }
}

// Frames that a participant's element showed, and the energy of the sound that came: both grow while media flows.
const frames = (id) => media.get(id)?.video.getVideoPlaybackQuality().totalVideoFrames ?? 0;
async function energy(id) {
  const stream = media.get(id)?.streams.find((s) => s.streamType === "audio");
  let sum = 0;
  (await stream?.getStats())?.forEach((r) => {
    if (r.type === "inbound-rtp") sum += r.totalAudioEnergy ?? 0;
  });
  return sum;
}
const kinds = (id) => (media.get(id)?.streams ?? []).map((s) => s.streamType).sort().join("+");
async function grows(measure, id, by = 0) {
  const before = await measure(id);
  await new Promise((resolve) => setTimeout(resolve, 400));
  return (await measure(id)) > before + by;
}
// Decoded silence may flicker in its last bit: 0.4 s of that are 4e-10, of the quietest tone here more than 1e-4.
const noise = 1e-7;
window.judge = { log, frames, energy, kinds, seen: (id) => grows(frames, id), heard: (id) => grows(energy, id, noise), media };
