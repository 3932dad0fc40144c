/** The bus of a project or a task: live, threaded, filtered, and with a place to write. */

import { h } from "../dom/h.js";
import { changed } from "../dom/frame.js";
import { count } from "../dom/format.js";
import { get, path, send } from "../net/api.js";
import { here, note, to, toBus, toProject, toTask } from "../router.js";
import { button, empty, heading, loading, problem, tabs } from "../parts/common.js";
import { tell, tellError } from "../parts/toast.js";
import { Thread } from "../state/thread.js";
import { messageCard } from "../parts/message.js";

/** @typedef {import("../net/types.js").Message} Message */

/** Messages that are read at first, and once more where a person wants earlier ones. */
const PAGE = 200;
const MOST = 5000;
const TYPES = ["USER", "FACT", "DECISION", "QUESTION", "ANSWER", "PROGRESS", "INFO", "ERROR", "REVIEW"];

/**
 * @param {string} project
 * @param {string} [task]
 * @returns {import("./view.js").View}
 */
export function busView(project, task) {
  const base = task ? path`/api/projects/${project}/tasks/${task}/messages` : path`/api/projects/${project}/messages`;
  const topic = task ? `messages:${project}/${task}` : `messages:${project}`;
  const thread = new Thread();
  let loaded = false;
  let limit = PAGE;
  let busy = false;
  /** @type {Error | undefined} */
  let error;
  /** @type {{body: string, type: string, to?: Message | undefined}} */
  const draft = { body: "", type: "USER" };
  let sending = false;
  let follows = true;
  /** @type {HTMLElement | undefined} */
  let list;

  async function read() {
    busy = true;
    try {
      const answer = await get(`${base}?limit=${limit}`);
      thread.add(answer.messages);
      thread.hasEarlier = answer.messages.length >= limit && limit < MOST;
      loaded = true;
      error = undefined;
    } catch (problem) {
      if (!loaded) error = /** @type {Error} */ (problem);
      else tellError(problem);
    }
    busy = false;
    changed();
    toEnd();
  }

  /** Keeps the newest message in sight where it was. */
  function toEnd() {
    if (!follows) return;
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (list && follows) list.scrollTop = list.scrollHeight;
    }));
  }

  async function post() {
    if (!draft.body.trim() || sending) return;
    sending = true;
    changed();
    try {
      const parents = draft.to ? [draft.to.msg_id] : [];
      await send(base, { type: draft.type, body: draft.body, ...(parents.length > 0 ? { parents } : {}) });
      draft.body = "";
      draft.to = undefined;
      draft.type = "USER";
      follows = true;
      tell("Posted");
    } catch (problem) {
      tellError(problem);
    }
    sending = false;
    changed();
  }

  /** @param {Message} message */
  function replyTo(message) {
    draft.to = message;
    draft.type = message.type === "QUESTION" ? "ANSWER" : "USER";
    changed();
    requestAnimationFrame(() => /** @type {HTMLElement | null} */ (document.querySelector(".compose textarea"))?.focus());
  }

  void read();

  return {
    title: `Bus of ${task ?? project}`,
    topics: [topic],
    hear(event, data) {
      if (data.topic !== topic) return;
      if (event === "message") {
        thread.add([/** @type {Message} */ (/** @type {unknown} */ (data))]);
        toEnd();
      } else if (event === "gap" || event === "damage") {
        thread.noteHole(event, data);
      }
    },
    refresh: () => void read(),
    moved: changed,
    render() {
      /** @type {[string, string | undefined][]} */
      const crumbs = [["Projects", "#/"]];
      if (task) crumbs.push([project, toProject(project)], [task, undefined]);
      else crumbs.push([project, undefined]);
      const parts = task
        ? tabs([["task", "Task", toTask(project, task)], ["bus", "Bus", toBus(project, task)]], "bus")
        : tabs([["tasks", "Tasks", toProject(project)], ["bus", "Bus", toBus(project)], ["usage", "Usage", to(["usage"], { project })]], "bus");
      if (error) return h("main", { key: `bus ${project} ${task}` }, heading(crumbs, null), problem(error, () => void read()));
      return h("main", { key: `bus ${project} ${task}`, class: "fills bus" }, heading(crumbs, null), parts, loaded ? [filters(), messages()] : loading(), compose());
    },
  };

  function filters() {
    const { query } = here();
    const types = new Set((query.get("type") ?? "").split(",").filter(Boolean));
    const run = query.get("run") ?? "";
    /** @param {Record<string, string>} change */
    const set = (change) => { note(change); changed(); };
    return h(
      "div",
      { class: "filters", role: "search" },
      h("input", { type: "search", class: "search", placeholder: "Search messages  /", "aria-label": "Search messages", value: query.get("q") ?? "", oninput: (/** @type {Event} */ event) => set({ q: /** @type {HTMLInputElement} */ (event.target).value }) }),
      h(
        "div",
        { class: "chips" },
        [...thread.types].sort((a, b) => b[1] - a[1]).map(([type, number]) =>
          h(
            "button",
            {
              type: "button", key: type, class: `chip ${types.has(type) ? "chosen" : ""}`, "aria-pressed": String(types.has(type)),
              onclick: () => {
                if (types.has(type)) types.delete(type);
                else types.add(type);
                set({ type: [...types].join(",") });
              },
            },
            type, h("span", { class: "count" }, count(number)),
          ),
        ),
      ),
      thread.runs.size > 1 &&
        h(
          "label",
          { class: "sort" },
          h("span", { class: "dim" }, "Run "),
          h("select", { value: run, onchange: (/** @type {Event} */ event) => set({ run: /** @type {HTMLSelectElement} */ (event.target).value }) }, h("option", { value: "", selected: run === "" }, "all"), [...thread.runs].map((id) => h("option", { key: id, value: id, selected: id === run }, id))),
        ),
    );
  }

  function messages() {
    const { query } = here();
    const types = new Set((query.get("type") ?? "").split(",").filter(Boolean));
    const shown = thread.chosen((query.get("q") ?? "").trim().toLowerCase(), types, query.get("run") ?? "");
    return h(
      "div",
      {
        class: "messages", key: "messages", role: "log", "aria-label": "Messages", tabIndex: 0,
        ref: (/** @type {HTMLElement} */ el) => {
          list = el;
          toEnd();
        },
        onscroll: () => {
          if (list) follows = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
        },
      },
      thread.hasEarlier && h("div", { key: "earlier", class: "earlier" }, button("up", busy ? "Reading…" : "Earlier messages", () => { follows = false; limit = MOST; void read(); }, "quiet")),
      shown.length === 0 && (thread.size === 0 ? empty("Nothing was said yet", "Agents post here; so can you, below, or on the command line:", `run-agent bus post --project ${project}${task ? ` --task ${task}` : ""} --type USER --body 'hello'`) : empty("No message is like that", h("button", { type: "button", class: "plain", onclick: () => { note({ q: "", type: "", run: "" }); changed(); } }, "Show all"))),
      shown.map(({ message, depth, answered }) => messageCard(message, { depth, answered, project, task, reply: replyTo, parent: thread.parentOf(message) })),
      thread.holes.length > 0 && h("p", { class: "problem" }, `${count(thread.holes.length)} places of this bus hold no message that can be read.`),
    );
  }

  function compose() {
    return h(
      "div",
      { class: "compose" },
      draft.to &&
        h("div", { class: "replying" }, h("span", { class: "dim" }, "In reply to "), h("b", null, draft.to.type), h("span", { class: "dim cut" }, draft.to.body.slice(0, 120)), h("button", { type: "button", class: "quiet", "aria-label": "No reply", onclick: () => { draft.to = undefined; draft.type = "USER"; changed(); } }, "×")),
      h("textarea", {
        rows: "2", placeholder: "Write a message. Ctrl+Enter posts it.", "aria-label": "Message", value: draft.body,
        oninput: (/** @type {Event} */ event) => { draft.body = /** @type {HTMLTextAreaElement} */ (event.target).value; changed(); },
        onkeydown: (/** @type {KeyboardEvent} */ event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); void post(); }
        },
      }),
      h(
        "div",
        { class: "compose-tools" },
        h("label", null, h("span", { class: "dim" }, "Type "), h("select", { value: draft.type, "aria-label": "Type of the message", onchange: (/** @type {Event} */ event) => { draft.type = /** @type {HTMLSelectElement} */ (event.target).value; } }, TYPES.map((type) => h("option", { key: type, value: type, selected: type === draft.type }, type)))),
        h("button", { type: "button", class: "primary", disabled: sending || !draft.body.trim(), onclick: () => void post() }, sending ? "Posting…" : "Post"),
      ),
    );
  }
}
