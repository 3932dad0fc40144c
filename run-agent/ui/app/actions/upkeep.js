/** What can be done for the whole root: an update of the server, and garbage collection. */

import { send } from "../net/api.js";
import { askPerson } from "../parts/dialog.js";
import { tell } from "../parts/toast.js";
import { h } from "../dom/h.js";
import { counted, size } from "../dom/format.js";

/** @typedef {import("../net/types.js").GcPlan} GcPlan */

export const UPDATE = "/api/v1/admin/self-update";

/** Asks for another program in the server's place. @param {number} active */
export async function requestUpdate(active) {
  const values = await askPerson({
    title: "Update the server",
    text: [
      active > 0 ? `The server's program is exchanged once ${counted(active, "root run has", "root runs have")} ended. Until then nothing new is started.` : "Nothing runs: the server's program is exchanged at once.",
      "No run is interrupted. Where the new program does not start, the old one serves on.",
    ],
    fields: [
      { name: "binary_path", label: "Path of the new program on the server", required: true },
      { name: "sha256", label: "Its SHA-256", hint: "Refused where the file has another one." },
    ],
    action: "Request the update",
    danger: true,
    async carryOut({ binary_path = "", sha256 = "" }) {
      await send(UPDATE, { binary_path: binary_path.trim(), ...(sha256.trim() ? { sha256: sha256.trim() } : {}) });
    },
  });
  if (values) tell("The update was requested");
  return values !== undefined;
}

/** Takes back what was asked for. */
export async function cancelUpdate() {
  const values = await askPerson({
    title: "Cancel the update?",
    text: ["The server keeps its program, and new tasks may start again."],
    fields: [{ name: "reason", label: "Why", hint: "It is recorded with the update." }],
    action: "Cancel the update",
    async carryOut({ reason = "" }) {
      await send(reason.trim() ? `${UPDATE}?reason=${encodeURIComponent(reason.trim())}` : UPDATE, {}, "DELETE");
    },
  });
  if (values) tell("The update was cancelled");
  return values !== undefined;
}

/** Carries out the plan that is shown. @param {GcPlan} plan */
export async function collect(plan) {
  /** @type {{deleted_runs: number, freed_bytes: number, errors?: string[]} | undefined} */
  let done;
  const values = await askPerson({
    title: "Delete what the plan names?",
    text: [
      h("p", null, h("b", null, counted(plan.count, "thing")), " with ", h("b", null, size(plan.bytes)), " go for good. What is in use, lives, or changed since stays."),
      "What runs used is kept: their receipts stay.",
    ],
    action: "Delete",
    danger: true,
    async carryOut() {
      done = await send("/api/v1/gc", { plan: plan.plan });
    },
  });
  if (done) tell(`${counted(done.deleted_runs, "run")} deleted, ${size(done.freed_bytes)} freed`, { bad: (done.errors ?? []).length > 0, hint: done.errors?.join("; ") });
  return values !== undefined;
}
