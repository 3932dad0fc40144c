/** Bars: of days side by side, and of names below each other. Each can be read as a table, too. */

import { h } from "../dom/h.js";

/**
 * @typedef {object} Stack what is drawn above each other on one day
 * @property {string} name
 * @property {number} value
 * @property {number} colour 0 to 7
 *
 * @typedef {{label: string, stacks: Stack[], about: string}} Column
 */

/**
 * Columns side by side, each a stack.
 *
 * @param {string} label what the chart shows
 * @param {Column[]} columns
 * @param {(value: number) => string} show
 */
export function columnChart(label, columns, show) {
  const most = Math.max(...columns.map(({ stacks }) => total(stacks)), 0);
  const top = nice(most);
  return h(
    "figure",
    { class: "chart", "aria-label": label },
    h(
      "div",
      { class: "axis", "aria-hidden": "true" },
      [1, 0.5, 0].map((part) => h("span", { key: part, vars: { place: 1 - part } }, show(top * part))),
    ),
    h(
      "div",
      { class: "plot", role: "list" },
      columns.map(({ label: name, stacks, about }, at) =>
        h(
          "div",
          { key: name, class: "column", role: "listitem", tabIndex: 0, title: about, "aria-label": about },
          h(
            "span",
            { class: "stack" },
            [...stacks].reverse().map(({ name: part, value, colour }) =>
              h("span", {
                key: part,
                class: `part colour-${colour}`,
                vars: { part: `${top > 0 ? (value / top) * 100 : 0}%` },
              }),
            ),
          ),
          h(
            "span",
            { class: "tick", "aria-hidden": "true" },
            columns.length <= 10 || at % Math.ceil(columns.length / 8) === 0 ? name : "",
          ),
        ),
      ),
    ),
  );
}

/** @param {Stack[]} stacks */
function total(stacks) {
  return stacks.reduce((sum, { value }) => sum + value, 0);
}

/** A round number above. @param {number} value */
function nice(value) {
  if (value <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 2.5, 5, 10].find((step) => step * unit >= value) ?? 10) * unit;
}

/**
 * Bars below each other, the longest first.
 *
 * @param {string} label
 * @param {{name: string, href?: string, value: number, colour: number, facts: string[]}[]} bars
 * @param {string[]} heads of the facts
 */
export function barTable(label, bars, heads) {
  const most = Math.max(...bars.map(({ value }) => value), 0);
  return h(
    "div",
    { class: "scroll-x", tabIndex: 0 },
    h(
      "table",
      { class: "table bars" },
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          h("th", { scope: "col" }, label),
          h("th", { scope: "col", class: "bar-head" }, h("span", { class: "unseen" }, "share")),
          heads.map((head) => h("th", { scope: "col", class: "number", key: head }, head)),
        ),
      ),
      h(
        "tbody",
        null,
        bars.map(({ name, href, value, colour, facts }) =>
          h(
            "tr",
            { key: name },
            h("th", { scope: "row" }, href ? h("a", { href }, name) : name),
            h(
              "td",
              { class: "bar-cell" },
              h("span", {
                class: `bar-of colour-${colour}`,
                vars: { part: `${most > 0 ? (value / most) * 100 : 0}%` },
              }),
            ),
            facts.map((fact, at) => h("td", { class: "number", key: heads[at] ?? at }, fact)),
          ),
        ),
      ),
    ),
  );
}
