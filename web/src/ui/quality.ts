import type Hls from "hls.js";
import type { Level } from "hls.js";

/** What a rendition is called: the picture's shorter side and the frame rate, for example 720p30. */
export function levelName({ width, height, frameRate }: Pick<Level, "width" | "height" | "frameRate">): string {
  return `${Math.min(width, height)}p${frameRate ? Math.round(frameRate) : ""}`;
}

/**
 * The menu of renditions: Auto, which says what it has chosen, and each of them, the largest first. It is hidden where there
 * are not several. What was chosen by hand stays over reconnects, as long as there is a rendition of that name.
 * How to go over to a level is the page's; level -1 is automatic.
 */
export class QualityMenu {
  #hls: Hls | undefined;
  #shown = "";
  #wanted = "";

  constructor(
    readonly select: HTMLSelectElement,
    readonly goTo: (hls: Hls, level: number) => void,
  ) {
    select.addEventListener("change", () => {
      this.#wanted = select.value;
      this.#choose();
    });
  }

  /** Looks at the present engine. To be called often. */
  refresh(hls: Hls | undefined): void {
    const levels = hls?.levels ?? [];
    const names = levels.map(levelName);
    const playing = hls?.autoLevelEnabled ? names[hls.currentLevel] : undefined;
    const shown = [names, playing].join();
    const fresh = hls !== this.#hls;
    if (!fresh && shown === this.#shown) return;
    this.#hls = hls;
    this.#shown = shown;
    this.select.hidden = levels.length < 2;
    if (levels.length < 2) return;
    const auto = new Option(playing ? `Auto (${playing})` : "Auto", "");
    this.select.replaceChildren(auto, ...names.toReversed().map((name) => new Option(name, name)));
    this.select.value = names.includes(this.#wanted) ? this.#wanted : "";
    if (fresh && this.select.value) this.#choose();
  }

  #choose(): void {
    const hls = this.#hls;
    if (hls) this.goTo(hls, hls.levels.findIndex((level) => levelName(level) === this.#wanted));
  }
}
