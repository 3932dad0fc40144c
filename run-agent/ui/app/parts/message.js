/** A message of a bus. */

import { h, isSafe } from "../dom/h.js";
import { time } from "../dom/format.js";
import { toRun } from "../router.js";
import { markdown } from "../text/markdown.js";
import { icon } from "./icon.js";

/** @typedef {import("../net/types.js").Message} Message */

/** What each type looks like. @type {Record<string, string>} */
const LOOKS = {
  QUESTION: "is-question", ANSWER: "is-done", ERROR: "is-failed", RUN_CRASH: "is-failed", RUN_START: "is-running", RUN_STOP: "is-idle",
  FACT: "is-done", DECISION: "is-blocked", USER: "is-running", REVIEW: "is-blocked",
};
/** Types whose bodies conductor writes itself, short and plain. */
const PLAIN = new Set(["RUN_START", "RUN_STOP", "RUN_CRASH", "INFO", "PROGRESS"]);

/**
 * @param {Message} message
 * @param {{depth: number, answered: boolean, project: string, task?: string | undefined, reply: (message: Message) => void, parent?: Message | undefined}} around
 */
export function messageCard(message, { depth, answered, project, task, reply, parent }) {
  const { type, run_id, body } = message;
  const open = type === "QUESTION" && !answered;
  const of = message.task_id ?? task;
  return h(
    "article",
    { key: message.msg_id, class: `message ${LOOKS[type] ?? "is-idle"} ${open ? "open" : ""} ${PLAIN.has(type) ? "plain" : ""}`, vars: { depth } },
    h(
      "div",
      { class: "message-head" },
      h("span", { class: "type" }, type),
      open && h("span", { class: "badge is-question" }, icon("question"), "open"),
      parent && depth === 0 && h("span", { class: "dim cut" }, `re ${parent.type}`),
      run_id && of && h("a", { class: "mono run", href: toRun(project, of, run_id), title: `run ${run_id}` }, run_id),
      h("span", { class: "spring" }),
      h("button", { type: "button", class: "quiet reply", onclick: () => reply(message) }, icon("reply"), h("span", null, type === "QUESTION" ? "Answer" : "Reply")),
      time(message.timestamp, "exact"),
    ),
    h("div", { class: "message-body" }, PLAIN.has(type) ? short(body) : markdown(body)),
    message.links?.length && h("ul", { class: "links" }, message.links.map(({ url, label }, at) => h("li", { key: at }, isSafe(url) && !url.startsWith("#") ? h("a", { href: url, target: "_blank", rel: "noopener noreferrer nofollow", title: url }, label || url) : h("span", { title: url }, label || url)))),
  );
}

/** The first line of a body, with the rest behind it. @param {string} body */
function short(body) {
  const at = body.indexOf("\n");
  if (at < 0) return h("p", { class: "plain-text" }, body);
  return h("details", null, h("summary", null, body.slice(0, at)), h("p", { class: "plain-text mono" }, body.slice(at + 1)));
}
