/** What garbage collection would take, and taking just that. */

import { h } from "../dom/h.js";
import { changed } from "../dom/frame.js";
import { count, counted, size, time } from "../dom/format.js";
import { get } from "../net/api.js";
import { button, empty } from "../parts/common.js";
import { collect } from "../actions/upkeep.js";

/** @typedef {import("../net/types.js").GcPlan} GcPlan */

/** The panel, with the plan that it shows. */
export class Garbage {
  constructor() {
    /** @type {GcPlan | undefined} */
    this.plan = undefined;
    /** @type {Error | undefined} */
    this.error = undefined;
    this.busy = false;
    this.age = "";
    this.keepFailed = false;
  }

  async look() {
    this.busy = true;
    changed();
    const query = new URLSearchParams({
      ...(this.age ? { older_than: this.age } : {}),
      ...(this.keepFailed ? { keep_failed: "true" } : {}),
    });
    try {
      this.plan = await get(`/api/v1/gc?${query}`);
      this.error = undefined;
    } catch (error) {
      this.plan = undefined;
      this.error = /** @type {Error} */ (error);
    }
    this.busy = false;
    changed();
  }

  panel() {
    return h(
      "section",
      { class: "panel", "aria-labelledby": "gc" },
      h("h2", { id: "gc" }, "Old runs"),
      h(
        "div",
        { class: "filters" },
        h(
          "label",
          null,
          h("span", { class: "dim" }, "Ended longer ago than "),
          h("input", {
            type: "text",
            class: "short",
            value: this.age,
            placeholder: "as configured",
            "aria-label": "Ended longer ago than, as 168h",
            oninput: (/** @type {Event} */ event) => {
              this.age = /** @type {HTMLInputElement} */ (event.target).value.trim();
              this.plan = undefined;
              changed();
            },
          }),
        ),
        h(
          "label",
          { class: "check" },
          h("input", {
            type: "checkbox",
            checked: this.keepFailed,
            onchange: (/** @type {Event} */ event) => {
              this.keepFailed = /** @type {HTMLInputElement} */ (event.target).checked;
              this.plan = undefined;
              changed();
            },
          }),
          " keep failed ones",
        ),
        button("search", this.busy ? "Looking…" : "Show the plan", () => void this.look()),
      ),
      this.error && h("p", { class: "problem", role: "alert" }, this.error.message),
      this.plan && planned(this.plan, () => this.look()),
    );
  }
}

/** @param {GcPlan} shown @param {() => Promise<void>} look */
function planned(shown, look) {
  const kept = Object.entries(shown.kept);
  return h(
    "div",
    { class: "plan" },
    shown.count === 0
      ? empty("Nothing would go", "All runs are young, alive, or kept.")
      : [
          h(
            "p",
            { class: "plan-sum" },
            h("b", null, counted(shown.count, "thing")),
            " with ",
            h("b", null, size(shown.bytes)),
            " would go.",
          ),
          h(
            "div",
            { class: "plan-list" },
            h(
              "table",
              { class: "table" },
              h(
                "thead",
                null,
                h(
                  "tr",
                  null,
                  ["Size", "Ended", "Why", "What", "Where"].map((word) =>
                    h("th", { scope: "col", key: word }, word),
                  ),
                ),
              ),
              h(
                "tbody",
                null,
                shown.items.map((item, at) =>
                  h(
                    "tr",
                    { key: at },
                    h("td", { class: "number" }, size(item.bytes)),
                    h("td", null, time(item.end)),
                    h("td", { class: "dim" }, item.reason.replaceAll("_", " ")),
                    h("td", null, item.kind),
                    h(
                      "td",
                      { class: "mono" },
                      [item.project_id, item.task_id, item.run_id].filter(Boolean).join("/"),
                    ),
                  ),
                ),
              ),
            ),
          ),
          shown.count > shown.items.length &&
            h("p", { class: "dim" }, `and ${count(shown.count - shown.items.length)} more`),
        ],
    kept.length > 0 &&
      h(
        "p",
        { class: "dim" },
        "Kept: ",
        kept.map(([why, number]) => `${count(number)} ${why.replaceAll("_", " ")}`).join(", "),
        ".",
      ),
    shown.errors?.map((text, at) => h("p", { key: at, class: "problem" }, text)),
    shown.count > 0 &&
      h(
        "div",
        { class: "panel-actions" },
        button(
          "stop",
          "Delete these",
          () => void collect(shown).then((meant) => (meant ? look() : undefined)),
          "danger",
        ),
      ),
  );
}
