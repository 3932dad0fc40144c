/** The keys, on one page. */

import { h } from "../dom/h.js";
import { changed } from "../dom/frame.js";

let open = false;

export function toggleHelp() {
  open = !open;
  changed();
}

export function closeHelp() {
  if (open) toggleHelp();
}

/** @type {[string, string][]} */
const KEYS = [
  ["/", "search"],
  ["↑ ↓ or k j", "move in a list"],
  ["Enter", "open what is selected"],
  ["f", "follow the end of a log"],
  ["g G", "begin and end of a log"],
  ["n N", "next and previous place found"],
  ["w", "wrap long lines"],
  ["Esc", "leave a field, close this"],
  ["?", "this help"],
];

export function helpPanel() {
  if (!open) return null;
  return h(
    "aside",
    { class: "help", key: "help", role: "dialog", "aria-label": "Keys" },
    h("h2", null, "Keys"),
    h("dl", null, KEYS.map(([key, what]) => h("div", { key }, h("dt", null, key.split(" ").map((one) => (one === "or" ? " or " : h("kbd", null, one)))), h("dd", null, what)))),
    h("button", { type: "button", class: "plain", onclick: toggleHelp }, "Close"),
  );
}
