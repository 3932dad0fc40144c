/** Where a task or a run stands: a sign, a word and a colour, never a colour alone. */

import { h } from "../dom/h.js";
import { icon } from "./icon.js";

/** @typedef {import("../net/types.js").State} State */
/** @typedef {import("../net/types.js").RunRow} RunRow */

/** @type {Record<State, {word: string, means: string}>} */
export const STATES = {
  running: { word: "running", means: "an attempt is at work" },
  question: { word: "question", means: "it waits for your answer" },
  stalled: { word: "stalled", means: "it is unfinished, and nothing drives it: try again goes on with it" },
  failed: { word: "failed", means: "it gave up, or its last run failed" },
  waiting: { word: "waiting", means: "it waits for what it names" },
  queued: { word: "queued", means: "it waits for its turn" },
  between: { word: "between runs", means: "the next attempt begins soon" },
  blocked: { word: "blocked", means: "other tasks must be ready first" },
  stopped: { word: "stopped", means: "somebody stopped it" },
  cancelled: { word: "cancelled", means: "it was cancelled" },
  done: { word: "done", means: "it is done" },
  idle: { word: "never run", means: "nothing was ever run" },
  unknown: { word: "unknown", means: "nobody knows how its last run ended" },
  unreadable: { word: "unreadable", means: "a file of it cannot be read" },
};

/** The order in which a person wants to see them. */
export const ORDER = /** @type {State[]} */ (Object.keys(STATES));

/** @param {State} state */
export function badge(state) {
  const { word, means } = STATES[state] ?? STATES.unknown;
  return h("span", { class: `badge is-${state}`, title: means }, icon(state), h("span", { class: "word" }, word));
}

/**
 * A run in the words of tasks.
 *
 * @param {RunRow} run
 * @returns {State}
 */
export function runState(run) {
  if (run.status === "running") return "running";
  if (run.outcome === "stopped") return "stopped";
  if (run.status === "completed") return "done";
  return run.status === "failed" ? "failed" : "unknown";
}

/** How a run ended, more precisely. @type {Record<string, string>} */
const OUTCOMES = {
  completed: "completed", failed: "failed", killed: "killed", timed_out: "timed out",
  output_limit: "wrote too much", stopped: "stopped", lost: "lost", refused: "never started",
};

/** @param {RunRow} run */
export function runBadge(run) {
  const state = runState(run);
  const word = run.outcome ? (OUTCOMES[run.outcome] ?? run.outcome) : run.status;
  const code = run.outcome === "failed" && run.exit_code !== undefined ? ` ${run.exit_code}` : "";
  return h(
    "span",
    { class: `badge is-${state}`, title: run.error ?? word },
    icon(state),
    h("span", { class: "word" }, word + code),
  );
}

/** @param {State} state */
export function dot(state) {
  return h("span", { class: `dot is-${state}`, title: STATES[state].word }, icon(state, STATES[state].word));
}
