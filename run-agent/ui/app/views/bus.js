/** Comes next. */
import { h } from "../dom/h.js";
import { heading, empty } from "../parts/common.js";
/** @param {...string} where @returns {import("./view.js").View} */
export function busView(...where) {
  return { title: "Bus", topics: [], render: () => h("main", { key: "bus" }, heading([["Bus", undefined]], where.join("/")), empty("Not here yet", "")) };
}
