/** A task: where it stands, its runs on a line of time, its prompt, its limits. */

import { h } from "../dom/h.js";
import { changed } from "../dom/frame.js";
import { count, duration, money, time, tokens } from "../dom/format.js";
import { get, path } from "../net/api.js";
import { mustLook } from "../net/following.js";
import { toBus, toProject, toRun, toTask } from "../router.js";
import { button, empty, facts, heading, loading, problem, tabs } from "../parts/common.js";
import { badge, STATES } from "../parts/status.js";
import { timeline } from "../parts/timeline.js";
import { markdown } from "../text/markdown.js";
import { parents } from "../state/thread.js";
import { goesOn } from "./tasks.js";
import { answer, stop, tryAgain } from "../actions/task.js";

/** @typedef {import("../net/types.js").OneTask} OneTask */
/** @typedef {import("../net/types.js").Message} Message */

/** Where it runs, when it last printed something is told by no stream. */
const ANYWAY = 5000;
/** Messages that are looked through for open questions. */
const LOOKED_THROUGH = 500;

/**
 * @param {string} project
 * @param {string} task
 * @returns {import("./view.js").View}
 */
export function taskView(project, task) {
  /** @type {OneTask | undefined} */
  let data;
  /** @type {Error | undefined} */
  let error;
  /** @type {string | undefined} */
  let prompt;
  /** @type {Message[]} */
  let questions = [];
  /** @type {Set<string>} */
  const known = new Set();
  /** @type {Set<string>} */
  const answered = new Set();
  let readAt = 0;
  let busy = false;
  let again = false;
  const base = path`/api/projects/${project}/tasks/${task}`;

  async function read() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    readAt = Date.now();
    try {
      data = await get(path`/api/v1/views/projects/${project}/tasks/${task}`);
      error = undefined;
    } catch (problem) {
      if (!data) error = /** @type {Error} */ (problem);
    }
    busy = false;
    changed();
    if (again) {
      again = false;
      void read();
    }
  }

  /** What was asked and answered so far, also what is older than the stream's beginning. */
  async function readQuestions() {
    const { messages } = await get(`${base}/messages?limit=${LOOKED_THROUGH}`);
    for (const message of messages) take(message);
    changed();
  }

  /** @param {Message} message */
  function take(message) {
    if (message.type === "QUESTION" && !known.has(message.msg_id)) {
      known.add(message.msg_id);
      questions = [...questions, message].sort((a, b) => (a.msg_id < b.msg_id ? -1 : 1));
    }
    if (message.type === "ANSWER") for (const parent of parents(message)) answered.add(parent);
  }

  /** @param {string} other */
  const waitsFor = (other) => data?.task.depends_on?.includes(other) ?? false;

  const open = () => questions.filter(({ msg_id }) => !answered.has(msg_id));

  void read();
  readQuestions().catch(() => {
    // A task whose bus cannot be read is shown without its questions; its bus tells why.
  });
  get(`${base}/file?name=TASK.md`).then(
    (file) => {
      prompt = file.content;
      changed();
    },
    () => {
      prompt = "";
      changed();
    },
  );

  return {
    title: task,
    topics: [`messages:${project}/${task}`],
    hear(event, news) {
      if (
        event === "status" &&
        news.project_id === project &&
        (news.task_id === task || data?.children.some((run) => run.id === news.run_id))
      )
        void read();
      const concerns = news.project_id === project && (news.task_id === task || waitsFor(news.task_id));
      if (event === "changed" && (news.what === "all" || concerns)) void read();
      if (event === "message") {
        take(/** @type {Message} */ (/** @type {unknown} */ (news)));
        void read();
      }
    },
    refresh: () => void read(),
    tick() {
      const runs = data?.task.state === "running";
      if ((runs || mustLook()) && Date.now() - readAt > ANYWAY) void read();
    },
    render() {
      /** @type {[string, string | undefined][]} */
      const crumbs = [
        ["Projects", "#/"],
        [project, toProject(project)],
        [task, undefined],
      ];
      if (error)
        return h(
          "main",
          { key: task },
          heading(crumbs, null),
          problem(error, () => void read()),
        );
      if (!data) return h("main", { key: task }, heading(crumbs, null), loading());
      const row = data.task;
      const lives = ["running", "question", "waiting", "queued", "blocked", "between"].includes(row.state);
      return h(
        "main",
        { key: task, class: "task" },
        heading(crumbs, badge(row.state), [
          lives && button("stop", "Stop", () => void stop(project, task).then(read), "danger"),
          !lives &&
            button(
              "retry",
              "Try again",
              () => void tryAgain(project, task).then(read),
              row.state === "done" ? "plain" : "primary",
            ),
        ]),
        tabs(parts(row), "task"),
        open().length > 0 && row.state !== "done" && asked(project, task, open()),
        runs(project, task, data),
        h(
          "div",
          { class: "columns" },
          h(
            "section",
            { class: "panel", "aria-labelledby": "prompt" },
            h("h2", { id: "prompt" }, "What it was told"),
            prompt === undefined ? loading() : told(prompt, row.latest?.agent),
          ),
          h("div", { class: "narrow" }, stands(data), limits(data)),
        ),
      );
    },
  };
}

/** A prompt; that of a shell is a script. @param {string} prompt @param {string} [agent] */
function told(prompt, agent) {
  if (!prompt.trim()) return h("p", { class: "dim" }, "The task has no TASK.md.");
  return agent === "shell" || agent === "command" ? h("pre", { class: "script" }, prompt) : markdown(prompt);
}

/** @param {import("../net/types.js").TaskRow} row */
function parts({ project_id, id, latest }) {
  /** @type {[string, string, string][]} */
  const all = [
    ["task", "Task", toTask(project_id, id)],
    ["bus", "Bus", toBus(project_id, id)],
  ];
  if (latest) all.push(["run", "Latest run", toRun(project_id, id, latest.id)]);
  return all;
}

/** @param {string} project @param {string} task @param {Message[]} questions */
function asked(project, task, questions) {
  return h(
    "section",
    { class: "panel attention", "aria-labelledby": "asked" },
    h("h2", { id: "asked" }, questions.length === 1 ? "It asks you" : "It asks you several things"),
    questions.slice(-5).map((question) =>
      h(
        "div",
        { key: question.msg_id, class: "question" },
        markdown(question.body),
        h(
          "div",
          { class: "meta" },
          time(question.timestamp),
          button("reply", "Answer", () => void answer(project, task, question), "primary"),
        ),
      ),
    ),
  );
}

/** @param {string} project @param {string} task @param {OneTask} data */
function runs(project, task, data) {
  const all = [...data.runs, ...data.children];
  return h(
    "section",
    { class: "panel", "aria-labelledby": "runs" },
    h("h2", { id: "runs" }, "Runs", h("span", { class: "count" }, count(data.task.runs))),
    data.left_out && h("p", { class: "dim" }, `The ${count(data.left_out)} oldest are left out.`),
    data.unreadable &&
      h(
        "p",
        { class: "problem" },
        `${count(data.unreadable)} records cannot be read: `,
        h("code", null, "run-agent doctor"),
        " tells more.",
      ),
    all.length === 0
      ? empty("No run yet", "The task waits for what stands beside this.")
      : timeline(project, task, all),
  );
}

/** @param {OneTask} data */
function stands(data) {
  const { task } = data;
  /** @param {string[] | undefined} ids */
  const links = (ids) =>
    ids?.length
      ? ids.map((id) => h("a", { key: id, class: "mono block", href: toTask(task.project_id, id) }, id))
      : undefined;
  return h(
    "section",
    { class: "panel", "aria-labelledby": "stands" },
    h("h2", { id: "stands" }, "Where it stands"),
    h("p", { class: "means" }, STATES[task.state].means, "."),
    facts([
      ["Now", task.outcome ? undefined : goesOn(task)],
      ["Waits since", task.waiting && time(task.waiting.since, "clock")],
      ["At the latest", task.waiting?.until && time(task.waiting.until, "clock")],
      ["Comes after", links(task.depends_on)],
      ["Not ready yet", links(task.blocked_by)],
      ["How it ended", task.outcome?.replace("_", " ")],
      ["Why", task.reason],
      ["Driven by a process", task.outcome ? undefined : task.driven ? "yes" : "no"],
      [
        "Variables",
        data.env_names?.length ? h("span", { class: "mono" }, data.env_names.join(", ")) : undefined,
      ],
      ["Activity", time(task.last_activity)],
    ]),
  );
}

/** @param {OneTask} data */
function limits(data) {
  const { limits } = data;
  if (!limits) return null;
  /** @param {string} name @param {import("../net/types.js").Amount} amount @param {(value: number) => string} show */
  const meter = (name, { used, most }, show) => {
    if (used === 0 && most === undefined) return null;
    const part = most === undefined ? 0 : most === 0 ? 1 : Math.min(1, used / most);
    return h(
      "div",
      { key: name, class: "limit" },
      h(
        "div",
        { class: "limit-words" },
        h("span", null, name),
        h(
          "span",
          null,
          h("b", null, show(used)),
          most === undefined
            ? h("span", { class: "dim" }, " no limit")
            : h("span", { class: "dim" }, ` of ${show(most)}, ${show(Math.max(0, most - used))} left`),
        ),
      ),
      most !== undefined &&
        h(
          "div",
          {
            class: `meter ${part >= 0.9 ? "full" : ""}`,
            role: "meter",
            "aria-label": name,
            "aria-valuemin": 0,
            "aria-valuemax": most,
            "aria-valuenow": used,
          },
          h("span", { vars: { part: `${part * 100}%` } }),
        ),
    );
  };
  return h(
    "section",
    { class: "panel", "aria-labelledby": "limits" },
    h("h2", { id: "limits" }, "Limits"),
    meter("Attempts", limits.attempts, count),
    meter("Time at work", limits.wall_s, (seconds) => duration(seconds * 1000)),
    meter("Tokens", limits.tokens, tokens),
    meter("Cost", limits.cost_usd, money),
    limits.verify &&
      h(
        "div",
        { class: "verify" },
        h("h3", null, "Completion check"),
        h("pre", { tabIndex: 0 }, limits.verify),
        h(
          "p",
          { class: "dim" },
          limits.checks === 0
            ? "not run yet"
            : `run ${count(limits.checks)} ${limits.checks === 1 ? "time" : "times"}`,
        ),
      ),
    limits.passed &&
      h(
        "div",
        { class: "verify" },
        h("h3", null, "It passed with"),
        h("pre", { tabIndex: 0 }, limits.passed),
      ),
    limits.rejection &&
      h(
        "div",
        { class: "verify" },
        h("h3", null, "It failed last with"),
        h("pre", { class: "bad", tabIndex: 0 }, limits.rejection),
      ),
  );
}
