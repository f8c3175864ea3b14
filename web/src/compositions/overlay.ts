import type { Canvas, Input, Measurements, Tile } from "../operator/api";
import { loudness, milliseconds } from "../operator/format";
import { Keyed, setText } from "../operator/keyed";
import { byId, make } from "../ui/dom";

/** How long layouts are kept to be shown with the picture that they belong to, in ms. */
const kept = 60_000;

interface Placed extends Tile {
  input: Input | undefined;
  canvas: Canvas;
}

interface Box {
  element: HTMLElement;
  name: HTMLElement;
  note: HTMLElement;
  bar: HTMLElement;
}

/**
 * The layout drawn over the picture. Players are behind the composer, so that each picture gets the layout of its
 * own time: the newest heartbeat that is not after it.
 */
export class Overlay {
  #past: { time: number; measurements: Measurements }[] = [];
  #boxes = new Keyed<Placed, Box>(
    byId("overlay"),
    ({ participantId }) => participantId,
    () => {
      const name = make("b");
      const note = make("span");
      const bar = make("i");
      const element = make("div", "box", make("div", "box-label", name, note), make("div", "box-level", bar));
      return { element, name, note, bar };
    },
    (box, tile) => place(box, tile),
  );

  /** Forgets all, for another composition. */
  clear(): void {
    this.#past = [];
    this.#boxes.show([]);
  }

  add(measurements: Measurements): void {
    const time = Date.parse(measurements.time);
    if (this.#past.at(-1)?.time === time) return;
    this.#past = [...this.#past.filter((m) => m.time > time - kept && m.time < time), { time, measurements }];
  }

  /** Shows the layout of a destination at a time of the server's clock; undefined is now. */
  show(destination: string, at: number | undefined): void {
    const found = at === undefined ? this.#past.at(-1) : (this.#past.findLast(({ time }) => time <= at) ?? this.#past[0]);
    const canvas = found && canvasOf(found.measurements, destination);
    if (!found || !canvas) {
      this.#boxes.show([]);
      return;
    }
    const inputs = new Map((found.measurements.participants ?? []).map((input) => [input.id, input]));
    this.#boxes.show((canvas.tiles ?? []).map((tile) => ({ ...tile, input: inputs.get(tile.participantId), canvas })));
  }
}

/** The canvas that a destination gets, else the first. */
export function canvasOf({ canvases }: Measurements, destination: string): Canvas | undefined {
  return canvases?.find(({ destinations }) => destinations.includes(destination)) ?? canvases?.[0];
}

function place({ element, name, note, bar }: Box, { x, y, width, height, canvas, input, shows, age }: Placed): void {
  const percent = (part: number, whole: number) => `${((100 * part) / whole).toFixed(3)}%`;
  element.style.left = percent(x, canvas.width);
  element.style.top = percent(y, canvas.height);
  element.style.width = percent(width, canvas.width);
  element.style.height = percent(height, canvas.height);
  element.classList.toggle("speaking", input?.speaking ?? false);
  element.classList.toggle("faceless", shows !== "video");
  element.classList.toggle("stalled", input?.video === "stalled" || input?.audio === "stalled");
  setText(name, input?.label ?? "");
  setText(note, describe(shows, age, input));
  bar.style.transform = `scaleX(${loudness(input?.level ?? -120).toFixed(3)})`;
}

function describe(shows: string, age: number, input: Input | undefined): string {
  const video = shows === "video" ? `${input?.width ?? 0}×${input?.height ?? 0} · ${milliseconds(age)} old` : `video ${input?.video ?? "gone"}`;
  return input?.audio === "live" ? video : `${video} · audio ${input?.audio ?? "gone"}`;
}
