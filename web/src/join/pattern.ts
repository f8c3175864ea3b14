/** The picture of the test pattern, drawn the same in the worker and in the fallback on the page. */

export interface PatternSize {
  width: number;
  height: number;
}

/** A 2D context of either kind of canvas. */
export type Context2D = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** How long the flash at the start of each second is shown, in ms; the beep lasts as long. */
export const flashLength = 66;

/** A hue of 0..359 that belongs to a name, so that a person has one colour everywhere. */
export function hueOf(name: string): number {
  let hash = 0x811c9dc5; // FNV-1a
  for (const char of name) hash = Math.imul(hash ^ char.codePointAt(0)!, 0x01000193) >>> 0;
  return hash % 360;
}

/** The frequency in Hz of a participant's tone: a note of a pentatonic scale, so that a room full of them is bearable. */
export function toneOf(name: string): number {
  const notes = [220, 247.5, 275, 330, 366.7, 440, 495, 550];
  return notes[hueOf(name) % notes.length]!;
}

/**
 * Draws one frame: moving bands to show motion, the name, the clock to the millisecond (UTC, so that pictures
 * from several machines compare), and a flash in the first moments of each second. `now` is in ms since 1970.
 */
export function drawPattern(c: Context2D, { width: w, height: h }: PatternSize, name: string, now: number): void {
  const hue = hueOf(name);
  c.fillStyle = `hsl(${hue} 45% 13%)`;
  c.fillRect(0, 0, w, h);

  // Slanted bands that travel one period every four seconds.
  const period = w / 5;
  const shift = ((now % 4000) / 4000) * period;
  c.fillStyle = `hsl(${hue} 48% 19%)`;
  for (let x = -h - period + shift; x < w; x += period) {
    c.beginPath();
    c.moveTo(x, h);
    c.lineTo(x + h * 0.6, 0);
    c.lineTo(x + h * 0.6 + period / 2, 0);
    c.lineTo(x + period / 2, h);
    c.fill();
  }

  // A hand that goes round once a second, bright at the top of each.
  const cx = w / 2;
  const cy = h * 0.28;
  const r = h * 0.16;
  const turn = ((now % 1000) / 1000) * 2 * Math.PI;
  const flash = now % 1000 < flashLength;
  c.lineWidth = h * 0.025;
  c.strokeStyle = `hsl(${hue} 40% 32%)`;
  c.beginPath();
  c.arc(cx, cy, r, 0, 2 * Math.PI);
  c.stroke();
  c.strokeStyle = `hsl(${hue} 85% 68%)`;
  c.beginPath();
  c.arc(cx, cy, r, -Math.PI / 2, turn - Math.PI / 2);
  c.stroke();
  if (flash) {
    c.fillStyle = "#fff";
    c.beginPath();
    c.arc(cx, cy, r * 0.72, 0, 2 * Math.PI);
    c.fill();
  }

  c.textAlign = "center";
  c.textBaseline = "middle";
  c.fillStyle = "#fff";
  c.font = `600 ${Math.round(h * 0.115)}px system-ui, sans-serif`;
  c.fillText(name, cx, h * 0.58, w * 0.92);
  c.font = `${Math.round(h * 0.085)}px ui-monospace, monospace`;
  c.fillStyle = `hsl(${hue} 80% 82%)`;
  c.fillText(new Date(now).toISOString().slice(11, 23), cx, h * 0.74, w * 0.92);
}
