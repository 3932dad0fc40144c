/** The update of the server's program: where it stands, what it holds back, and the ways to begin and end it. */

import { h } from "../dom/h.js";
import { count, counted, time } from "../dom/format.js";
import { button, facts, loading } from "../parts/common.js";
import { icon } from "../parts/icon.js";
import { cancelUpdate, requestUpdate } from "../actions/upkeep.js";

/**
 * @param {any} state as the server tells it
 * @param {Error | undefined} error
 * @param {() => unknown} read
 */
export function updatePanel(state, error, read) {
  const missing = /** @type {{status?: number} | undefined} */ (error)?.status === 404;
  const active = Number(state?.active_runs_now ?? 0);
  const waits = state?.state === "deferred" || state?.state === "applying";
  /** @param {unknown} text */
  const when = (text) =>
    typeof text === "string" && !text.startsWith("0001") ? time(text, "clock") : undefined;
  return h(
    "section",
    { class: "panel", "aria-labelledby": "update" },
    h(
      "h2",
      { id: "update" },
      "Update of the server",
      state &&
        h(
          "span",
          { class: `badge ${state.state === "failed" ? "is-failed" : waits ? "is-waiting" : "is-idle"}` },
          state.state,
        ),
    ),
    missing || (!state && error)
      ? h("p", { class: "dim" }, missing ? "This server cannot exchange itself." : (error?.message ?? ""))
      : !state
        ? loading()
        : [
            state.state === "deferred" &&
              h(
                "p",
                { class: "gate" },
                icon("blocked"),
                h("b", null, "No new root run starts"),
                ` while it waits for ${counted(Math.max(0, active), "root run")} to end.`,
              ),
            state.state === "applying" &&
              h(
                "p",
                { class: "gate" },
                icon("blocked"),
                h("b", null, "No new root run starts"),
                " while the program is exchanged.",
              ),
            facts([
              ["Active root runs", active < 0 ? "not known" : count(active)],
              ["Program", state.binary_path && h("span", { class: "mono" }, state.binary_path)],
              ["Requested", when(state.requested_at)],
              ["Began", when(state.started_at)],
              ["Ended", when(state.finished_at)],
              ["Active then", state.active_runs_at_request ? count(state.active_runs_at_request) : undefined],
              ["Not counted", state.active_runs_error],
              ["Step", state.step],
              ["Installed", state.installed_version],
              ["Last error", state.last_error && h("span", { class: "problem" }, state.last_error)],
              ["Last note", state.last_note],
            ]),
            h(
              "div",
              { class: "panel-actions" },
              waits
                ? button("close", "Cancel the update", () => void cancelUpdate().then(read), "danger")
                : button("up", "Request an update", () => void requestUpdate(active).then(read)),
            ),
          ],
  );
}
