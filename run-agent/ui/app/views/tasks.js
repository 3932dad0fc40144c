/** The tasks of a project: thousands of rows, searched, filtered and sorted where they are. */

import { h, island } from "../dom/h.js";
import { changed } from "../dom/frame.js";
import { ago, count, duration, moment, money, time } from "../dom/format.js";
import { go, here, note, openLink, to, toBus, toProject, toTask } from "../router.js";
import { overview } from "../state/overview.js";
import { TaskStore } from "../state/tasks.js";
import { button, empty, heading, loading, problem, tabs, taskName } from "../parts/common.js";
import { badge, ORDER, STATES } from "../parts/status.js";
import { virtualList } from "../parts/virtual.js";
import { startTask } from "../actions/start.js";

/** @typedef {import("../net/types.js").TaskRow} TaskRow */
/** @typedef {import("../net/types.js").State} State */

const HEIGHT = 44;

/** What goes no further unless somebody looks at it, then all others in their order. @type {State[]} */
const NEEDY = ["question", "failed", "stalled", "unreadable", "unknown"];
const RANK = new Map([...new Set([...NEEDY, ...ORDER])].map((state, at) => [state, at]));

/** @param {TaskRow} a @param {TaskRow} b */
function latestFirst(a, b) {
  return a.last_activity < b.last_activity ? 1 : a.last_activity > b.last_activity ? -1 : 0;
}

/** @type {Record<string, {word: string, by: (a: TaskRow, b: TaskRow) => number}>} */
const SORTS = {
  state: { word: "what needs you first", by: (a, b) => (RANK.get(a.state) ?? 0) - (RANK.get(b.state) ?? 0) },
  activity: { word: "latest first", by: latestFirst },
  attempts: { word: "most attempts first", by: (a, b) => (b.attempts ?? b.runs) - (a.attempts ?? a.runs) },
  name: { word: "by name", by: (a, b) => (a.id < b.id ? -1 : 1) },
};

/**
 * @param {string} project
 * @returns {import("./view.js").View}
 */
export function tasksView(project) {
  const store = new TaskStore(project);
  void store.readAll();
  let selected = -1;
  /** All in their order, after the last change. @type {{version: number, sort: string, rows: TaskRow[]} | undefined} */
  let ordered;
  /** @type {{of: TaskRow[], key: string, rows: TaskRow[], counts: Map<State, number>} | undefined} */
  let known;

  /** All rows in the order that is asked for, put in order once for each change. */
  function inOrder() {
    const sort = here().query.get("sort") ?? "state";
    if (ordered?.version === store.version && ordered.sort === sort) return ordered.rows;
    const by = (Object.hasOwn(SORTS, sort) ? SORTS[sort] : SORTS.state)?.by;
    const rows = [...store.rows.values()].sort((a, b) => by?.(a, b) || latestFirst(a, b));
    ordered = { version: store.version, sort, rows };
    return rows;
  }

  /** What is asked for. */
  function rows() {
    const { query } = here();
    const text = (query.get("q") ?? "").trim().toLowerCase();
    const state = query.get("state") ?? "";
    const all = inOrder();
    const key = `${text}\n${state}`;
    if (known?.of === all && known.key === key) return known;
    /** @type {Map<State, number>} */
    const counts = new Map();
    /** @type {TaskRow[]} */
    const found = [];
    for (const row of all) {
      if (text && !words(row).includes(text)) continue;
      counts.set(row.state, (counts.get(row.state) ?? 0) + 1);
      if (!state || row.state === state) found.push(row);
    }
    known = { of: all, key, rows: found, counts };
    return known;
  }

  /** @param {TaskRow | undefined} row */
  const openRow = (row) => row && go(toTask(project, row.id));

  return {
    title: project,
    topics: [],
    hear(event, data) {
      if (event === "changed" && data.what === "all") void store.readAll();
      if (data.project_id !== project) return;
      if (data.what === "project") store.count();
      else if ((event === "status" || event === "changed") && data.task_id) store.touch(data.task_id);
    },
    refresh: () => void store.readAll(),
    tick: () => store.tick(),
    dispose: () => store.dispose(),
    key(event) {
      const list = rows().rows;
      /** @type {Record<string, number>} */
      const steps = {
        ArrowDown: 1,
        j: 1,
        ArrowUp: -1,
        k: -1,
        PageDown: 12,
        PageUp: -12,
        Home: -list.length,
        End: list.length,
      };
      const step = steps[event.key];
      if (step !== undefined) {
        selected = Math.min(list.length - 1, Math.max(0, selected + step));
        return true;
      }
      if (event.key === "Enter" && selected >= 0) {
        openRow(list[selected]);
        return true;
      }
      return false;
    },
    render() {
      if (store.error)
        return h(
          "main",
          { key: project },
          heading(
            [
              ["Projects", "#/"],
              [project, undefined],
            ],
            null,
          ),
          problem(store.error, () => void store.readAll()),
        );
      const { rows: list, counts } = rows();
      const info = overview.data?.projects.find((known) => known.id === project);
      return h(
        "main",
        { key: project, class: "fills" },
        heading(
          [
            ["Projects", "#/"],
            [project, undefined],
          ],
          info &&
            h(
              "p",
              { class: "summary" },
              h("span", null, h("b", null, count(store.partial ? store.total : store.rows.size)), " tasks"),
              store.partial &&
                h("span", { class: "dim", role: "status" }, `${count(store.rows.size)} read so far…`),
              h("span", null, h("b", null, money(info.cost_usd)), " today"),
              info.source && h("span", { class: "path dim", title: info.source }, info.source),
            ),
          [button("plus", "Start a task", () => void startTask(project), "primary")],
        ),
        tabs(
          [
            ["tasks", "Tasks", toProject(project)],
            ["bus", "Bus", toBus(project)],
            ["usage", "Usage", to(["usage"], { project })],
          ],
          "tasks",
        ),
        filters(counts),
        !store.loaded
          ? loading()
          : list.length === 0
            ? nothing(project, store.rows.size)
            : h(
                "div",
                {
                  class: "grid-table",
                  role: "table",
                  "aria-label": `Tasks of ${project}`,
                  "aria-rowcount": list.length,
                },
                headRow(),
                island(`tasks ${project}`, virtualList, {
                  items: list,
                  height: HEIGHT,
                  row: (/** @type {TaskRow} */ row, /** @type {number} */ at) =>
                    taskRow(row, at, at === selected),
                  label: "Tasks",
                  ...(selected >= 0 ? { selected } : {}),
                }),
              ),
      );
    },
  };
}

/** What each row is searched by, made once. @type {WeakMap<TaskRow, string>} */
const searched = new WeakMap();

/** @param {TaskRow} row */
function words(row) {
  let text = searched.get(row);
  if (text === undefined) {
    text = [row.id, row.state, row.latest?.agent, row.latest?.error, row.reason, row.waiting?.what]
      .join("\n")
      .toLowerCase();
    searched.set(row, text);
  }
  return text;
}

/** @param {Map<State, number>} counts */
function filters(counts) {
  const { query } = here();
  const chosen = query.get("state") ?? "";
  let all = 0;
  for (const number of counts.values()) all += number;
  /** @param {string} state @param {string} word @param {number} number */
  const chip = (state, word, number) =>
    h(
      "button",
      {
        type: "button",
        key: state,
        class: `chip ${state ? `is-${state}` : ""} ${state === chosen ? "chosen" : ""}`,
        "aria-pressed": String(state === chosen),
        onclick: () => {
          note({ state: state === chosen ? "" : state });
          changed();
        },
      },
      word,
      h("span", { class: "count" }, count(number)),
    );
  return h(
    "div",
    { class: "filters", role: "search" },
    h("input", {
      type: "search",
      class: "search",
      placeholder: "Search tasks  /",
      "aria-label": "Search tasks",
      value: query.get("q") ?? "",
      oninput: (/** @type {Event} */ event) => {
        note({ q: /** @type {HTMLInputElement} */ (event.target).value });
        changed();
      },
    }),
    h(
      "div",
      { class: "chips" },
      chip("", "all", all),
      ORDER.filter((state) => counts.has(state) || state === chosen).map((state) =>
        chip(state, STATES[state].word, counts.get(state) ?? 0),
      ),
    ),
    h(
      "label",
      { class: "sort" },
      h("span", { class: "dim" }, "Order "),
      h(
        "select",
        {
          value: query.get("sort") ?? "state",
          onchange: (/** @type {Event} */ event) => {
            note({ sort: /** @type {HTMLSelectElement} */ (event.target).value });
            changed();
          },
        },
        Object.entries(SORTS).map(([id, { word }]) =>
          h("option", { value: id, selected: id === (query.get("sort") ?? "state") }, word),
        ),
      ),
    ),
  );
}

function headRow() {
  return h(
    "div",
    { class: "row head", role: "row" },
    ["State", "Task", "What goes on", "Agent", "Attempts", "Activity"].map((word) =>
      h("span", { key: word, role: "columnheader", class: `c-${word.split(" ")[0]?.toLowerCase()}` }, word),
    ),
  );
}

/**
 * @param {TaskRow} row
 * @param {number} at
 * @param {boolean} selected
 */
function taskRow(row, at, selected) {
  return h(
    "div",
    {
      key: row.id,
      class: `row ${selected ? "selected" : ""}`,
      role: "row",
      "aria-rowindex": at + 2,
      vars: { at },
      onclick: openLink,
    },
    h("span", { role: "cell", class: "c-state" }, badge(row.state)),
    h(
      "span",
      { role: "cell", class: "c-task" },
      h("a", { class: "cover", href: toTask(row.project_id, row.id) }, taskName(row.id)),
    ),
    h("span", { role: "cell", class: "c-what" }, goesOn(row)),
    h("span", { role: "cell", class: "c-agent" }, row.latest?.agent ?? ""),
    h("span", { role: "cell", class: "c-attempts", title: `${row.runs} runs` }, row.attempts ?? row.runs),
    h("span", { role: "cell", class: "c-activity" }, time(row.last_activity)),
  );
}

/**
 * What a task does or waits for, and until when.
 *
 * @param {TaskRow} row
 * @returns {import("../dom/h.js").Child}
 */
export function goesOn(row) {
  const run = row.latest;
  if (row.state === "running" && run) {
    const printed = moment(run.printed);
    return [
      `runs for ${duration(Date.now() - moment(run.start))}`,
      Number.isNaN(printed) ? ", silent so far" : `, printed ${ago(Date.now() - printed)}`,
    ];
  }
  const { waiting } = row;
  if (waiting) {
    const place = row.queue_position ? ` (number ${row.queue_position} in line)` : "";
    const until = moment(waiting.until);
    return [
      waitsFor(waiting.what),
      place,
      Number.isNaN(until)
        ? ` for ${duration(Date.now() - moment(waiting.since))}`
        : [", until ", time(waiting.until, "clock")],
    ];
  }
  if (row.blocked_by?.length) return `after ${row.blocked_by.join(", ")}`;
  return (
    row.reason ??
    run?.error ??
    (row.state === "done" && run?.outcome && run.outcome !== "completed" ? `last run ${run.outcome}` : "")
  );
}

/** @param {string} what */
function waitsFor(what) {
  if (what.startsWith("answers")) return "an answer of yours";
  if (what.startsWith("dependencies: ")) return `after ${what.slice(14)}`;
  return what === "delay" ? "a pause before the next attempt" : what;
}

/** @param {string} project @param {number} all */
function nothing(project, all) {
  if (all > 0)
    return empty(
      "No task is like that",
      h(
        "button",
        {
          type: "button",
          class: "plain",
          onclick: () => {
            note({ q: "", state: "" });
            changed();
          },
        },
        "Show all",
      ),
    );
  return empty(
    "No task yet",
    "Start one here, or on the command line:",
    `run-agent task --project ${project} --agent claude --prompt-file task.md`,
  );
}
