import type { Composition } from "../operator/api";
import { shortName, span } from "../operator/format";
import { Keyed, setText } from "../operator/keyed";
import { byId, make } from "../ui/dom";

interface Row {
  element: HTMLAnchorElement;
  pill: HTMLElement;
  stage: HTMLElement;
  facts: HTMLElement;
}

/** The list of compositions: links to themselves, as #<id>. */
export class List {
  #chosen = "";
  #rows = new Keyed<Composition, Row>(
    byId("list"),
    ({ id }) => id,
    ({ id }) => {
      const pill = make("span", "pill");
      const stage = make("span", "row-stage");
      const facts = make("span", "row-facts");
      const element = make("a", "row", make("span", "row-head", make("b", "", id), pill), stage, facts);
      element.href = `#${id}`;
      return { element, pill, stage, facts };
    },
    ({ element, pill, stage, facts }, c) => {
      showState(pill, c.state);
      setText(stage, stageOf(c));
      setText(facts, summary(c));
      element.classList.toggle("alarm", c.composer.overloaded || !!c.composer.alert);
      if (c.id === this.#chosen) element.setAttribute("aria-current", "true");
      else element.removeAttribute("aria-current");
    },
  );

  show(compositions: readonly Composition[], chosen: string): void {
    this.#chosen = chosen;
    this.#rows.show(compositions);
    byId("none").hidden = compositions.length > 0;
  }

  /** Goes to the composition before or after the chosen one. */
  step(by: number): void {
    const links = [...byId("list").querySelectorAll<HTMLAnchorElement>("a.row")];
    const at = links.findIndex((link) => link.hasAttribute("aria-current"));
    const next = links[Math.min(links.length - 1, Math.max(0, at + by))];
    if (next) {
      location.hash = next.hash;
      next.focus();
    }
  }
}

/** The stage by its name, else by its id. */
export function stageOf({ stageName, stageArn }: Composition): string {
  return `stage ${stageName ?? shortName(stageArn)}`;
}

function summary({ composer, startTime, endTime }: Composition): string {
  if (endTime) return `ran for ${span((Date.parse(endTime) - Date.parse(startTime)) / 1000)}`;
  return `${composer.publishing} on stage · ${composer.cpu.toFixed(2)} cores`;
}

/** A state of a composition or a destination as a pill. */
export function showState(pill: HTMLElement, state: string): void {
  const tone = { ACTIVE: "live", STARTING: "connecting", RECONNECTING: "reconnecting", STOPPING: "connecting", FAILED: "failed" }[state];
  pill.dataset["state"] = tone ?? "ended";
  setText(pill, state.charAt(0) + state.slice(1).toLowerCase());
}
