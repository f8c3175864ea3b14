/**
 * Keeps one element per item, in the items' order, and uses an item's element again when it comes back: focus,
 * selection and transitions survive an update.
 */
export class Keyed<Item, View extends { element: Element }> {
  #views = new Map<string, View>();

  constructor(
    readonly parent: Element,
    readonly key: (item: Item) => string,
    readonly create: (item: Item) => View,
    readonly update: (view: View, item: Item) => void,
  ) {}

  show(items: readonly Item[]): void {
    const gone = new Set(this.#views.keys());
    items.forEach((item, i) => {
      const key = this.key(item);
      let view = this.#views.get(key);
      if (!view) {
        view = this.create(item);
        this.#views.set(key, view);
      }
      gone.delete(key);
      this.update(view, item);
      if (this.parent.children[i] !== view.element) this.parent.insertBefore(view.element, this.parent.children[i] ?? null);
    });
    for (const key of gone) {
      this.#views.get(key)?.element.remove();
      this.#views.delete(key);
    }
  }
}

/** Changes a text only where it differs, so that selections stay. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
