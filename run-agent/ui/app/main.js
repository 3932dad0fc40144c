/** The page: its frame, its places, its keys, and the connection that keeps it live. */

import { patch } from "./dom/h.js";
import { changed, drawWith, every } from "./dom/frame.js";
import { Live } from "./net/live.js";
import { takeFromAddress } from "./net/token.js";
import { dialog, isOpen } from "./parts/dialog.js";
import { toasts } from "./parts/toast.js";
import { helpPanel, toggleHelp, closeHelp } from "./parts/help.js";
import { startTheme } from "./parts/theme.js";
import { banner, shell } from "./parts/shell.js";
import { askForTokenWithDialog } from "./actions/token.js";
import { overview } from "./state/overview.js";
import { here } from "./router.js";
import { viewOf } from "./views/index.js";

/** @typedef {import("./views/view.js").View} View */

takeFromAddress();
startTheme();
askForTokenWithDialog();

/** @type {View | undefined} */
let view;
let viewPath = "";
/** @type {import("./dom/h.js").VNode[]} */
let shown = [];
const page = /** @type {HTMLElement} */ (document.getElementById("page"));

const live = new Live(
  (event, data) => {
    if (event === "changed" || event === "resync" || (event === "status" && data.topic === "runs"))
      overview.touch();
    if (event === "resync") view?.refresh?.();
    else view?.hear?.(event, data);
    changed();
  },
  () => {
    // What happened in between may be told by no event.
    if (live.standing === "live" && wasLost) {
      view?.refresh?.();
      overview.touch();
    }
    wasLost = live.standing === "lost" || live.standing === "closed";
    changed();
  },
);
let wasLost = false;

function open() {
  takeFromAddress();
  const place = here();
  const path = place.path.join("/");
  if (view && path === viewPath) {
    view.moved?.();
  } else {
    view?.dispose?.();
    viewPath = path;
    view = viewOf(place.path);
    scrollTo(0, 0);
    closeHelp();
  }
  changed();
}

drawWith(() => {
  if (!view) return;
  live.follow(["runs", "changes", ...view.topics]);
  document.title = `${view.title} · conductor`;
  const after = [banner(live), shell(viewPath, view.render(), live), dialog(), helpPanel(), toasts()].filter(
    (node) => node !== null,
  );
  patch(page, shown, after);
  shown = after;
});

addEventListener("hashchange", open);
every(1000, () => {
  view?.tick?.();
  overview.tick();
  changed();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) changed();
});

addEventListener("keydown", (event) => {
  const field =
    event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]");
  if (isOpen() || event.ctrlKey || event.metaKey || event.altKey) return;
  if (field) {
    if (event.key === "Escape") /** @type {HTMLElement} */ (field).blur();
    return;
  }
  if (event.key === "?") toggleHelp();
  else if (event.key === "Escape") closeHelp();
  else if (event.key === "/") document.querySelector(/** @type {"input"} */ ("input[type=search]"))?.focus();
  else if (
    event.key === "Enter" &&
    event.target instanceof Element &&
    event.target.closest("a, button, summary")
  )
    return;
  else if (!view?.key?.(event)) return;
  // Whoever moves in the view is there: Enter is no longer for the button that was pressed before.
  else if (event.target instanceof HTMLElement && event.target.matches("button, summary")) event.target.blur();
  event.preventDefault();
  changed();
});

open();
// For the projects beside every view.
if (!overview.reading) void overview.read();
