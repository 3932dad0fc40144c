/** How the root, the server and the machine are: what is wrong, what waits, what can be cleaned. */

import { h } from "../dom/h.js";
import { changed } from "../dom/frame.js";
import { count, counted, duration, moment, size, time } from "../dom/format.js";
import { get } from "../net/api.js";
import { mustLook } from "../net/following.js";
import { button, facts, heading, loading } from "../parts/common.js";
import { icon } from "../parts/icon.js";
import { overview } from "../state/overview.js";
import { toRun, toTask } from "../router.js";
import { markdown } from "../text/markdown.js";
import { Garbage } from "./garbage.js";
import { updatePanel } from "./update.js";
import { reconcile } from "../actions/task.js";
import { UPDATE } from "../actions/upkeep.js";

/** @typedef {import("../net/types.js").Health} Health */

/** How soon after a look what happens is looked at. */
const SOON = 1000;
/** What nothing tells of is looked at so often: the disk while somebody looks on; all, where not all is told. */
const SELDOM = 60_000;
const ANYWAY = 5000;

/** What each kind of finding is called, and how bad it is. @type {Record<string, [string, string]>} */
const FINDINGS = {
  not_closed: ["An end that nobody wrote down", "is-waiting"],
  unsupervised: ["An agent without its keeper", "is-failed"],
  unknown: ["A run that may live or not", "is-waiting"],
  not_driven: ["A task that nobody drives", "is-question"],
  damaged: ["A damaged file", "is-failed"],
  foreign: ["A name that is no id", "is-idle"],
  left_behind: ["What a crash left behind", "is-idle"],
  little_space: ["Little space", "is-failed"],
  not_told: ["A webhook that was not told", "is-question"],
  on_hold: ["An account on hold", "is-waiting"],
  stuck: ["An agent that says nothing", "is-waiting"],
  leaking: ["Processes that outlived their run", "is-failed"],
};

/** Where something was found; a task or a run leads there. @param {string} path below the root */
function place(path) {
  const [project, task, runs, run] = path.split("/");
  const look = { class: "mono dim cut", title: path };
  if (!project || !task || project.startsWith(".") || project.startsWith("_")) return h("span", look, path);
  const href = runs === "runs" && run ? toRun(project, task, run) : toTask(project, task);
  return h("a", { ...look, href }, path);
}

/** @returns {import("./view.js").View} */
export function healthView() {
  /** Each part is read by itself: what fails hides nothing else. @type {Record<string, any>} */
  const parts = {};
  /** @type {Record<string, Error>} */
  const errors = {};
  let readAt = 0;
  const garbage = new Garbage();

  /** @param {string} name @param {string} from */
  const part = (name, from) =>
    get(from)
      .then(
        (answer) => {
          parts[name] = answer;
          delete errors[name];
        },
        (error) => {
          errors[name] = error;
        },
      )
      .finally(changed);

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  /** Something happened: it is read soon, and once. */
  function later() {
    timer ??= setTimeout(
      () => {
        timer = undefined;
        void read();
      },
      Math.max(100, readAt + SOON - Date.now()),
    );
  }

  function read() {
    readAt = Date.now();
    return Promise.all([
      part("health", "/api/v1/views/health"),
      part("doctor", "/api/v1/doctor"),
      part("update", UPDATE),
    ]);
  }

  void read();

  return {
    title: "Health",
    topics: [],
    hear(event) {
      if (event === "status" || event === "changed") later();
    },
    dispose: () => clearTimeout(timer),
    refresh: () => void read(),
    tick() {
      if (Date.now() - readAt > (mustLook() ? ANYWAY : SELDOM)) void read();
    },
    render() {
      const health = /** @type {Health | undefined} */ (parts.health);
      return h(
        "main",
        { key: "health", class: "health" },
        heading(
          [["Health", undefined]],
          health &&
            h(
              "p",
              { class: "summary" },
              h("span", null, "conductor ", h("b", null, health.version)),
              h("span", null, "up ", h("b", null, duration(health.uptime_s * 1000))),
              h("span", null, "root ", h("b", null, health.root)),
            ),
          [button("retry", "Reconcile", () => void reconcile().then(read))],
        ),
        Object.entries(errors)
          .filter(([name]) => name !== "update")
          .map(([name, error]) =>
            h("p", { key: name, class: "problem", role: "alert" }, `${name}: ${error.message}`),
          ),
        h(
          "div",
          { class: "halves" },
          h("div", { class: "wide" }, doctor(), garbage.panel()),
          h(
            "div",
            { class: "wide" },
            health ? [machine(health), holds(health)] : loading(),
            updatePanel(parts.update, errors.update, read),
            access(health),
          ),
        ),
      );
    },
  };

  function doctor() {
    /** @type {{kind: string, path: string, text: string, way_out: string}[] | undefined} */
    const findings = parts.doctor?.findings;
    return h(
      "section",
      { class: "panel", "aria-labelledby": "doctor" },
      h(
        "h2",
        { id: "doctor" },
        "Doctor",
        findings && h("span", { class: "count" }, findings.length === 0 ? "" : count(findings.length)),
      ),
      !findings
        ? loading()
        : findings.length === 0
          ? h("p", { class: "well is-done" }, icon("done"), "Nothing is wrong.")
          : h(
              "ul",
              { class: "findings" },
              findings.map((finding, at) => {
                const [word, look] = FINDINGS[finding.kind] ?? [finding.kind, "is-idle"];
                return h(
                  "li",
                  { key: `${finding.kind} ${finding.path} ${at}`, class: look },
                  h(
                    "span",
                    { class: "finding-head" },
                    icon(look === "is-failed" ? "failed" : "stalled"),
                    h("b", null, word),
                    place(finding.path),
                  ),
                  h("p", null, finding.text),
                  h("div", { class: "way-out" }, markdown(finding.way_out)),
                );
              }),
            ),
    );
  }

  /** @param {Health} health */
  function machine({ disk, slots }) {
    const used = disk.total > 0 ? 1 - disk.free / disk.total : 0;
    const queued = (overview.data?.projects ?? []).reduce((all, { states }) => all + (states.queued ?? 0), 0);
    /** @param {string} name @param {number} used @param {number | undefined} most */
    const slot = (name, used, most) =>
      h(
        "div",
        { class: "limit" },
        h(
          "div",
          { class: "limit-words" },
          h("span", null, name),
          h(
            "span",
            null,
            h("b", null, count(used)),
            h("span", { class: "dim" }, most === undefined ? " no limit" : ` of ${count(most)}`),
          ),
        ),
        most !== undefined &&
          h(
            "div",
            {
              class: `meter ${used >= most ? "full" : ""}`,
              role: "meter",
              "aria-label": name,
              "aria-valuemin": 0,
              "aria-valuemax": most,
              "aria-valuenow": used,
            },
            h("span", { vars: { part: `${Math.min(1, used / most) * 100}%` } }),
          ),
      );
    const tasks = overview.data?.running.length ?? 0;
    return h(
      "section",
      { class: "panel", "aria-labelledby": "machine" },
      h("h2", { id: "machine" }, "Disk and slots"),
      h(
        "div",
        { class: "limit" },
        h(
          "div",
          { class: "limit-words" },
          h("span", null, "Disk"),
          h(
            "span",
            null,
            h("b", null, size(disk.free)),
            h("span", { class: "dim" }, ` free of ${size(disk.total)}`),
          ),
        ),
        h(
          "div",
          {
            class: `meter ${used > 0.95 ? "full" : ""}`,
            role: "meter",
            "aria-label": "Disk in use",
            "aria-valuemin": 0,
            "aria-valuemax": 100,
            "aria-valuenow": Math.round(used * 100),
          },
          h("span", { vars: { part: `${used * 100}%` } }),
        ),
      ),
      slot("Runs at a time", slots.living_runs, slots.most_runs),
      slots.most_root_tasks !== undefined && slot("Root tasks at a time", tasks, slots.most_root_tasks),
      queued > 0 && h("p", { class: "dim" }, `${counted(queued, "task")} wait for their turn.`),
    );
  }

  /** @param {Health} health */
  function holds({ holds }) {
    return h(
      "section",
      { class: "panel", "aria-labelledby": "holds" },
      h(
        "h2",
        { id: "holds" },
        "Usage limits",
        holds.length > 0 && h("span", { class: "count" }, count(holds.length)),
      ),
      holds.length === 0
        ? h("p", { class: "dim" }, "No account is on hold.")
        : holds.map((hold) =>
            h(
              "div",
              { key: hold.account, class: "hold is-waiting" },
              h(
                "p",
                null,
                icon("waiting"),
                h("b", null, hold.account),
                hold.known ? " until " : " is probed at ",
                time(hold.until, "clock"),
                moment(hold.until) > Date.now()
                  ? h("span", { class: "dim" }, `, in ${duration(moment(hold.until) - Date.now())}`)
                  : "",
              ),
              h(
                "p",
                { class: "dim" },
                "since ",
                time(hold.since, "clock"),
                hold.probes > 0 ? `, ${counted(hold.probes, "probe")}` : "",
                `, told by run ${hold.run}`,
              ),
            ),
          ),
    );
  }

  /** @param {Health | undefined} health */
  function access(health) {
    if (!health) return null;
    const words = {
      token: "changes want the token, reading does not",
      all: "everything wants the token",
      off: "nothing wants a token",
    };
    return h(
      "section",
      { class: "panel", "aria-labelledby": "access" },
      h("h2", { id: "access" }, "Server"),
      facts([
        ["Access", words[/** @type {"token"} */ (health.auth)] ?? health.auth],
        ["Starts tasks", health.starts_tasks ? "yes" : "no, it was told not to"],
        ["Agents", health.agents.length > 0 ? health.agents.join(", ") : "none is configured"],
      ]),
    );
  }
}
