/**
 * Whether a channel can be played now: live; ended (its last stream is over but still there); offline (nothing to play);
 * refused (needs a token, or another one); away (no answer).
 */
export type Availability = "live" | "ended" | "offline" | "refused" | "away";

/** What the playlists say. */
export interface Finding {
  is: Availability;
  /** The multivariant playlist, where it could be read. It begins a playback session: play by this one, not by another. */
  multivariant?: string;
  /** Why it is refused, in the server's words. */
  reason?: string;
}

/**
 * Asks the playlists, which is what tells the truth for any HLS server. Never throws. A session is a multivariant playlist
 * that was read before: it goes on where a token that works once opens no other.
 */
export async function probe(url: string, signal: AbortSignal, session = ""): Promise<Finding> {
  try {
    const first = await read(url, signal);
    if (!first.ok && !(refuses(first) && session !== "")) return failure(first);
    const multivariant = first.ok ? first.text : session;
    const variant = firstURI(multivariant);
    if (variant === undefined) return { is: "offline" };
    if (multivariant.includes("#EXTINF")) return { is: verdict(multivariant), multivariant }; // a media playlist by itself
    const media = await read(new URL(variant, url).href, signal);
    return media.ok ? { is: verdict(media.text), multivariant } : { ...failure(media), multivariant };
  } catch {
    return { is: "away" };
  }
}

interface Answer {
  ok: boolean;
  status: number;
  text: string;
}

async function read(url: string, signal: AbortSignal): Promise<Answer> {
  const response = await fetch(url, { cache: "no-store", signal: AbortSignal.any([signal, AbortSignal.timeout(8000)]) });
  return { ok: response.ok, status: response.status, text: await response.text() };
}

const refuses = ({ status }: Answer) => status === 401 || status === 403;

function failure(answer: Answer): Finding {
  if (refuses(answer)) return { is: "refused", reason: reasonIn(answer.text) };
  return { is: answer.status >= 500 ? "away" : "offline" };
}

/** The text of the first error, in the form that IVS has for playback: [{"error": …}]. */
function reasonIn(text: string): string {
  try {
    const [first] = JSON.parse(text) as { error?: unknown }[];
    return typeof first?.error === "string" ? first.error : "";
  } catch {
    return ""; // another kind of server
  }
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
