/** Which view stands at which place. */

import { h } from "../dom/h.js";
import { empty } from "../parts/common.js";
import { busView } from "./bus.js";
import { healthView } from "./health.js";
import { overviewView } from "./overview.js";
import { runView } from "./run.js";
import { taskView } from "./task.js";
import { tasksView } from "./tasks.js";
import { usageView } from "./usage.js";

/**
 * @param {string[]} path
 * @returns {import("./view.js").View}
 */
export function viewOf(path) {
  const [place, project, part, task, more, run] = path;
  if (place === undefined) return overviewView();
  if (place === "usage") return usageView();
  if (place === "health") return healthView();
  if (place === "projects" && project) {
    if (part === undefined) return tasksView(project);
    if (part === "bus") return busView(project);
    if (part === "tasks" && task && more === undefined) return taskView(project, task);
    if (part === "tasks" && task && more === "bus") return busView(project, task);
    if (part === "tasks" && task && more === "runs" && run) return runView(project, task, run);
  }
  return {
    title: "Nothing here",
    topics: [],
    render: () => h("main", { key: "nothing" }, empty("There is nothing at this address", h("a", { href: "#/" }, "To all projects"))),
  };
}
