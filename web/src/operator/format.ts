/** Words and numbers for people. All functions are pure. */

/** "–" stands for what is not known. */
export const unknown = "–";

/** Milliseconds, with as many digits as mean something. */
export function milliseconds(value: number): string {
  if (value >= 999.5) return `${(value / 1000).toFixed(2)} s`;
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}

/** The end of an id or ARN that tells it from others. */
export function shortName(arn: string): string {
  return arn.slice(arn.lastIndexOf("/") + 1);
}

export function bytes(value: number): string {
  if (value < 1e6) return `${Math.round(value / 1e3)} kB`;
  return value < 1e9 ? `${(value / 1e6).toFixed(value < 1e7 ? 1 : 0)} MB` : `${(value / 1e9).toFixed(2)} GB`;
}

export function bitRate(value: number): string {
  return value < 1e6 ? `${Math.round(value / 1e3)} kb/s` : `${(value / 1e6).toFixed(2)} Mb/s`;
}

/** A time span in two units at most: 42 s, 3 min 07 s, 2 h 05 min. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const two = (n: number) => String(n).padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  return `${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)} min`;
}

/** The part that is lost, in per cent. */
export function lossOf(lost: number, received: number): string {
  const all = lost + received;
  if (all === 0) return unknown;
  const percent = (100 * lost) / all;
  return percent === 0 ? "0 %" : `${percent < 0.01 ? "< 0.01" : percent.toFixed(percent < 1 ? 2 : 1)} %`;
}

/** How full a level bar is, 0 to 1: -60 dBFS is empty, 0 is full. */
export function loudness(level: number): number {
  return Math.min(1, Math.max(0, (level + 60) / 60));
}

/** The points of a sparkline in a box, for an SVG polyline; the newest value is at the right edge. */
export function sparkPoints(values: readonly number[], most: number, size: { width: number; height: number; slots: number }): string {
  const step = size.width / (size.slots - 1);
  return values
    .map((v, i) => {
      const x = size.width - (values.length - 1 - i) * step;
      const y = size.height - (most > 0 ? Math.min(1, Math.max(0, v / most)) : 0) * size.height;
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(" ");
}

/** A round number at or above a value, for the top of a scale: 1, 2 or 5 with zeros. */
export function roundUp(value: number): number {
  if (value <= 0) return 0;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= value * 0.999) ?? value;
}
