/** Comes next. */
import { h } from "../dom/h.js";
import { heading, empty } from "../parts/common.js";
/** @param {...string} where @returns {import("./view.js").View} */
export function usageView(...where) {
  return { title: "Usage", topics: [], render: () => h("main", { key: "usage" }, heading([["Usage", undefined]], where.join("/")), empty("Not here yet", "")) };
}
