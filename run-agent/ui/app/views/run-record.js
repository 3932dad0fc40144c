/** Why a run stands where it stands, its record, and what of it lives. */

import { h } from "../dom/h.js";
import { size } from "../dom/format.js";
import { empty, facts } from "../parts/common.js";
import { markdown } from "../text/markdown.js";

/** @typedef {import("../net/types.js").OneRun} OneRun */

/** @param {OneRun} data */
export function recordPart(data) {
  // What the agent complained about says more than what its keeper noted.
  const texts = data.evidence.filter(({ text }) => isLong(text));
  const notes = data.evidence.filter(({ text }) => !isLong(text));
  return h(
    "div",
    { class: "halves", key: "record" },
    h(
      "section",
      { class: "panel" },
      h("h2", null, "Why it stands where it stands"),
      h("p", { class: "because" }, data.because, "."),
      h("div", { class: "way-out" }, markdown(data.next)),
      h(
        "div",
        { class: "evidence" },
        texts.map(({ place, text }, at) =>
          h("div", { key: at }, h("h3", { class: "mono" }, place), h("pre", { tabIndex: 0 }, text)),
        ),
        facts(notes.map(({ place, text }) => [place, h("span", { class: "mono" }, text)])),
      ),
    ),
    h(
      "section",
      { class: "panel" },
      h("h2", null, "Record"),
      facts(
        Object.entries(data.record).map(([name, value]) => [name, h("span", { class: "mono" }, told(value))]),
      ),
    ),
  );
}

/** @param {string} text */
function isLong(text) {
  return text.length > 120 || text.includes("\n");
}

/** @param {unknown} value */
function told(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** @param {OneRun} data */
export function processesPart(data) {
  if (data.processes.length === 0)
    return empty(
      data.run.status === "running" ? "No process is to be seen" : "Nothing of it lives",
      "What a run started ends with it.",
    );
  return h(
    "section",
    { class: "panel", key: "processes" },
    h(
      "div",
      { class: "scroll-x", tabIndex: 0 },
      h(
        "table",
        { class: "table processes" },
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            ["Process", "Number", "State", "CPU", "Memory", "Command"].map((word) =>
              h("th", { scope: "col", key: word }, word),
            ),
          ),
        ),
        h(
          "tbody",
          null,
          data.processes.map((process) =>
            h(
              "tr",
              { key: process.pid },
              h("th", { scope: "row", vars: { depth: process.depth }, class: "branch" }, process.name),
              h("td", { class: "number" }, process.pid),
              h("td", null, process.state),
              h("td", { class: "number" }, `${process.cpu_s.toFixed(1)} s`),
              h("td", { class: "number" }, size(process.memory)),
              h("td", { class: "mono command", title: process.command }, process.command),
            ),
          ),
        ),
      ),
    ),
  );
}
