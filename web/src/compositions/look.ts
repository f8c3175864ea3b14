import type { API, Details } from "../operator/api";
import { byId, make } from "../ui/dom";
import { starters } from "./starters";

/** The editor of how a composition looks: a scene as JSON, a preview, and the way onto the air. */
export class Look {
  #text = byId<HTMLTextAreaElement>("scene");
  #pick = byId<HTMLSelectElement>("scene-pick");
  #message = byId("look-message");
  #picture = byId<HTMLImageElement>("preview");
  #now: Details | undefined;
  #onAir = ""; // what the composition wears, as the editor writes it
  #starter = Math.random().toString(36); // tells our options from names of scenes

  constructor(
    readonly api: () => API | undefined,
    readonly changed: () => void,
  ) {
    byId("look").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#do("On the air.", (api, id) => api.wear(id, this.#text.value));
    });
    byId("plain").addEventListener("click", () => void this.#do("Back to the plain layout.", (api, id) => api.wear(id, undefined)));
    byId("draw").addEventListener("click", () => void this.#draw());
    byId("keep").addEventListener("click", () => void this.#keep());
    byId("revert").addEventListener("click", () => this.#write(this.#onAir));
    this.#pick.addEventListener("change", () => void this.#choose());
    this.#text.addEventListener("input", () => this.#mark());
    this.#text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        void this.#draw();
      }
    });
  }

  /** Another composition, or the same a moment later. What somebody has typed stays. */
  show(now: Details): void {
    const another = now.id !== this.#now?.id;
    const wears = JSON.stringify(now.scene ?? { layout: now.layout }, null, 2);
    const untouched = this.#text.value === this.#onAir || another;
    this.#now = now;
    if (another) {
      this.#say("", "calm");
      this.#picture.hidden = true;
      void this.#list();
    }
    if (wears !== this.#onAir || another) {
      this.#onAir = wears;
      if (untouched) this.#write(wears);
    }
    const over = now.endTime !== undefined || now.state === "STOPPING";
    for (const id of ["apply", "plain"]) byId<HTMLButtonElement>(id).disabled = over;
    this.#mark();
  }

  #write(text: string): void {
    this.#text.value = text;
    this.#mark();
  }

  #mark(): void {
    const same = this.#text.value === this.#onAir;
    const ended = this.#now?.endTime !== undefined;
    byId("on-air").textContent = ended ? "" : same ? "On the air" : "Changed, not on the air";
    byId("on-air").dataset["state"] = same ? "live" : "connecting";
    byId<HTMLButtonElement>("revert").disabled = same;
  }

  #say(text: string, tone: "calm" | "bad"): void {
    this.#message.hidden = text === "";
    this.#message.dataset["tone"] = tone;
    this.#message.textContent = text;
  }

  /** Does something that the server may refuse, in its words. */
  async #do(success: string, act: (api: API, id: string) => Promise<void>): Promise<void> {
    const api = this.api();
    if (!api || !this.#now) return;
    try {
      await act(api, this.#now.id);
      this.#say(success, "calm");
      this.#onAir = this.#text.value; // until the server says otherwise
      this.changed();
    } catch (error) {
      this.#say(String((error as Error).message), "bad");
    }
  }

  async #draw(): Promise<void> {
    const api = this.api();
    if (!api || !this.#now) return;
    let scene: unknown;
    try {
      scene = JSON.parse(this.#text.value);
    } catch (error) {
      this.#say(`This is no JSON: ${(error as Error).message}`, "bad");
      return;
    }
    const video = this.#now.destinations[0]?.video ?? { width: 1280, height: 720 };
    const people = (this.#now.measurements?.participants ?? []).map((input) => ({
      id: input.id, userId: input.label, videoWidth: input.width ?? 0, videoHeight: input.height ?? 0,
      video: input.video !== "muted" && input.video !== "none", speaking: input.speaking,
    }));
    byId<HTMLButtonElement>("draw").disabled = true;
    this.#say("", "calm"); // now, not when the picture comes: something else may have been said by then
    try {
      this.#picture.src = await api.preview({
        layout: this.#now.layout, scene, width: video.width, height: video.height,
        ...(people.length > 0 ? { participants: people } : { count: 4 }),
      });
      this.#picture.hidden = false;
    } catch (error) {
      this.#say(String((error as Error).message), "bad");
    } finally {
      byId<HTMLButtonElement>("draw").disabled = false;
    }
  }

  async #keep(): Promise<void> {
    const name = byId<HTMLInputElement>("scene-name").value.trim();
    if (name === "") {
      this.#say("Give it a name: letters, digits, dashes and underscores.", "bad");
      byId("scene-name").focus();
      return;
    }
    const api = this.api();
    try {
      await api?.keepScene(name, this.#text.value);
      this.#say(`Kept as ${name}. To start a composition with it, give StartComposition the tag footlight:scene=${name}.`, "calm");
      await this.#list();
    } catch (error) {
      this.#say(String((error as Error).message), "bad");
    }
  }

  /** Fills the choice of what to begin with: ours, then what was kept. */
  async #list(): Promise<void> {
    const kept = (await this.api()?.scenes().catch(() => [])) ?? [];
    const group = (label: string, names: string[], value: (name: string) => string) => {
      const all = make("optgroup", "", ...names.map((name) => new Option(name, value(name))));
      all.label = label;
      return all;
    };
    const groups = [group("Examples", Object.keys(starters), (name) => this.#starter + name)];
    if (kept.length > 0) groups.unshift(group("Kept scenes", kept, (name) => name));
    this.#pick.replaceChildren(new Option("Begin with…", ""), ...groups);
  }

  async #choose(): Promise<void> {
    const value = this.#pick.value;
    this.#pick.value = "";
    if (value === "") return;
    if (value.startsWith(this.#starter)) {
      this.#write(JSON.stringify(starters[value.slice(this.#starter.length)], null, 2));
    } else {
      try {
        this.#write(JSON.stringify(await this.api()?.scene(value), null, 2));
        byId<HTMLInputElement>("scene-name").value = value;
      } catch (error) {
        this.#say(String((error as Error).message), "bad");
        return;
      }
    }
    await this.#draw();
  }
}
