/** Comes next. */
import { h } from "../dom/h.js";
import { heading, empty } from "../parts/common.js";
/** @param {...string} where @returns {import("./view.js").View} */
export function healthView(...where) {
  return { title: "Health", topics: [], render: () => h("main", { key: "health" }, heading([["Health", undefined]], where.join("/")), empty("Not here yet", "")) };
}
