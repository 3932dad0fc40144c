/** Signs, drawn in the colour of the text around them. */

import { h } from "../dom/h.js";

/** Paths in a box of 16 by 16. @type {Record<string, string>} */
const PATHS = {
  running: "M8 1.5a6.5 6.5 0 1 0 6.5 6.5M8 1.5A6.5 6.5 0 0 1 14.5 8",
  question: "M5.5 6a2.5 2.5 0 1 1 3.4 2.3c-.6.3-.9.7-.9 1.4M8 12.2v.3",
  waiting: "M4 2h8M4 14h8M5 2c0 3.5 6 4 6 6s-6 2.5-6 6M11 2c0 3.5-6 4-6 6s6 2.5 6 6",
  queued: "M3 4h10M3 8h10M3 12h6",
  blocked: "M4.5 7.5h7v6h-7zM5.8 7.5V5a2.2 2.2 0 0 1 4.4 0v2.5",
  stalled: "M8 2 1.8 13.5h12.4zM8 6.5v3.2M8 11.6v.2",
  between: "M3 8a5 5 0 0 1 8.6-3.5M13 8a5 5 0 0 1-8.6 3.5M12 2v2.7H9.3M4 14v-2.7h2.7",
  failed: "M4 4l8 8M12 4l-8 8",
  stopped: "M4.5 4.5h7v7h-7z",
  cancelled: "M2.5 8a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0-11 0M4.2 4.2l7.6 7.6",
  done: "M3 8.5l3.3 3.3L13 5",
  idle: "M5 8h6",
  unknown: "M8 3v6M8 12v.3",
  unreadable: "M8 3v6M8 12v.3",
  projects: "M2 4.5h4.5L8 6h6v7H2zM2 4.5V3h4.5L8 4.5",
  usage: "M2.5 13.5h11M4.5 11V8M8 11V3.5M11.5 11V6",
  health: "M1.5 8h3l1.8-4.5L9.2 12l2-4h3.3",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9M10.3 10.3L14 14",
  theme: "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12",
  help: "M5.5 6a2.5 2.5 0 1 1 3.4 2.3c-.6.3-.9.7-.9 1.4M8 12.2v.3",
  stop: "M4 4h8v8H4z",
  play: "M5 3l8 5-8 5z",
  retry: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
  plus: "M8 3v10M3 8h10",
  bus: "M2 3h12v8H7l-3 2.5V11H2z",
  down: "M8 3v9M4 8.5L8 12.5l4-4",
  up: "M8 13V4M4 7.5L8 3.5l4 4",
  close: "M4 4l8 8M12 4l-8 8",
  reply: "M6.5 4L2.5 8l4 4M2.5 8H10a3.5 3.5 0 0 1 3.5 3.5V13",
  tree: "M3 2v9.5a1.5 1.5 0 0 0 1.5 1.5H13M3 7h10",
  wrap: "M2 4h12M2 8h10a2 2 0 0 1 0 4H8M10 10l-2 2 2 2M2 12h3",
  copy: "M5.5 5.5h8v8h-8zM3 10.5H2.5v-8h8V3",
};

/**
 * @param {string} name
 * @param {string} [label] for who does not see it; without one it is an ornament
 */
export function icon(name, label) {
  const said = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
  return h(
    "svg",
    { class: `icon icon-${name}`, viewBox: "0 0 16 16", ...said },
    h("path", { d: PATHS[name] ?? PATHS.unknown, fill: "none", stroke: "currentColor", "stroke-width": "1.6", "stroke-linecap": "round", "stroke-linejoin": "round" }),
  );
}
