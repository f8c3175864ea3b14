import { setIcon } from "./dom";

/** Copies text and shows a tick in the button for a moment. */
export async function copyText(text: string, button: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    return; // An insecure page or no permission: the text is selectable.
  }
  setIcon(button, "check");
  setTimeout(() => setIcon(button, "copy"), 1500);
}
