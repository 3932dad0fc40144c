/** The first page: what needs a person, what runs, and all projects. */

import { h } from "../dom/h.js";
import { ago, count, counted, duration, moment, money, time, tokens } from "../dom/format.js";
import { go, toProject, toRun, toTask } from "../router.js";
import { overview } from "../state/overview.js";
import { button, empty, heading, loading, problem, taskName } from "../parts/common.js";
import { badge, dot, ORDER } from "../parts/status.js";
import { startTask } from "../actions/start.js";

/** @typedef {import("../net/types.js").TaskRow} TaskRow */
/** @typedef {import("../net/types.js").ProjectRow} ProjectRow */

/** A run that printed nothing for so long may be stuck, in milliseconds. */
export const SILENT = 10 * 60_000;

/** @returns {import("./view.js").View} */
export function overviewView() {
  let selected = -1;
  void overview.read();
  return {
    title: "Projects",
    topics: ["runs"],
    refresh: () => void overview.read(),
    tick: () => overview.tick(),
    key(event) {
      const projects = overview.data?.projects ?? [];
      const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
      if (step !== undefined && projects.length > 0) {
        selected = Math.min(projects.length - 1, Math.max(0, selected + step));
        return true;
      }
      const chosen = projects[selected];
      if (event.key === "Enter" && chosen) {
        go(toProject(chosen.id));
        return true;
      }
      return false;
    },
    render() {
      const { data, error } = overview;
      if (error && !data)
        return h(
          "main",
          { key: "overview" },
          problem(error, () => void overview.read()),
        );
      if (!data) return h("main", { key: "overview" }, loading());
      return h(
        "main",
        { key: "overview", class: "overview" },
        heading([["Projects", undefined]], summary(data), [
          button("plus", "Start a task", () => void startTask(), "primary"),
        ]),
        attention(data),
        running(data.running),
        projects(data.projects, selected),
        (data.unreadable ?? []).length > 0 &&
          h(
            "section",
            { class: "panel" },
            h("h2", null, "Cannot be read"),
            h(
              "ul",
              null,
              data.unreadable?.map((text) => h("li", { class: "mono" }, text)),
            ),
          ),
      );
    },
  };
}

/** @param {import("../net/types.js").Overview} data */
function summary({ projects, running, unread = 0 }) {
  /** @param {(project: ProjectRow) => number} of */
  const sum = (of) => projects.reduce((all, project) => all + of(project), 0);
  const waits = sum((project) => waiting(project));
  const cost = projects.reduce(
    (/** @type {number | undefined} */ all, { cost_usd }) =>
      cost_usd === undefined ? all : (all ?? 0) + cost_usd,
    undefined,
  );
  return h(
    "p",
    { class: "summary" },
    h("span", null, h("b", null, count(running.length)), " running"),
    h("span", null, h("b", null, count(waits)), " waiting"),
    h("span", null, h("b", null, money(cost)), " today"),
    h("span", null, h("b", null, tokens(sum((project) => project.tokens))), " tokens"),
    unread > 0 && h("span", { class: "dim", role: "status" }, `reading ${count(unread)} more tasks…`),
  );
}

/** @param {ProjectRow} project */
function waiting({ states }) {
  const { question = 0, waiting = 0, queued = 0, blocked = 0, between = 0, stalled = 0 } = states;
  return question + waiting + queued + blocked + between + stalled;
}

/** @param {import("../net/types.js").Overview} data */
function attention({ attention, running }) {
  const silent = running.filter(
    (task) => Date.now() - moment(task.latest?.printed ?? task.latest?.start) > SILENT,
  );
  if (attention.length + silent.length === 0) return null;
  return h(
    "section",
    { class: "panel attention", "aria-labelledby": "attention" },
    h(
      "h2",
      { id: "attention" },
      "Needs a look",
      h("span", { class: "count" }, count(attention.length + silent.length)),
    ),
    h(
      "ul",
      { class: "cards" },
      [...attention]
        .sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state))
        .slice(0, 50)
        .map((task) =>
          h("li", { key: `${task.project_id}/${task.id}` }, taskLine(task, badge(task.state), reason(task))),
        ),
      silent.map((task) =>
        h(
          "li",
          { key: `silent ${task.project_id}/${task.id}` },
          taskLine(
            task,
            badge("running"),
            `printed nothing for ${duration(Date.now() - moment(task.latest?.printed ?? task.latest?.start))}`,
          ),
        ),
      ),
    ),
  );
}

/** @param {TaskRow} task @returns {import("../dom/h.js").Child} */
function reason(task) {
  if (task.state === "question")
    return task.waiting?.until
      ? ["asks you something; goes on without you at ", time(task.waiting.until, "clock")]
      : "asks you something";
  if (task.state === "stalled") return "unfinished, and nothing drives it";
  return task.reason ?? task.latest?.error ?? task.latest?.outcome ?? "";
}

/**
 * @param {TaskRow} task
 * @param {import("../dom/h.js").VNode} sign
 * @param {import("../dom/h.js").Child} about
 */
function taskLine(task, sign, about) {
  return h(
    "a",
    { class: "line", href: toTask(task.project_id, task.id) },
    sign,
    h("span", { class: "what" }, taskName(task.id), h("span", { class: "dim" }, task.project_id)),
    h("span", { class: "why" }, about),
    h("span", { class: "when" }, time(task.last_activity)),
  );
}

/** @param {TaskRow[]} tasks */
function running(tasks) {
  if (tasks.length === 0) return null;
  return h(
    "section",
    { class: "panel", "aria-labelledby": "running" },
    h("h2", { id: "running" }, "Running now", h("span", { class: "count" }, count(tasks.length))),
    h(
      "ul",
      { class: "cards" },
      tasks.slice(0, 50).map((task) => {
        const run = task.latest;
        if (!run) return null;
        const since = Date.now() - moment(run.start);
        const printed = moment(run.printed);
        return h(
          "li",
          { key: `${task.project_id}/${task.id}` },
          h(
            "a",
            { class: "line", href: toRun(task.project_id, task.id, run.id) },
            dot("running"),
            h("span", { class: "what" }, taskName(task.id), h("span", { class: "dim" }, task.project_id)),
            h(
              "span",
              { class: "why" },
              run.agent,
              task.attempts && task.attempts > 1 ? `, attempt ${task.attempts}` : "",
            ),
            h("span", { class: "when", title: "how long it runs" }, duration(since)),
            h(
              "span",
              { class: "when dim", title: "when it last printed something" },
              Number.isNaN(printed) ? "silent" : ago(Date.now() - printed),
            ),
          ),
        );
      }),
      tasks.length > 50 && h("li", { class: "dim more" }, `and ${count(tasks.length - 50)} more`),
    ),
  );
}

/**
 * @param {ProjectRow[]} projects
 * @param {number} selected
 */
function projects(projects, selected) {
  if (projects.length === 0) {
    return empty(
      "No project yet",
      "A project begins with its first task. Start one here, or on the command line:",
      "run-agent task --project demo --agent shell --prompt 'echo hello; touch \"$JRUN_TASK_FOLDER/DONE\"'",
    );
  }
  return h(
    "section",
    { class: "panel", "aria-labelledby": "projects" },
    h("h2", { id: "projects" }, "Projects", h("span", { class: "count" }, count(projects.length))),
    h(
      "div",
      { class: "scroll-x", tabIndex: 0 },
      h(
        "table",
        { class: "table" },
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            ["Project", "Running", "Waiting", "Failed", "Done", "Tasks", "Cost today", "Activity"].map(
              (word, at) => h("th", { scope: "col", class: at > 0 ? "number" : "" }, word),
            ),
          ),
        ),
        h(
          "tbody",
          null,
          projects.map((project, at) => projectRow(project, at === selected)),
        ),
      ),
    ),
  );
}

/**
 * @param {ProjectRow} project
 * @param {boolean} selected
 */
function projectRow(project, selected) {
  const { running = 0, failed = 0, done = 0, unknown = 0 } = project.states;
  /** @param {number} number @param {string} look */
  const cell = (number, look) =>
    h("td", { class: `number ${number > 0 ? look : "none"}` }, number > 0 ? count(number) : "·");
  return h(
    "tr",
    { key: project.id, class: selected ? "selected" : "" },
    h(
      "th",
      { scope: "row" },
      h("a", { href: toProject(project.id) }, project.id),
      project.source && h("span", { class: "dim path", title: project.source }, project.source),
    ),
    cell(running, "is-running"),
    cell(waiting(project), "is-waiting"),
    cell(failed + unknown, "is-failed"),
    cell(done, "is-done"),
    h("td", { class: "number" }, count(project.tasks)),
    h(
      "td",
      {
        class: "number",
        title: `${counted(project.runs, "run")} ended today, ${tokens(project.tokens)} tokens${project.unknown_cost > 0 ? `; of ${project.unknown_cost} the cost is not known` : ""}`,
      },
      money(project.cost_usd),
    ),
    h("td", { class: "number" }, time(project.last_activity)),
  );
}
