/** Short news at the edge of the page, also read out to who does not see it. */

import { h } from "../dom/h.js";
import { changed } from "../dom/frame.js";

/** @type {{key: number, text: string, bad: boolean, hint?: string | undefined}[]} */
let news = [];
let count = 0;

/**
 * @param {string} text
 * @param {{bad?: boolean, hint?: string | undefined}} [how]
 */
export function tell(text, { bad = false, hint } = {}) {
  const key = ++count;
  news = [...news.slice(-3), { key, text, bad, hint }];
  setTimeout(() => forget(key), bad ? 12_000 : 5000);
  changed();
}

/** @param {unknown} error */
export function tellError(error) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  tell(error instanceof Error ? error.message : String(error), {
    bad: true,
    hint: /** @type {{hint?: string}} */ (error ?? {}).hint,
  });
}

/** @param {number} key */
function forget(key) {
  news = news.filter((item) => item.key !== key);
  changed();
}

export function toasts() {
  return h(
    "div",
    { class: "toasts", role: "status", "aria-live": "polite" },
    news.map((item) =>
      h(
        "div",
        { key: item.key, class: item.bad ? "toast bad" : "toast" },
        h("p", null, item.text),
        item.hint && h("p", { class: "way-out" }, item.hint),
        h("button", { type: "button", class: "quiet", "aria-label": "Dismiss", onclick: () => forget(item.key) }, "×"),
      ),
    ),
  );
}
