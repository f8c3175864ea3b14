/**
 * Whether a channel can be played now: live; ended (its last stream is over but still there); offline (nothing to play);
 * refused (needs a token, or another one); away (no answer).
 */
export type Availability = "live" | "ended" | "offline" | "refused" | "away";

/** Asks the playlists, which is what tells the truth for any HLS server. Never throws. */
export async function probe(url: string, signal: AbortSignal): Promise<Availability> {
  try {
    const multivariant = await read(url, signal);
    if (typeof multivariant === "number") return refusal(multivariant);
    const variant = firstURI(multivariant);
    if (variant === undefined) return "offline";
    if (multivariant.includes("#EXTINF")) return verdict(multivariant); // a media playlist by itself
    const media = await read(new URL(variant, url).href, signal);
    return typeof media === "number" ? refusal(media) : verdict(media);
  } catch {
    return "away";
  }
}

/** The text, or the status where it is not 200. */
async function read(url: string, signal: AbortSignal): Promise<string | number> {
  const response = await fetch(url, { cache: "no-store", signal: AbortSignal.any([signal, AbortSignal.timeout(8000)]) });
  return response.ok ? await response.text() : response.status;
}

function refusal(status: number): Availability {
  if (status === 401 || status === 403) return "refused";
  return status >= 500 ? "away" : "offline";
}

function verdict(mediaPlaylist: string): Availability {
  return mediaPlaylist.includes("#EXT-X-ENDLIST") ? "ended" : "live";
}

/** The first line that is neither a tag nor empty. */
function firstURI(playlist: string): string | undefined {
  return playlist
    .split(/\r?\n/)
    .map((line) => line.trim())
    .find((line) => line !== "" && !line.startsWith("#"));
}
