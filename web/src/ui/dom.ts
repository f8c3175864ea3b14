/** The element with this id. The page's HTML and its script are one unit: a missing one is a bug and throws. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`no element #${id}`);
  return element as T;
}

/** Makes an element with classes and children; strings become text, never HTML. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (className !== "") element.className = className;
  element.append(...children);
  return element;
}

const svg = "http://www.w3.org/2000/svg";

/** One of the icons in the page's sprite (web/src/pages/parts.html). */
export function icon(name: string): SVGSVGElement {
  const element = document.createElementNS(svg, "svg");
  element.setAttribute("class", "icon");
  element.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(svg, "use");
  use.setAttribute("href", `#i-${name}`);
  element.append(use);
  return element;
}

/** Shows another icon in a button. */
export function setIcon(button: HTMLElement, name: string): void {
  button.querySelector("use")?.setAttribute("href", `#i-${name}`);
}

/** Calls the handler for single letters pressed outside of fields, without modifiers. */
export function onKeys(handler: (key: string) => boolean): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const target = event.target as HTMLElement;
    if (target.closest("input, textarea, select, [contenteditable]")) return;
    if (event.key === " " && target.closest("button, a")) return;
    if (handler(event.key.toLowerCase())) event.preventDefault();
  });
}

/** Remembers a choice in this browser; storage may be switched off, then nothing is remembered. */
export const memory = {
  get(key: string): string {
    try {
      return localStorage.getItem(`footlight.${key}`) ?? "";
    } catch {
      return "";
    }
  },
  set(key: string, value: string): void {
    try {
      localStorage.setItem(`footlight.${key}`, value);
    } catch {
      // Private browsing.
    }
  },
};
