/** Starting a task. */

import { get, send } from "../net/api.js";
import { askPerson } from "../parts/dialog.js";
import { tell } from "../parts/toast.js";
import { overview } from "../state/overview.js";
import { go, toTask } from "../router.js";

/**
 * Asks what to start, and starts it.
 *
 * @param {string} [project]
 */
export async function startTask(project) {
  const [status, folders] = await Promise.all([
    get("/api/v1/status").catch(() => ({})),
    get("/api/projects/home-dirs").catch(() => ({})),
  ]);
  /** @type {{project_id: string, task_id: string} | undefined} */
  let started;
  await askPerson({
    title: "Start a task",
    fields: [
      { name: "project_id", label: "Project", value: project ?? "", required: true, suggestions: overview.data?.projects.map((known) => known.id) ?? [] },
      { name: "agent_type", label: "Agent", value: status.configured_agents?.[0] ?? "", suggestions: [...new Set([...(status.configured_agents ?? []), "claude", "codex", "gemini", "shell"])], hint: "A kind of agent, or the name of one that is configured. Nothing is guessed: without a name the configuration must have a default." },
      { name: "prompt", label: "Prompt", kind: "area", required: true, hint: "Ctrl+Enter starts it." },
      { name: "project_root", label: "Folder it works in", suggestions: folders.dirs ?? [], hint: "Absolute, or below your home folder as ~/…" },
      { name: "task_id", label: "Task id", hint: "Made from the prompt unless you give one." },
      { name: "depends_on", label: "Tasks that must be ready first", hint: "Ids, with commas between." },
      { name: "max_attempts", label: "Most attempts", kind: "number" },
    ],
    action: "Start",
    async carryOut(values) {
      /** @type {Record<string, unknown>} */
      const body = {};
      for (const name of ["project_id", "agent_type", "prompt", "project_root", "task_id"]) {
        if (values[name]?.trim()) body[name] = values[name];
      }
      const first = (values.depends_on ?? "").split(",").map((id) => id.trim()).filter(Boolean);
      if (first.length > 0) body.depends_on = first;
      if (values.max_attempts) body.max_attempts = Number(values.max_attempts);
      started = await send("/api/v1/tasks", body);
    },
  });
  if (!started) return;
  tell(`${started.task_id} was started`);
  overview.touch(0);
  go(toTask(started.project_id, started.task_id));
}
