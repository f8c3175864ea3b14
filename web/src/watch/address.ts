/** What the page was asked to play. */
export interface Address {
  /** Absolute URL of the multivariant playlist, with its query (a playback token, perhaps). */
  url: string;
  /** What to call it: the channel's id where the URL follows the IVS form. */
  name: string;
}

/**
 * Reads what people paste: a playback URL, its path on this server, or a channel's ARN.
 * Returns undefined for anything that is no http address.
 */
export function readAddress(text: string, origin: string): Address | undefined {
  const arn = /^arn:aws:ivs:([a-z0-9-]+):(\d+):channel\/([A-Za-z0-9-]+)$/.exec(text.trim());
  const path = arn ? `/api/video/v1/${arn[1]}.${arn[2]}.channel.${arn[3]}.m3u8` : text.trim();
  if (path === "" || !URL.canParse(path, origin)) return undefined;
  const url = new URL(path, origin);
  if (url.protocol !== "http:" && url.protocol !== "https:") return undefined;
  const id = /\.channel\.([^./]+)\.m3u8$/.exec(url.pathname);
  return { url: url.href, name: id?.[1] ?? (url.pathname.split("/").pop() || url.host) };
}
