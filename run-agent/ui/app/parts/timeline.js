/**
 * Runs as a tree of parents, children and restarts, each with its bar on one line of time.
 */

import { h } from "../dom/h.js";
import { clock, duration, moment, money } from "../dom/format.js";
import { openLink, toRun } from "../router.js";
import { runBadge, runState } from "./status.js";

/** @typedef {import("../net/types.js").RunRow} RunRow */
/** @typedef {{run: RunRow, depth: number, restart: boolean}} Branch */

/** Marks on the line of time. */
const MARKS = 3;

/**
 * The runs in the order of a tree: each behind its parent, those of one parent in the order of their starts.
 *
 * @param {RunRow[]} runs
 * @returns {Branch[]}
 */
export function branches(runs) {
  const known = new Set(runs.map(({ id }) => id));
  /** @type {Map<string, RunRow[]>} */
  const below = new Map();
  for (const run of runs) {
    const parent = run.parent && known.has(run.parent) && run.parent !== run.id ? run.parent : "";
    const kids = below.get(parent);
    if (kids) kids.push(run);
    else below.set(parent, [run]);
  }
  /** @type {Branch[]} */
  const found = [];
  /** @type {[RunRow, number][]} */
  const todo = (below.get("") ?? []).reverse().map((run) => [run, 0]);
  const seen = new Set();
  for (let next = todo.pop(); next; next = todo.pop()) {
    const [run, depth] = next;
    if (seen.has(run.id)) continue;
    seen.add(run.id);
    found.push({ run, depth, restart: run.previous !== undefined && known.has(run.previous) });
    for (const kid of (below.get(run.id) ?? []).reverse()) todo.push([kid, depth + 1]);
  }
  return found;
}

/**
 * @param {string} project
 * @param {string} task
 * @param {RunRow[]} runs
 */
export function timeline(project, task, runs) {
  const now = Date.now();
  const begin = Math.min(...runs.map((run) => moment(run.start)).filter((at) => !Number.isNaN(at)), now);
  const end = Math.max(
    ...runs
      .map((run) => (run.end ? moment(run.end) : run.status === "running" ? now : moment(run.start)))
      .filter((at) => !Number.isNaN(at)),
    // Long enough that each mark tells another second.
    begin + MARKS * 1000,
  );
  const span = end - begin;
  return h(
    "div",
    { class: "timeline", role: "table", "aria-label": "Runs" },
    h(
      "div",
      { class: "run-row head", role: "row" },
      ["Run", "How it ended", "Agent", "Took", "Cost"].map((word) =>
        h("span", { key: word, role: "columnheader", class: `r-${word.split(" ")[0]?.toLowerCase()}` }, word),
      ),
      h("span", { class: "r-bar marks", role: "columnheader", "aria-label": "Time" }, marks(begin, span)),
    ),
    branches(runs).map(({ run, depth, restart }) => {
      const from = moment(run.start);
      const to = run.end ? moment(run.end) : now;
      const took = run.end || run.status === "running" ? to - from : Number.NaN;
      return h(
        "div",
        { key: run.id, class: "run-row", role: "row", vars: { depth }, onclick: openLink },
        h(
          "span",
          { class: "r-run", role: "cell" },
          depth > 0
            ? h("span", { class: "twig", role: "img", "aria-label": "child" })
            : restart
              ? h(
                  "span",
                  {
                    class: "again",
                    role: "img",
                    title: "goes on from the run before",
                    "aria-label": "restart",
                  },
                  "↻",
                )
              : h("span", { class: "again" }),
          h("a", { class: "mono id cover", href: toRun(project, run.task_id, run.id) }, run.id),
          run.task_id !== task && h("span", { class: "dim" }, ` of ${run.task_id}`),
        ),
        h("span", { class: "r-how", role: "cell" }, runBadge(run)),
        h("span", { class: "r-agent", role: "cell", title: run.model }, run.agent),
        h("span", { class: "r-took", role: "cell" }, Number.isNaN(took) ? "–" : duration(took)),
        h("span", { class: "r-cost", role: "cell" }, run.cost_usd === undefined ? "" : money(run.cost_usd)),
        h(
          "span",
          {
            class: "r-bar",
            role: "cell",
            title: `${clock(from, true)} – ${run.end ? clock(to, true) : "now"}`,
          },
          h("span", {
            class: `bar is-${runState(run)}`,
            vars: {
              from: `${((from - begin) / span) * 100}%`,
              length: `${Math.max(0, ((to - from) / span) * 100)}%`,
            },
          }),
        ),
      );
    }),
  );
}

/** @param {number} begin @param {number} span */
function marks(begin, span) {
  return Array.from({ length: MARKS }, (_, at) =>
    h(
      "span",
      { key: at, class: "mark", vars: { at: `${(at / MARKS) * 100}%` } },
      clock(begin + (span * at) / MARKS, span < 600_000),
    ),
  );
}
