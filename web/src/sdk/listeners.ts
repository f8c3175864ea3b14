type Listener = (...values: unknown[]) => void;

/** Listeners by event name, called in the order in which they were added. One that throws does not stop the others. */
export class Listeners<Events extends { [Name in keyof Events]: unknown[] }> {
  readonly #lists = new Map<keyof Events, Set<Listener>>();

  add<Name extends keyof Events>(name: Name, listener: (...values: Events[Name]) => void): void {
    const list = this.#lists.get(name) ?? new Set();
    this.#lists.set(name, list.add(listener as Listener));
  }

  remove<Name extends keyof Events>(name: Name, listener: (...values: Events[Name]) => void): void {
    this.#lists.get(name)?.delete(listener as Listener);
  }

  clear(): void {
    this.#lists.clear();
  }

  tell<Name extends keyof Events>(name: Name, ...values: Events[Name]): void {
    for (const listener of [...(this.#lists.get(name) ?? [])]) {
      try {
        listener(...values);
      } catch (error) {
        reportError(error); // to window.onerror and the console, as for a listener of the DOM
      }
    }
  }
}
