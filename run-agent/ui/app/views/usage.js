/** What runs used: money and tokens by day, agent and project. */

import { h } from "../dom/h.js";
import { changed } from "../dom/frame.js";
import { count, counted, money, tokens } from "../dom/format.js";
import { get } from "../net/api.js";
import { here, note, toProject } from "../router.js";
import { empty, heading, loading, problem } from "../parts/common.js";
import { barTable, columnChart } from "../parts/chart.js";
import { overview } from "../state/overview.js";

/** @typedef {import("../net/types.js").Cell} Cell */

const SPANS = { 7: "7 days", 30: "30 days", 90: "90 days" };
/** Colours that a chart has; agents beyond share the last one. */
const COLOURS = 8;

/** @returns {import("./view.js").View} */
export function usageView() {
  /** @type {Cell[] | undefined} */
  let cells;
  /** @type {Error | undefined} */
  let error;
  let unreadable = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  async function read() {
    const project = here().query.get("project");
    try {
      const answer = await get(
        `/api/v1/views/usage${project ? `?project_id=${encodeURIComponent(project)}` : ""}`,
      );
      cells = answer.cells;
      unreadable = answer.unreadable;
      error = undefined;
    } catch (problem) {
      if (!cells) error = /** @type {Error} */ (problem);
    }
    changed();
  }
  void read();
  void overview.read();

  let project = here().query.get("project") ?? "";
  return {
    title: "Usage",
    topics: [],
    hear(event, data) {
      // Runs count when they are over.
      const ended = event === "status" && data.outcome;
      if ((!ended && event !== "changed") || timer !== undefined) return;
      timer = setTimeout(() => {
        timer = undefined;
        void read();
      }, 2000);
    },
    refresh: () => void read(),
    moved() {
      const now = here().query.get("project") ?? "";
      if (now !== project) {
        project = now;
        void read();
      }
      changed();
    },
    dispose: () => clearTimeout(timer),
    render() {
      const { query } = here();
      const chosen = query.get("project") ?? "";
      const days = Number(query.get("days") ?? 30);
      const by = query.get("by") === "tokens" ? "tokens" : "cost";
      /** @param {Record<string, string>} change */
      const set = (change) => {
        note(change);
        if ("project" in change) {
          project = change.project ?? "";
          void read();
        }
        changed();
      };
      const head = heading(
        [["Usage", undefined]],
        h(
          "p",
          { class: "summary" },
          h("span", null, "of finished runs, by the day on which they ended, in UTC"),
        ),
      );
      if (error)
        return h(
          "main",
          { key: "usage" },
          head,
          problem(error, () => void read()),
        );
      if (!cells) return h("main", { key: "usage" }, head, loading());
      const shown = recent(cells, days);
      return h(
        "main",
        { key: "usage", class: "usage" },
        head,
        h(
          "div",
          { class: "filters" },
          h(
            "label",
            { class: "sort" },
            h("span", { class: "dim" }, "Project "),
            h(
              "select",
              {
                value: chosen,
                "aria-label": "Project",
                onchange: (/** @type {Event} */ event) =>
                  set({ project: /** @type {HTMLSelectElement} */ (event.target).value }),
              },
              h("option", { value: "", selected: chosen === "" }, "all"),
              overview.data?.projects.map(({ id }) =>
                h("option", { key: id, value: id, selected: id === chosen }, id),
              ),
            ),
          ),
          h(
            "div",
            { class: "chips", role: "group", "aria-label": "Span" },
            Object.entries(SPANS).map(([span, word]) =>
              h(
                "button",
                {
                  key: span,
                  type: "button",
                  class: `chip ${Number(span) === days ? "chosen" : ""}`,
                  "aria-pressed": String(Number(span) === days),
                  onclick: () => set({ days: span }),
                },
                word,
              ),
            ),
          ),
          h(
            "div",
            { class: "choice", role: "group", "aria-label": "What is drawn" },
            [
              ["cost", "Cost"],
              ["tokens", "Tokens"],
            ].map(([id = "", word]) =>
              h(
                "button",
                {
                  key: id,
                  type: "button",
                  class: `chip ${id === by ? "chosen" : ""}`,
                  "aria-pressed": String(id === by),
                  onclick: () => set({ by: id }),
                },
                word,
              ),
            ),
          ),
        ),
        cells.length === 0
          ? empty(
              "No run has ended yet",
              "What finished runs used is summed up here, also when their folders are gone.",
              "run-agent usage --by day",
            )
          : [totals(shown, unreadable), byDay(shown, days, by), tables(shown, by)],
      );
    },
  };
}

/** @param {Cell[]} cells @param {number} days */
function recent(cells, days) {
  const first = day(days - 1);
  return cells.filter((cell) => cell.day >= first);
}

/** The day so many days ago, in UTC. @param {number} ago */
function day(ago) {
  return new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
}

/** @param {Cell} cell */
const tokensOf = (cell) =>
  cell.input_tokens + cell.output_tokens + cell.cache_read_tokens + cell.cache_creation_tokens;

/**
 * @typedef {{runs: number, failed: number, cost: number | undefined, tokens: number, unknown: number}} Sum
 * @param {Cell[]} cells
 * @returns {Sum}
 */
function sum(cells) {
  /** @type {Sum} */
  const all = { runs: 0, failed: 0, cost: undefined, tokens: 0, unknown: 0 };
  for (const cell of cells) {
    all.runs += cell.runs;
    all.failed += cell.failed;
    all.tokens += tokensOf(cell);
    all.unknown += cell.unknown_cost;
    if (cell.cost_usd !== undefined) all.cost = (all.cost ?? 0) + cell.cost_usd;
  }
  return all;
}

/** @param {Cell[]} cells @param {number} unreadable */
function totals(cells, unreadable) {
  const all = sum(cells);
  return h(
    "div",
    { class: "totals" },
    h(
      "div",
      null,
      h("b", null, money(all.cost)),
      h(
        "span",
        { class: "dim" },
        "cost",
        all.unknown > 0 ? `, not known of ${counted(all.unknown, "run")}` : "",
      ),
    ),
    h("div", null, h("b", null, tokens(all.tokens)), h("span", { class: "dim" }, "tokens")),
    h("div", null, h("b", null, count(all.runs)), h("span", { class: "dim" }, "runs ended")),
    h(
      "div",
      null,
      h("b", { class: all.failed > 0 ? "bad" : "" }, count(all.failed)),
      h("span", { class: "dim" }, "of them badly"),
    ),
    unreadable > 0 &&
      h(
        "div",
        { class: "problem" },
        `${counted(unreadable, "record")} cannot be read and ${unreadable === 1 ? "is" : "are"} missing here`,
      ),
  );
}

/** The agents, those that used the most first: each keeps its colour on this page. @param {Cell[]} cells */
function agentsOf(cells) {
  /** @type {Map<string, Cell[]>} */
  const groups = group(cells, (cell) => cell.agent);
  return [...groups]
    .map(([agent, own]) => ({ agent, tokens: sum(own).tokens }))
    .sort((a, b) => b.tokens - a.tokens || (a.agent < b.agent ? -1 : 1))
    .map(({ agent }) => agent);
}

/** @param {Cell[]} cells @param {(cell: Cell) => string} key */
function group(cells, key) {
  /** @type {Map<string, Cell[]>} */
  const groups = new Map();
  for (const cell of cells) {
    const own = groups.get(key(cell));
    if (own) own.push(cell);
    else groups.set(key(cell), [cell]);
  }
  return groups;
}

/** @param {Cell[]} cells @param {number} days @param {"cost" | "tokens"} by */
function byDay(cells, days, by) {
  const agents = agentsOf(cells);
  const show = by === "cost" ? (/** @type {number} */ value) => money(value) : tokens;
  const byDay = group(cells, (cell) => cell.day);
  const columns = Array.from({ length: days }, (_, at) => {
    const name = day(days - 1 - at);
    const own = byDay.get(name) ?? [];
    const stacks = agents.map((agent, colour) => {
      const used = sum(own.filter((cell) => cell.agent === agent));
      return {
        name: agent,
        value: by === "cost" ? (used.cost ?? 0) : used.tokens,
        colour: Math.min(colour, COLOURS - 1),
      };
    });
    const all = sum(own);
    const parts = stacks.filter(({ value }) => value > 0).map(({ name, value }) => `${name} ${show(value)}`);
    return {
      label: name.slice(5),
      stacks,
      about: `${name}: ${counted(all.runs, "run")}, ${money(all.cost)}, ${tokens(all.tokens)} tokens${parts.length > 0 ? ` (${parts.join(", ")})` : ""}`,
    };
  });
  return h(
    "section",
    { class: "panel", "aria-labelledby": "by-day" },
    h(
      "h2",
      { id: "by-day" },
      by === "cost" ? "Cost per day" : "Tokens per day",
      h(
        "span",
        { class: "legend" },
        agents.map((agent, colour) =>
          h(
            "span",
            { key: agent },
            h("span", { class: `swatch colour-${Math.min(colour, COLOURS - 1)}` }),
            agent,
          ),
        ),
      ),
    ),
    columnChart(by === "cost" ? "Cost per day, by agent" : "Tokens per day, by agent", columns, show),
  );
}

/** @param {Cell[]} cells @param {"cost" | "tokens"} by */
function tables(cells, by) {
  const agents = agentsOf(cells);
  /** @param {string} label @param {(cell: Cell) => string} key @param {(name: string) => string | undefined} href @param {(name: string) => number} colour */
  const table = (label, key, href, colour) => {
    const bars = [...group(cells, key)].map(([name, own]) => {
      const all = sum(own);
      const link = href(name);
      return {
        name,
        ...(link ? { href: link } : {}),
        value: by === "cost" ? (all.cost ?? 0) : all.tokens,
        colour: colour(name),
        facts: [
          money(all.cost),
          tokens(all.tokens),
          count(all.runs),
          all.failed > 0 ? count(all.failed) : "·",
        ],
      };
    });
    bars.sort((a, b) => b.value - a.value || (a.name < b.name ? -1 : 1));
    return h(
      "section",
      { class: "panel", key: label },
      barTable(label, bars, ["Cost", "Tokens", "Runs", "Failed"]),
    );
  };
  return h(
    "div",
    { class: "halves" },
    table(
      "Agent",
      (cell) => cell.agent,
      () => undefined,
      (name) => Math.min(agents.indexOf(name), COLOURS - 1),
    ),
    table(
      "Project",
      (cell) => cell.project_id,
      (name) => toProject(name),
      () => 0,
    ),
  );
}
