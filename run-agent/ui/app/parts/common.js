/** Small parts that all views are made of. */

import { h } from "../dom/h.js";
import { icon } from "./icon.js";

/** @typedef {import("../dom/h.js").Child} Child */

/**
 * The head of a view: where one is, and what can be done.
 *
 * @param {[string, string | undefined][]} crumbs words and where they lead; the last is this place
 * @param {Child} about
 * @param {Child[]} actions
 */
export function heading(crumbs, about, actions = []) {
  const last = crumbs.at(-1)?.[0] ?? "";
  return h(
    "header",
    { class: "heading" },
    h(
      "nav",
      { class: "crumbs", "aria-label": "Where you are" },
      crumbs
        .slice(0, -1)
        .map(([word, href], at) => [
          at > 0 && h("span", { class: "slash", "aria-hidden": "true" }, "/"),
          h("a", { href }, word),
        ]),
    ),
    h("div", { class: "title" }, h("h1", { title: last }, last), about),
    actions.length > 0 && h("div", { class: "actions" }, actions),
  );
}

/**
 * The id of a task, with the time in it set back: the words behind it are what tells tasks apart.
 *
 * @param {string} id
 */
export function taskName(id) {
  const [, begin, rest] = /^(task-\d{8}-\d{6}-)(.+)$/.exec(id) ?? [];
  return h("span", { class: "name", title: id }, rest ? [h("span", { class: "stamp" }, begin), rest] : id);
}

/**
 * @param {string} name of the sign
 * @param {string} word
 * @param {() => void} onclick
 * @param {string} [look] `primary`, `danger` or `quiet`
 */
export function button(name, word, onclick, look = "plain") {
  return h("button", { type: "button", class: look, onclick }, icon(name), h("span", null, word));
}

/**
 * Nothing is there yet: says why, and the command that changes that.
 *
 * @param {string} what
 * @param {Child} why
 * @param {string} [command]
 */
export function empty(what, why, command) {
  return h(
    "div",
    { class: "empty" },
    h("h2", null, what),
    h("p", null, why),
    command && h("pre", { class: "command", tabIndex: 0 }, command),
  );
}

/**
 * What could not be read.
 *
 * @param {Error} error
 * @param {() => void} again
 */
export function problem(error, again) {
  const hint = /** @type {{hint?: string}} */ (error).hint;
  return h(
    "div",
    { class: "empty problem", role: "alert" },
    h("h2", null, "This could not be read"),
    h("p", null, error.message),
    hint && h("p", { class: "way-out" }, hint),
    button("retry", "Try again", again),
  );
}

export function loading() {
  return h("div", { class: "loading", role: "status" }, "Reading…");
}

/**
 * Named facts in two columns.
 *
 * @param {[string, Child][]} facts those without a value are left out
 */
export function facts(facts) {
  return h(
    "dl",
    { class: "facts" },
    facts
      .filter(([, value]) => value !== undefined && value !== null && value !== "")
      .map(([name, value]) => h("div", { key: name }, h("dt", null, name), h("dd", null, value))),
  );
}

/**
 * Views of the same thing, side by side.
 *
 * @param {[string, string, string, Child?][]} tabs id, word, address, and what stands behind the word
 * @param {string} chosen
 */
export function tabs(tabs, chosen) {
  return h(
    "nav",
    { class: "tabs", "aria-label": "Parts" },
    tabs.map(([id, word, href, more]) =>
      h(
        "a",
        {
          key: id,
          href,
          class: id === chosen ? "chosen" : "",
          "aria-current": id === chosen ? "page" : undefined,
        },
        word,
        more && h("span", { class: "dim" }, more),
      ),
    ),
  );
}
