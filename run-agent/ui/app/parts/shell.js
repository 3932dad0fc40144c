/** What stands around every view: the rail with its places, and the connection's state. */

import { h } from "../dom/h.js";
import { changed } from "../dom/frame.js";
import { ago, count } from "../dom/format.js";
import { toProject } from "../router.js";
import { overview } from "../state/overview.js";
import { giveToken, isDeclined } from "../net/api.js";
import { icon } from "./icon.js";
import { toggleHelp } from "./help.js";
import { theme, toggleTheme } from "./theme.js";

/** @typedef {import("../net/live.js").Live} Live */

/** @type {[string, string, string, string][]} sign, word, address, first piece of its path */
const PLACES = [
  ["projects", "Projects", "#/", ""],
  ["usage", "Usage", "#/usage", "usage"],
  ["health", "Health", "#/health", "health"],
];

/** The most projects beside the page. */
const BESIDE = 12;

/**
 * @param {string} path
 * @param {import("../dom/h.js").VNode} view
 * @param {Live} live
 */
export function shell(path, view, live) {
  const [first = "", project = ""] = path.split("/");
  return h(
    "div",
    { class: "shell", key: "shell" },
    h(
      "header",
      { class: "rail" },
      h(
        "a",
        { class: "brand", href: "#/", "aria-label": "conductor, all projects" },
        h("span", { class: "mark", "aria-hidden": "true" }),
        h("span", { class: "word" }, "conductor"),
      ),
      h(
        "nav",
        { class: "places", "aria-label": "Places" },
        PLACES.map(([sign, word, href, piece]) =>
          h(
            "a",
            {
              key: word,
              href,
              "aria-label": word,
              class: first === piece ? "chosen" : "",
              "aria-current": first === piece ? "page" : undefined,
            },
            icon(sign),
            h("span", null, word),
          ),
        ),
      ),
      beside(first === "projects" ? project : ""),
      h(
        "div",
        { class: "tools" },
        connection(live),
        h(
          "button",
          {
            type: "button",
            class: "quiet",
            title: "Light or dark",
            "aria-label": `Change to ${theme() === "dark" ? "light" : "dark"}`,
            onclick: () => {
              toggleTheme();
              changed();
            },
          },
          icon("theme"),
        ),
        h(
          "button",
          { type: "button", class: "quiet", title: "Keys", "aria-label": "Help: keys", onclick: toggleHelp },
          icon("help"),
        ),
      ),
    ),
    h("div", { class: "stage" }, view),
  );
}

/** @param {string} chosen */
function beside(chosen) {
  const projects = overview.data?.projects ?? [];
  if (projects.length === 0) return null;
  return h(
    "nav",
    { class: "beside", "aria-label": "Projects" },
    h("h2", null, "Projects"),
    projects.slice(0, BESIDE).map((project) => {
      const { running = 0, question = 0, stalled = 0 } = project.states;
      return h(
        "a",
        { key: project.id, href: toProject(project.id), class: project.id === chosen ? "chosen" : "" },
        h("span", { class: "name" }, project.id),
        question + stalled > 0 &&
          h("span", { class: "pill is-question", title: "waits for you" }, count(question + stalled)),
        running > 0 && h("span", { class: "pill is-running", title: "running" }, count(running)),
      );
    }),
    projects.length > BESIDE && h("a", { href: "#/", class: "dim" }, `all ${count(projects.length)}`),
  );
}

/** @param {Live} live */
function connection({ standing }) {
  const words = { live: "live", connecting: "connecting", lost: "not connected", closed: "resting" };
  return h(
    "span",
    {
      class: `connection is-${standing}`,
      title: standing === "live" ? "News come as they happen" : "What is shown may be old",
    },
    h("span", { class: "led", "aria-hidden": "true" }),
    h("span", null, words[standing]),
  );
}

/**
 * Says that what is shown may be old.
 *
 * @param {Live} live
 */
export function banner(live) {
  if (isDeclined() && live.standing !== "live") {
    return h(
      "div",
      { class: "banner", role: "alert", key: "banner" },
      icon("blocked"),
      h("span", null, "The server shows nothing without its token."),
      h(
        "button",
        {
          type: "button",
          class: "plain",
          onclick: () =>
            void giveToken().then(
              () => live.again(0),
              () => undefined,
            ),
        },
        "Give the token",
      ),
    );
  }
  if (live.standing !== "lost" || live.lostAt === undefined || Date.now() - live.lostAt < 1500) return null;
  return h(
    "div",
    { class: "banner", role: "alert", key: "banner" },
    icon("stalled"),
    h(
      "span",
      null,
      `The connection was lost ${ago(Date.now() - live.lostAt)}. What you see may be old; nothing is missed once it is back.`,
    ),
    h("button", { type: "button", class: "plain", onclick: () => live.again(0) }, "Connect now"),
  );
}
