/** What can be done with a task: stop it, go on with it, answer what it asks. */

import { path, send } from "../net/api.js";
import { askPerson } from "../parts/dialog.js";
import { tell } from "../parts/toast.js";
import { h } from "../dom/h.js";

/**
 * Stops a task for good, or one of its runs; whether the person meant it.
 *
 * @param {string} project
 * @param {string} task
 * @param {string} [run]
 */
export async function stop(project, task, run) {
  const values = await askPerson({
    title: run ? "Stop this run?" : "Stop this task?",
    text: [
      h("p", null, h("b", { class: "mono" }, run ?? task), run ? ` of ${task}` : ` of ${project}`),
      run
        ? "The run gets SIGTERM, and SIGKILL after its grace. The task may start another attempt."
        : "Its run and everything that it started are ended. The task rests until it is tried again.",
    ],
    fields: [{ name: "reason", label: "Why", required: true, hint: "It is recorded with the run." }],
    action: run ? "Stop the run" : "Stop the task",
    danger: true,
    async carryOut({ reason = "" }) {
      const body = run ? { run_id: run, reason } : { reason };
      await send(path`/api/projects/${project}/tasks/${task}/stop`, body);
    },
  });
  if (values) tell(run ? "The run was asked to end" : `${task} was stopped`);
  return values !== undefined;
}

/**
 * Goes on with a task that rests.
 *
 * @param {string} project
 * @param {string} task
 */
export async function tryAgain(project, task) {
  const values = await askPerson({
    title: "Try again?",
    text: [
      h("p", null, h("b", { class: "mono" }, task), ` of ${project}`),
      "The task is started once more, with its own prompt and agent, and goes on from its earlier work. DONE is taken away where it stands.",
    ],
    action: "Try again",
    async carryOut() {
      await send("/api/v1/tasks", { project_id: project, task_id: task, attach_mode: "resume" });
    },
  });
  if (values) tell(`${task} goes on`);
  return values !== undefined;
}

/**
 * Writes down the ends of runs that nobody saw ending.
 */
export async function reconcile() {
  let closed = 0;
  const values = await askPerson({
    title: "Write down what ended?",
    text: ["Runs that ended while nobody looked get their end recorded, from the evidence that is there. Nothing is stopped."],
    action: "Reconcile",
    async carryOut() {
      closed = (await send("/api/v1/reconcile")).closed.length;
    },
  });
  if (values) tell(closed === 0 ? "Nothing was open" : `${closed} ends were written down`);
  return values !== undefined;
}

/**
 * Answers a question.
 *
 * @param {string} project
 * @param {string | undefined} task
 * @param {{msg_id: string, body: string}} question
 */
export async function answer(project, task, question) {
  const base = task ? path`/api/projects/${project}/tasks/${task}/messages` : path`/api/projects/${project}/messages`;
  const values = await askPerson({
    title: "Answer",
    text: [h("blockquote", { class: "quoted" }, question.body)],
    fields: [{ name: "body", label: "Your answer", kind: "area", required: true, hint: "Ctrl+Enter sends it. The next attempt is told of it." }],
    action: "Send the answer",
    async carryOut({ body = "" }) {
      await send(base, { type: "ANSWER", body, parents: [question.msg_id] });
    },
  });
  if (values) tell("Answered");
  return values !== undefined;
}
