import { delay } from "../client/wait";
import { byId } from "../ui/dom";
import { setStatus } from "../ui/status";
import { API, type Key, Refusal } from "./api";
import { askForKey, forget, rememberedKey } from "./signin";

/** What a page does with a session. */
export interface Page {
  /** How long it is between two questions to the server, in ms. */
  every: number;
  /** Asks the server and shows its answer, unless somebody has signed out meanwhile: current tells. */
  ask(api: API, current: () => boolean): Promise<void>;
  /** Shows nothing any more. */
  clear(): void;
}

/** Asks for as long as somebody is signed in and the page is seen. */
export class Session {
  #page: Page;
  #api: API | undefined;
  #endPause = (): void => undefined;

  constructor(page: Page) {
    this.#page = page;
    byId("sign-out").addEventListener("click", () => this.#signOut(""));
    addEventListener("hashchange", () => this.wake());
    document.addEventListener("visibilitychange", () => this.wake());
    const key = rememberedKey();
    if (key) this.#signIn(key);
    else this.#signOut("");
    void this.#run();
  }

  /** Undefined while nobody is signed in. */
  get api(): API | undefined {
    return this.#api;
  }

  /** Asks now. */
  wake(): void {
    this.#endPause();
  }

  async #run(): Promise<never> {
    for (;;) {
      if (this.#api && !document.hidden) await this.#ask(this.#api);
      await new Promise<void>((resolve) => {
        this.#endPause = resolve;
        void delay(this.#page.every, new AbortController().signal).then(resolve);
      });
    }
  }

  async #ask(api: API): Promise<void> {
    const current = (): boolean => this.#api === api;
    try {
      await this.#page.ask(api, current);
      if (current()) setStatus("live", "Live");
    } catch (error) {
      if (!current()) return;
      if (!(error instanceof Refusal)) throw error;
      if (error.status === 401) this.#signOut(error.message);
      else if (error.status === 404) this.wake(); // it has just gone
      else setStatus("reconnecting", "Reconnecting…");
    }
  }

  #signIn(key: Key): void {
    this.#api = new API(key);
    byId("sign-out").hidden = false;
    this.wake();
  }

  #signOut(why: string): void {
    forget();
    this.#api = undefined;
    this.#page.clear();
    byId("list-card").hidden = true;
    byId("sign-out").hidden = true;
    setStatus("idle", "");
    askForKey(why, async (key) => {
      try {
        await new API(key).check();
      } catch (error) {
        return (error as Error).message;
      }
      this.#signIn(key);
      return "";
    });
  }
}
