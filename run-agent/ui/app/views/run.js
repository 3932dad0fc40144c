/** A run: what it prints as it prints it, its prompt, its result, its record, its processes. */

import { h, island } from "../dom/h.js";
import { changed } from "../dom/frame.js";
import { count, counted, duration, moment, money, size, time, tokens } from "../dom/format.js";
import { get, path } from "../net/api.js";
import { here, to, toProject, toTask } from "../router.js";
import { button, empty, heading, loading, problem, tabs } from "../parts/common.js";
import { icon } from "../parts/icon.js";
import { runBadge } from "../parts/status.js";
import { tellError } from "../parts/toast.js";
import { Log } from "../log/log.js";
import { logView } from "../log/view.js";
import { markdown } from "../text/markdown.js";
import { TELLERS } from "../text/told.js";
import { stop, tryAgain } from "../actions/task.js";
import { processesPart, recordPart } from "./run-record.js";

/** @typedef {import("../net/types.js").OneRun} OneRun */

const ANYWAY = 4000;

/**
 * @param {string} project
 * @param {string} task
 * @param {string} run
 * @returns {import("./view.js").View}
 */
export function runView(project, task, run) {
  const base = path`/api/projects/${project}/tasks/${task}/runs/${run}`;
  const topic = `size:${project}/${task}/${run}`;
  /** @type {OneRun | undefined} */
  let data;
  /** @type {Error | undefined} */
  let error;
  let readAt = 0;
  let version = 0;
  /** @type {Map<string, Log>} */
  const logs = new Map();
  /** @type {Map<string, string | null>} */
  const texts = new Map();
  let find = "";

  async function read() {
    readAt = Date.now();
    try {
      data = await get(path`/api/v1/views/projects/${project}/tasks/${task}/runs/${run}`);
      error = undefined;
      for (const { name, size } of data?.files ?? []) logs.get(name)?.grow(size);
    } catch (problem) {
      if (!data) error = /** @type {Error} */ (problem);
    }
    changed();
  }

  /** @param {string} name */
  function log(name) {
    let known = logs.get(name);
    if (!known) {
      known = new Log(base, name, () => {
        version += 1;
        changed();
      });
      known.follow = data?.run.status === "running" || !data;
      if (name === "stdout" && tells()) known.tellInWords(true);
      logs.set(name, known);
      void known.measure();
    }
    return known;
  }

  /** Whether what the run prints is a stream that can be told in words. */
  function tells() {
    return TELLERS.has(data?.record.parser ?? data?.record.agent ?? "");
  }

  /** A short file as text. @param {string} name */
  function text(name) {
    if (!texts.has(name)) {
      texts.set(name, null);
      get(`${base}/file?name=${encodeURIComponent(name)}`).then(
        (file) => {
          texts.set(name, file.content);
          changed();
        },
        (problem) => {
          texts.set(name, "");
          if (problem.status !== 404) tellError(problem);
          changed();
        },
      );
    }
    return texts.get(name);
  }

  const tab = () => here().query.get("tab") ?? "stdout";
  /** @returns {Log | undefined} */
  const open = () => (tab() === "stdout" || tab() === "stderr" ? log(tab()) : undefined);
  void read();

  return {
    title: `${task} ${run}`,
    topics: [topic],
    hear(event, news) {
      if (news.topic === topic && event === "size") {
        logs.get("stdout")?.grow(news.stdout);
        logs.get("stderr")?.grow(news.stderr);
      }
      if (event === "status" && news.run_id === run) {
        texts.delete("output.md");
        void read();
      }
      if (event === "changed" && news.project_id === project && news.task_id === task) void read();
    },
    refresh() {
      void read();
      for (const known of logs.values()) void known.measure();
    },
    tick() {
      if (data?.run.status === "running" && Date.now() - readAt > ANYWAY) void read();
    },
    moved: changed,
    dispose() {
      for (const known of logs.values()) known.dispose();
    },
    key(event) {
      const known = open();
      if (!known) return false;
      /** @type {Record<string, () => void>} */
      const keys = {
        f: () => known.toEnd(),
        G: () => known.toEnd(),
        g: () => known.move(0),
        n: () => known.step(1),
        N: () => known.step(-1),
        w: () => known.toggleWrap(),
        ArrowDown: () => known.move(Math.floor(known.top) + 1),
        ArrowUp: () => known.move(Math.ceil(known.top) - 1),
        j: () => known.move(Math.floor(known.top) + 1),
        k: () => known.move(Math.ceil(known.top) - 1),
        PageDown: () => known.move(known.top + known.visible - 2),
        PageUp: () => known.move(known.top - known.visible + 2),
      };
      keys[event.key]?.();
      return event.key in keys;
    },
    render() {
      /** @type {[string, string | undefined][]} */
      const crumbs = [
        ["Projects", "#/"],
        [project, toProject(project)],
        [task, toTask(project, task)],
        [run, undefined],
      ];
      if (error)
        return h(
          "main",
          { key: run },
          heading(crumbs, null),
          problem(error, () => void read()),
        );
      if (!data) return h("main", { key: run }, heading(crumbs, null), loading());
      const lives = data.run.status === "running";
      const chosen = tab();
      /** @param {string} id */
      const at = (id) => to(["projects", project, "tasks", task, "runs", run], { tab: id });
      /** @param {string} name */
      const long = (name) => {
        const bytes =
          logs.get(name)?.chunks.size ?? data?.files.find((file) => file.name === name)?.size ?? 0;
        return bytes > 0 ? size(bytes) : "";
      };
      const living = data.processes.length;
      return h(
        "main",
        { key: run, class: "run fills" },
        heading(
          crumbs,
          [runBadge(data.run), strip(data)],
          [
            lives && button("stop", "Stop", () => void stop(project, task, run).then(read), "danger"),
            !lives && button("retry", "Try the task again", () => void tryAgain(project, task).then(read)),
          ],
        ),
        tabs(
          [
            ["stdout", "Output", at("stdout"), long("stdout")],
            ["stderr", "Errors", at("stderr"), long("stderr")],
            ["result", "Result", at("result")],
            ["prompt", "Prompt", at("prompt")],
            ["record", "Record", at("record")],
            ["processes", "Processes", at("processes"), living > 0 ? count(living) : ""],
          ],
          chosen,
        ),
        part(chosen, data),
      );
    },
  };

  /** @param {string} chosen @param {OneRun} data */
  function part(chosen, data) {
    if (chosen === "result")
      return prose(
        text("output.md"),
        "There is no result yet",
        "The agent writes its final text to output.md.",
      );
    if (chosen === "prompt") return prose(text("prompt"), "There is no prompt", "The run keeps none.");
    if (chosen === "record") return recordPart(data);
    if (chosen === "processes") return processesPart(data);
    return logPart(log(chosen), data.run.status === "running");
  }

  /** @param {Log} log @param {boolean} lives */
  function logPart(log, lives) {
    const { search, chunks } = log;
    return h(
      "div",
      { class: "log-part", key: `log ${log.name}` },
      h(
        "div",
        { class: "log-tools" },
        h("input", {
          type: "search",
          class: "search",
          placeholder: "Search this log  /",
          "aria-label": "Search this log",
          value: find,
          oninput: (/** @type {Event} */ event) => {
            find = /** @type {HTMLInputElement} */ (event.target).value;
            if (!find) void log.find("");
          },
          onkeydown: (/** @type {KeyboardEvent} */ event) => {
            if (event.key !== "Enter") return;
            if (search?.text === find) log.step(event.shiftKey ? -1 : 1);
            else log.find(find).catch(tellError);
          },
        }),
        search &&
          h(
            "span",
            { class: "found", role: "status" },
            search.places.length === 0
              ? search.busy
                ? "looking…"
                : "not found"
              : `${count(search.at + 1)} of ${count(search.places.length)}${search.more || search.busy ? "+" : ""}`,
            h(
              "button",
              { type: "button", class: "quiet", "aria-label": "Previous place", onclick: () => log.step(-1) },
              icon("up"),
            ),
            h(
              "button",
              { type: "button", class: "quiet", "aria-label": "Next place", onclick: () => log.step(1) },
              icon("down"),
            ),
          ),
        h("span", { class: "spring" }),
        h(
          "span",
          { class: "dim" },
          chunks.size > 0 ? `${size(chunks.size)}, about ${counted(Math.round(chunks.rows), "row")}` : "",
        ),
        log.name === "stdout" &&
          tells() &&
          h(
            "button",
            {
              type: "button",
              class: "quiet",
              "aria-pressed": String(log.words),
              title: "What the agent says and does, in place of its JSON",
              onclick: () => log.tellInWords(!log.words),
            },
            icon("bus"),
            h("span", null, "In words"),
          ),
        h(
          "button",
          {
            type: "button",
            class: "quiet",
            "aria-pressed": String(log.wrap),
            onclick: () => log.toggleWrap(),
          },
          icon("wrap"),
          h("span", null, "Wrap"),
        ),
        h(
          "button",
          { type: "button", class: "quiet", "aria-pressed": String(log.follow), onclick: () => log.toEnd() },
          icon("down"),
          h("span", null, lives ? "Follow" : "End"),
        ),
      ),
      chunks.error && h("p", { class: "problem", role: "alert" }, chunks.error.message),
      chunks.size === 0
        ? empty(
            lives ? "Nothing was printed yet" : "Nothing was printed",
            lives ? "It appears here as it comes." : "The run wrote nothing to this stream.",
          )
        : island(`log ${log.name}`, logView, { log, version }),
    );
  }
}

/** @param {OneRun} data */
function strip({ run, record }) {
  const took = (run.end ? moment(run.end) : Date.now()) - moment(run.start);
  const usage = record.usage ?? {};
  return h(
    "p",
    { class: "summary" },
    h("span", null, run.agent, run.model ? h("span", { class: "dim" }, ` ${run.model}`) : ""),
    h("span", null, "began ", time(run.start, "clock")),
    h("span", null, h("b", null, duration(took)), run.end ? "" : " so far"),
    run.tokens !== undefined &&
      h(
        "span",
        {
          title: Object.entries(usage)
            .map(([name, number]) => `${name}: ${number}`)
            .join("\n"),
        },
        h("b", null, tokens(run.tokens)),
        " tokens",
      ),
    run.cost_usd !== undefined && h("span", null, h("b", null, money(run.cost_usd))),
    !run.end && h("span", null, "printed ", time(run.printed)),
  );
}

/** @param {string | null | undefined} text @param {string} what @param {string} why */
function prose(text, what, why) {
  if (text === null || text === undefined) return loading();
  return h(
    "section",
    { class: "panel prose", key: what, tabIndex: 0 },
    text.trim() ? markdown(text) : empty(what, why),
  );
}
