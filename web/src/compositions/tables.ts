import type { Destination, Details, Input, Timing } from "../operator/api";
import { bitRate, lossOf, loudness, milliseconds, shortName, unknown } from "../operator/format";
import { Keyed, setText } from "../operator/keyed";
import { byId, make } from "../ui/dom";
import { showState } from "./list";

interface Row {
  element: HTMLTableRowElement;
  cells: HTMLElement[];
}

function row(cells: number): Row {
  const all = Array.from({ length: cells }, (_, i) => make(i === 0 ? "th" : "td"));
  all[0]?.setAttribute("scope", "row");
  return { element: make("tr", "", ...all), cells: all };
}

/** The tables below the picture: participants, destinations, and what each step of the work takes. */
export class Tables {
  #bytes = new Map<string, { time: number; bytes: number; rate: number }>();
  #now: Details | undefined;

  #inputs = new Keyed<Input, Row>(
    byId("inputs"),
    ({ id }) => id,
    () => {
      const r = row(8);
      r.cells[7]?.append(make("div", "level", make("i")));
      return r;
    },
    ({ element, cells }, input) => {
      element.classList.toggle("speaking", input.speaking);
      [
        input.label || input.id,
        input.width ? `${input.width}×${input.height}` : unknown,
        input.video,
        input.audio,
        lossOf(input.lost, input.received),
        milliseconds(input.jitter),
        milliseconds(input.delay),
      ].forEach((text, i) => setText(cells[i]!, text));
      for (const at of [2, 3]) cells[at]!.dataset["state"] = cells[at]!.textContent ?? "";
      cells[7]!.querySelector("i")!.style.transform = `scaleX(${loudness(input.level).toFixed(3)})`;
      cells[7]!.title = `${input.level.toFixed(0)} dBFS`;
    },
  );

  #outputs = new Keyed<Destination, Row & { pill: HTMLElement; link: HTMLAnchorElement }>(
    byId("outputs"),
    ({ id }) => id,
    (d) => {
      const r = row(8);
      const pill = make("span", "pill");
      const link = make("a", "", d.recording ? "Recordings" : "Watch");
      link.href = d.channelArn ? `/console/watch?${new URLSearchParams({ channel: d.channelArn })}` : "/console/recordings";
      r.cells[1]?.append(pill);
      r.cells[7]?.append(link);
      return { ...r, pill, link };
    },
    ({ cells, pill }, d) => {
      const figure = this.#now?.measurements?.destinations?.find(({ id }) => id === d.id);
      showState(pill, d.state);
      pill.title = [d.cause?.code, d.cause?.reason].filter(Boolean).join(": ");
      setText(cells[0]!, d.name || (d.channelArn ? `channel ${d.channelName ?? shortName(d.channelArn)}` : `recording in ${d.recording?.bucket}`));
      [
        `${d.video.width}×${d.video.height} at ${+d.video.framerate.toFixed(2)}`,
        figure ? bitRate(this.#rate(d.id, figure.bytes)) : unknown,
        String(d.viewers),
        figure ? `${figure.dropped} / ${figure.queue}` : unknown,
        figure ? String(figure.retries) : unknown,
      ].forEach((text, i) => setText(cells[i + 2]!, text));
    },
  );

  #steps = new Keyed<[string, Timing], Row>(
    byId("steps"),
    ([name]) => name,
    () => row(3),
    ({ cells }, [name, timing]) => {
      setText(cells[0]!, name);
      setText(cells[1]!, timing.count > 0 ? milliseconds(timing.p50) : unknown);
      setText(cells[2]!, timing.count > 0 ? milliseconds(timing.p99) : unknown);
    },
  );

  clear(): void {
    this.#bytes.clear();
    this.#now = undefined;
    this.#inputs.show([]);
    this.#outputs.show([]);
    this.#steps.show([]);
  }

  show(now: Details): void {
    this.#now = now;
    const m = now.measurements;
    this.#inputs.show(m?.participants ?? []);
    this.#outputs.show(now.destinations);
    this.#steps.show(
      m ? [["Decode a picture", m.decode], ["Draw", m.draw], ["Encode", m.encode], ["Mix sound", m.mix], ["Hand over", m.publish]] : [],
    );
    byId("inputs-none").hidden = (m?.participants?.length ?? 0) > 0;
    setText(byId("encoders"), (m?.canvases ?? []).map(({ encoder }) => encoder).filter((text) => text !== "").join(" · "));
  }

  /** Bits per second since the measurement before. */
  #rate(id: string, count: number): number {
    const time = Date.parse(this.#now?.measurements?.time ?? "");
    const before = this.#bytes.get(id);
    if (before && time === before.time) return before.rate;
    const seconds = before ? (time - before.time) / 1000 : 0;
    const now = before && seconds > 0 && count >= before.bytes ? ((count - before.bytes) * 8) / seconds : 0;
    // Key frames make the rate of one second jump: smooth it.
    const rate = before && before.rate > 0 ? before.rate + (now - before.rate) * 0.3 : now;
    this.#bytes.set(id, { time, bytes: count, rate });
    return rate;
  }
}
