/** How the root, the server and the machine are: what is wrong, what waits, what can be cleaned. */

import { h } from "../dom/h.js";
import { changed } from "../dom/frame.js";
import { count, counted, duration, moment, size, time } from "../dom/format.js";
import { get } from "../net/api.js";
import { button, empty, facts, heading, loading } from "../parts/common.js";
import { icon } from "../parts/icon.js";
import { overview } from "../state/overview.js";
import { reconcile } from "../actions/task.js";
import { cancelUpdate, collect, requestUpdate, UPDATE } from "../actions/upkeep.js";

/** @typedef {import("../net/types.js").Health} Health */
/** @typedef {import("../net/types.js").GcPlan} GcPlan */

const ANYWAY = 5000;

/** What each kind of finding is called, and how bad it is. @type {Record<string, [string, string]>} */
const FINDINGS = {
  not_closed: ["An end that nobody wrote down", "is-waiting"], unsupervised: ["An agent without its keeper", "is-failed"],
  unknown: ["A run that may live or not", "is-waiting"], not_driven: ["A task that nobody drives", "is-question"],
  damaged: ["A damaged file", "is-failed"], foreign: ["A name that is no id", "is-idle"], left_behind: ["What a crash left behind", "is-idle"],
  little_space: ["Little space", "is-failed"], not_told: ["A webhook that was not told", "is-question"], on_hold: ["An account on hold", "is-waiting"],
};

/** @returns {import("./view.js").View} */
export function healthView() {
  /** Each part is read by itself: what fails hides nothing else. @type {Record<string, any>} */
  const parts = {};
  /** @type {Record<string, Error>} */
  const errors = {};
  let readAt = 0;
  /** @type {GcPlan | undefined} */
  let plan;
  let planning = false;
  let age = "";
  let keepFailed = false;

  /** @param {string} name @param {string} from */
  const part = (name, from) =>
    get(from).then(
      (answer) => { parts[name] = answer; delete errors[name]; },
      (error) => { errors[name] = error; },
    ).finally(changed);

  function read() {
    readAt = Date.now();
    return Promise.all([part("health", "/api/v1/views/health"), part("doctor", "/api/v1/doctor"), part("update", UPDATE)]);
  }

  async function look() {
    planning = true;
    changed();
    const query = new URLSearchParams({ ...(age ? { older_than: age } : {}), ...(keepFailed ? { keep_failed: "true" } : {}) });
    try {
      plan = await get(`/api/v1/gc?${query}`);
      delete errors.gc;
    } catch (error) {
      plan = undefined;
      errors.gc = /** @type {Error} */ (error);
    }
    planning = false;
    changed();
  }
  void read();

  return {
    title: "Health",
    topics: [],
    hear(event) {
      if (event === "status" && Date.now() - readAt > 1000) void read();
    },
    refresh: () => void read(),
    tick() {
      if (Date.now() - readAt > ANYWAY) void read();
    },
    render() {
      const health = /** @type {Health | undefined} */ (parts.health);
      return h(
        "main",
        { key: "health", class: "health" },
        heading([["Health", undefined]], health && h("p", { class: "summary" }, h("span", null, "conductor ", h("b", null, health.version)), h("span", null, "up ", h("b", null, duration(health.uptime_s * 1000))), h("span", null, "root ", h("b", null, health.root))), [button("retry", "Reconcile", () => void reconcile().then(read))]),
        Object.entries(errors).filter(([name]) => name !== "update").map(([name, error]) => h("p", { key: name, class: "problem", role: "alert" }, `${name}: ${error.message}`)),
        h("div", { class: "halves" }, h("div", { class: "wide" }, doctor(), garbage()), h("div", { class: "wide" }, health ? [machine(health), holds(health)] : loading(), update(), access(health))),
      );
    },
  };

  function doctor() {
    /** @type {{kind: string, path: string, text: string, way_out: string}[] | undefined} */
    const findings = parts.doctor?.findings;
    return h(
      "section",
      { class: "panel", "aria-labelledby": "doctor" },
      h("h2", { id: "doctor" }, "Doctor", findings && h("span", { class: "count" }, findings.length === 0 ? "" : count(findings.length))),
      !findings
        ? loading()
        : findings.length === 0
          ? h("p", { class: "well is-done" }, icon("done"), "Nothing is wrong.")
          : h(
              "ul",
              { class: "findings" },
              findings.map((finding, at) => {
                const [word, look] = FINDINGS[finding.kind] ?? [finding.kind, "is-idle"];
                return h("li", { key: `${finding.kind} ${finding.path} ${at}`, class: look }, h("span", { class: "finding-head" }, icon(look === "is-failed" ? "failed" : "stalled"), h("b", null, word), h("span", { class: "mono dim cut", title: finding.path }, finding.path)), h("p", null, finding.text), h("p", { class: "way-out" }, finding.way_out));
              }),
            ),
    );
  }

  /** @param {Health} health */
  function machine({ disk, slots }) {
    const used = disk.total > 0 ? 1 - disk.free / disk.total : 0;
    const queued = (overview.data?.projects ?? []).reduce((all, { states }) => all + (states.queued ?? 0), 0);
    /** @param {string} name @param {number} used @param {number | undefined} most */
    const slot = (name, used, most) => h("div", { class: "limit" }, h("div", { class: "limit-words" }, h("span", null, name), h("span", null, h("b", null, count(used)), h("span", { class: "dim" }, most === undefined ? " no limit" : ` of ${count(most)}`))), most !== undefined && h("div", { class: `meter ${used >= most ? "full" : ""}`, role: "meter", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": most, "aria-valuenow": used }, h("span", { vars: { part: `${Math.min(1, used / most) * 100}%` } })));
    const tasks = overview.data?.running.length ?? 0;
    return h(
      "section",
      { class: "panel", "aria-labelledby": "machine" },
      h("h2", { id: "machine" }, "Disk and slots"),
      h("div", { class: "limit" }, h("div", { class: "limit-words" }, h("span", null, "Disk"), h("span", null, h("b", null, size(disk.free)), h("span", { class: "dim" }, ` free of ${size(disk.total)}`))), h("div", { class: `meter ${used > 0.95 ? "full" : ""}`, role: "meter", "aria-label": "Disk in use", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(used * 100) }, h("span", { vars: { part: `${used * 100}%` } }))),
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
      h("h2", { id: "holds" }, "Usage limits", holds.length > 0 && h("span", { class: "count" }, count(holds.length))),
      holds.length === 0
        ? h("p", { class: "dim" }, "No account is on hold.")
        : holds.map((hold) => h("div", { key: hold.account, class: "hold is-waiting" }, h("p", null, icon("waiting"), h("b", null, hold.account), hold.known ? " until " : " is probed at ", time(hold.until, "clock"), moment(hold.until) > Date.now() ? h("span", { class: "dim" }, `, in ${duration(moment(hold.until) - Date.now())}`) : ""), h("p", { class: "dim" }, "since ", time(hold.since, "clock"), hold.probes > 0 ? `, ${counted(hold.probes, "probe")}` : "", `, told by run ${hold.run}`))),
    );
  }

  function update() {
    const state = parts.update;
    const missing = /** @type {{status?: number} | undefined} */ (errors.update)?.status === 404;
    const active = Number(state?.active_runs_now ?? 0);
    const waits = state?.state === "deferred" || state?.state === "applying";
    /** @param {unknown} text */
    const when = (text) => (typeof text === "string" && !text.startsWith("0001") ? time(text, "clock") : undefined);
    return h(
      "section",
      { class: "panel", "aria-labelledby": "update" },
      h("h2", { id: "update" }, "Update of the server", state && h("span", { class: `badge ${state.state === "failed" ? "is-failed" : waits ? "is-waiting" : "is-idle"}` }, state.state)),
      missing || (!state && errors.update)
        ? h("p", { class: "dim" }, missing ? "This server cannot exchange itself." : (errors.update?.message ?? ""))
        : !state
          ? loading()
          : [
              state.state === "deferred" && h("p", { class: "gate" }, icon("blocked"), h("b", null, "No new root run starts"), ` while it waits for ${counted(Math.max(0, active), "root run")} to end.`),
              state.state === "applying" && h("p", { class: "gate" }, icon("blocked"), h("b", null, "No new root run starts"), " while the program is exchanged."),
              facts([
                ["Active root runs", active < 0 ? "not known" : count(active)], ["Program", state.binary_path && h("span", { class: "mono" }, state.binary_path)],
                ["Requested", when(state.requested_at)], ["Began", when(state.started_at)], ["Ended", when(state.finished_at)],
                ["Active then", state.active_runs_at_request ? count(state.active_runs_at_request) : undefined],
                ["Not counted", state.active_runs_error], ["Step", state.step], ["Installed", state.installed_version], ["Last error", state.last_error && h("span", { class: "problem" }, state.last_error)], ["Last note", state.last_note],
              ]),
              h("div", { class: "panel-actions" }, waits ? button("close", "Cancel the update", () => void cancelUpdate().then(read), "danger") : button("up", "Request an update", () => void requestUpdate(active).then(read))),
            ],
    );
  }

  /** @param {Health | undefined} health */
  function access(health) {
    if (!health) return null;
    const words = { token: "changes want the token, reading does not", all: "everything wants the token", off: "nothing wants a token" };
    return h("section", { class: "panel", "aria-labelledby": "access" }, h("h2", { id: "access" }, "Server"), facts([["Access", words[/** @type {"token"} */ (health.auth)] ?? health.auth], ["Starts tasks", health.starts_tasks ? "yes" : "no, it was told not to"], ["Agents", health.agents.length > 0 ? health.agents.join(", ") : "none is configured"]]));
  }

  function garbage() {
    return h(
      "section",
      { class: "panel", "aria-labelledby": "gc" },
      h("h2", { id: "gc" }, "Old runs"),
      h(
        "div",
        { class: "filters" },
        h("label", null, h("span", { class: "dim" }, "Ended longer ago than "), h("input", { type: "text", class: "short", value: age, placeholder: "as configured", "aria-label": "Ended longer ago than, as 168h", oninput: (/** @type {Event} */ event) => { age = /** @type {HTMLInputElement} */ (event.target).value.trim(); plan = undefined; changed(); } })),
        h("label", { class: "check" }, h("input", { type: "checkbox", checked: keepFailed, onchange: (/** @type {Event} */ event) => { keepFailed = /** @type {HTMLInputElement} */ (event.target).checked; plan = undefined; changed(); } }), " keep failed ones"),
        button("search", planning ? "Looking…" : "Show the plan", () => void look()),
      ),
      plan && planned(plan),
    );
  }

  /** @param {GcPlan} shown */
  function planned(shown) {
    const kept = Object.entries(shown.kept);
    return h(
      "div",
      { class: "plan" },
      shown.count === 0
        ? empty("Nothing would go", "All runs are young, alive, or kept.")
        : [
            h("p", { class: "plan-sum" }, h("b", null, counted(shown.count, "thing")), " with ", h("b", null, size(shown.bytes)), " would go."),
            h("div", { class: "plan-list" }, h("table", { class: "table" }, h("thead", null, h("tr", null, ["What", "Where", "Ended", "Size", "Why"].map((word) => h("th", { scope: "col", key: word }, word)))), h("tbody", null, shown.items.map((item, at) => h("tr", { key: at }, h("td", null, item.kind), h("td", { class: "mono" }, [item.project_id, item.task_id, item.run_id].filter(Boolean).join("/")), h("td", null, time(item.end)), h("td", { class: "number" }, size(item.bytes)), h("td", { class: "dim" }, item.reason.replaceAll("_", " "))))))),
            shown.count > shown.items.length && h("p", { class: "dim" }, `and ${count(shown.count - shown.items.length)} more`),
          ],
      kept.length > 0 && h("p", { class: "dim" }, "Kept: ", kept.map(([why, number]) => `${count(number)} ${why.replaceAll("_", " ")}`).join(", "), "."),
      shown.errors?.map((text, at) => h("p", { key: at, class: "problem" }, text)),
      shown.count > 0 && h("div", { class: "panel-actions" }, button("stop", "Delete these", () => void collect(shown).then((meant) => (meant ? look() : undefined)), "danger")),
    );
  }
}
