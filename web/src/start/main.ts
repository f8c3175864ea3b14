import { copyText } from "../ui/clipboard";
import { byId, icon, make } from "../ui/dom";

/** Hands a pasted value to another page in the fragment, which no server sees. */
function door(form: string, field: string, page: string, name: string): void {
  byId(form).addEventListener("submit", (event) => {
    event.preventDefault();
    const value = byId<HTMLInputElement>(field).value.trim();
    location.href = value === "" ? page : `${page}#${new URLSearchParams({ [name]: value })}`;
  });
}

door("join-form", "join-token", "/console/join", "token");
door("watch-form", "watch-url", "/console/watch", "src");

for (const place of document.querySelectorAll("[data-origin]")) place.textContent = location.origin;

for (const block of document.querySelectorAll("pre")) {
  const button = make("button", "copy", icon("copy"));
  button.type = "button";
  button.title = "Copy";
  button.setAttribute("aria-label", "Copy these commands");
  button.addEventListener("click", () => void copyText(block.querySelector("code")?.textContent ?? "", button));
  block.append(button);
}
