import type { Details } from "../operator/api";
import { bytes, milliseconds, roundUp, sparkPoints, unknown } from "../operator/format";
import { setText } from "../operator/keyed";
import { byId, make } from "../ui/dom";

/** Values in a sparkline: two minutes at one a second. */
const slots = 120;
const size = { width: 160, height: 36, slots };
const svg = "http://www.w3.org/2000/svg";

/** What one card shows of a composition; undefined where it is not known. */
interface Figure {
  title: string;
  /** What the line draws. */
  value: (now: Details, before: Details | undefined) => number | undefined;
  text: (value: number, now: Details) => string;
  /** More about it, in small. */
  note: (now: Details) => string;
  /** The least top of the scale. */
  least: number;
  /** From here on it is drawn as an alarm. */
  alarm?: number;
}

const figures: Figure[] = [
  {
    title: "CPU", least: 1, value: ({ measurements }) => measurements?.cpu,
    text: (v) => `${v.toFixed(2)} cores`, note: () => "",
  },
  {
    title: "Latency in the composer", least: 100, alarm: 150, value: ({ measurements: m }) => (m && m.latency.count > 0 ? m.latency.p50 : undefined),
    text: milliseconds, note: ({ measurements: m }) => (m && m.latency.count > 0 ? `99 % within ${milliseconds(m.latency.p99)}` : ""),
  },
  {
    title: "Wait for the part", least: 200, value: ({ destinations }) => worst(destinations.map(({ partLatency: p }) => (p.count > 0 ? p.p50 : undefined))),
    text: milliseconds, note: ({ destinations }) => {
      const p99 = worst(destinations.map(({ partLatency: p }) => (p.count > 0 ? p.p99 : undefined)));
      return p99 === undefined ? "" : `99 % within ${milliseconds(p99)}`;
    },
  },
  {
    title: "Pictures", least: 30,
    value: (now, before) => rate(now, before, (m) => m.frames),
    text: (v) => `${v.toFixed(1)} /s`, note: ({ measurements: m }) => (m ? `${m.frames.toLocaleString("en")} in all` : ""),
  },
  {
    title: "Missed or late", least: 1, alarm: 0.01,
    value: (now, before) => rate(now, before, (m) => m.missedFrames + m.lateTicks),
    text: (v) => `${v.toFixed(1)} /s`, note: ({ measurements: m }) => (m ? `${m.missedFrames} missed, ${m.lateTicks} late in all` : ""),
  },
  {
    title: "Memory", least: 200e6, value: ({ measurements }) => measurements?.memory,
    text: bytes, note: () => "",
  },
];

function worst(values: (number | undefined)[]): number | undefined {
  const known = values.filter((v) => v !== undefined);
  return known.length > 0 ? Math.max(...known) : undefined;
}

/** How fast a counter of heartbeats grows, per second; undefined across a change of the composer. */
function rate(now: Details, before: Details | undefined, count: (m: NonNullable<Details["measurements"]>) => number): number | undefined {
  if (!now.measurements || !before?.measurements || now.composer.pid !== before.composer.pid) return undefined;
  const seconds = (Date.parse(now.measurements.time) - Date.parse(before.measurements.time)) / 1000;
  return seconds > 0 ? Math.max(0, count(now.measurements) - count(before.measurements)) / seconds : undefined;
}

interface Card {
  figure: Figure;
  values: number[];
  element: HTMLElement;
  text: HTMLElement;
  note: HTMLElement;
  line: SVGPolylineElement;
  top: HTMLElement;
}

/** The cards of numbers with their last two minutes. */
export class Figures {
  #before: Details | undefined;
  #cards: Card[] = figures.map(makeCard);

  constructor() {
    byId("figures").replaceChildren(...this.#cards.map(({ element }) => element));
  }

  clear(): void {
    this.#before = undefined;
    for (const card of this.#cards) {
      card.values = [];
      draw(card, undefined, undefined);
    }
  }

  add(now: Details): void {
    if (now.measurements?.time !== undefined && now.measurements.time === this.#before?.measurements?.time) return;
    for (const card of this.#cards) {
      const value = card.figure.value(now, this.#before);
      if (value !== undefined) card.values = [...card.values, value].slice(-slots);
      draw(card, value, now);
    }
    this.#before = now;
  }
}

function makeCard(figure: Figure): Card {
  const text = make("b", "", unknown);
  const note = make("span", "note");
  const top = make("span", "spark-top");
  const graph = document.createElementNS(svg, "svg");
  graph.setAttribute("viewBox", `0 -2 ${size.width} ${size.height + 4}`);
  graph.setAttribute("preserveAspectRatio", "none");
  graph.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(svg, "polyline");
  graph.append(line);
  const element = make("div", "figure", make("h3", "", figure.title), text, make("div", "spark", top, graph), note);
  return { figure, values: [], element, text, note, line, top };
}

function draw({ figure, values, element, text, note, line, top }: Card, value: number | undefined, now: Details | undefined): void {
  const most = roundUp(Math.max(figure.least, ...values));
  setText(text, value === undefined || !now ? unknown : figure.text(value, now));
  setText(note, now ? figure.note(now) : "");
  setText(top, values.length > 0 && now ? figure.text(most, now) : "");
  line.setAttribute("points", sparkPoints(values, most, size));
  element.classList.toggle("alarm", value !== undefined && figure.alarm !== undefined && value >= figure.alarm);
}
