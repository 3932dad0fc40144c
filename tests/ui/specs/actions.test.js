/** Each action, with what it asks before, and what it leaves in the root. */

import assert from "node:assert/strict";
import fs from "node:fs";
import { describe, test } from "node:test";
import { around } from "../lib/around.js";
import { DONE, until } from "../lib/sandbox.js";

describe("actions", () => {
  const all = around();
  const view = (/** @type {string} */ task) => all.server.ask(`/api/v1/views/projects/p/tasks/${task}`);

  test("start a task", () =>
    all.at("", async (page) => {
      await page.getByRole("button", { name: "Start a task" }).click();
      const dialog = page.getByRole("dialog", { name: "Start a task" });
      await dialog.getByRole("button", { name: "Start" }).click();
      await dialog.getByRole("alert").getByText(/must be filled in/).waitFor();
      await dialog.getByLabel("Project").fill("p");
      await dialog.getByLabel("Agent").fill("shell");
      await dialog.getByLabel("Prompt").fill(`echo started here; ${DONE}`);
      await dialog.getByLabel("Folder it works in").fill("/no/such/folder");
      await dialog.getByLabel(/^Task id/).fill("started");
      await dialog.getByRole("button", { name: "Start" }).click();
      // A refusal is told where one is, and nothing that was written is lost.
      await dialog.getByRole("alert").getByText("/no/such/folder").waitFor();
      assert.match(await dialog.getByLabel("Prompt").inputValue(), /started here/);
      await dialog.getByLabel("Folder it works in").fill("");
      await dialog.getByLabel("Prompt").press("Control+Enter");
      await page.getByRole("heading", { level: 1, name: "started" }).waitFor();
      const done = await all.server.stands("p", "started", "done");
      assert.equal(done.runs.length, 1);
      await page.locator("h1 ~ .badge, .title .badge").getByText("done").waitFor();
    }));

  test("a dialog that is left changes nothing", () =>
    all.at("", async (page) => {
      const opener = page.getByRole("button", { name: "Start a task" });
      await opener.click();
      await page.getByRole("dialog").getByLabel("Project").fill("never");
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      // The focus is where it was.
      assert.ok(await opener.evaluate((el) => el === document.activeElement));
      await opener.click();
      await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
      assert.equal(fs.existsSync(`${all.sandbox.root}/never`), false);
    }));

  test("stop a task, with a reason that is recorded, and try it again", async () => {
    await all.server.start("p", "stopped", "sleep 3600");
    await all.at("projects/p/tasks/stopped", async (page) => {
      await page.getByRole("button", { name: "Stop" }).click();
      const dialog = page.getByRole("dialog", { name: "Stop this task?" });
      await dialog.getByRole("button", { name: "Stop the task" }).click();
      await dialog.getByRole("alert").getByText(/must be filled in/).waitFor();
      assert.equal((await view("stopped")).task.state, "running");
      await dialog.getByLabel("Why").fill("it went the wrong way");
      await dialog.getByLabel("Why").press("Enter");
      await dialog.waitFor({ state: "detached" });
      const stopped = await all.server.stands("p", "stopped", "stopped");
      const record = await all.server.ask(`/api/v1/views/projects/p/tasks/stopped/runs/${stopped.task.latest.id}`);
      assert.equal(record.record.stop_reason, "it went the wrong way");
      const again = page.getByRole("button", { name: "Try again" });
      await again.click();
      await page.getByRole("dialog").getByRole("button", { name: "Try again" }).click();
      await all.server.stands("p", "stopped", "running");
      await page.getByRole("button", { name: "Stop" }).waitFor();
    });
  });

  test("stop one run; the task may start another attempt", async () => {
    const { run_id: run } = await all.server.start("p", "one-run", "sleep 3600", { max_attempts: 5 });
    await all.at(`projects/p/tasks/one-run/runs/${run}`, async (page) => {
      await page.getByRole("button", { name: "Stop" }).click();
      const dialog = page.getByRole("dialog", { name: "Stop this run?" });
      await dialog.getByLabel("Why").fill("it hangs");
      await dialog.getByRole("button", { name: "Stop the run" }).click();
      await dialog.waitFor({ state: "detached" });
      await page.locator(".title").getByText("stopped").waitFor();
    });
    const over = await until("the run is over", async () => {
      const { record } = await all.server.ask(`/api/v1/views/projects/p/tasks/one-run/runs/${run}`);
      return record.stop_reason && record;
    });
    assert.equal(over.stop_reason, "it hangs");
  });

  test("answer a question, where it is asked and on the bus", async () => {
    // Waits for two answers, one after the other, and is done when the second one came.
    const script = `n=$(ls "$JRUN_TASK_FOLDER/runs" | wc -l); if [ "$n" -gt 2 ]; then ${DONE}; exit; fi; run-agent bus post --type QUESTION --body "Question $n: red or blue?"; exit 1`;
    await all.sandbox.cli("task", "--detach", "--project", "p", "--task", "asks", "--agent", "shell", "--on-question", "wait", "--restart-delay", "100ms", "--prompt", script);
    await all.at("projects/p/tasks/asks", async (page) => {
      const asked = page.getByRole("region", { name: "It asks you" });
      await asked.getByText("Question 1: red or blue?").waitFor();
      await asked.getByRole("button", { name: "Answer" }).click();
      const dialog = page.getByRole("dialog", { name: "Answer" });
      await dialog.getByText("Question 1: red or blue?").waitFor();
      await dialog.getByLabel("Your answer").fill("Red.");
      await dialog.getByRole("button", { name: "Send the answer" }).click();
      await asked.getByText("Question 2: red or blue?").waitFor();
      assert.equal(await asked.getByText("Question 1").count(), 0);
      await page.getByRole("link", { name: "Bus" }).click();
      const open = page.getByRole("article").filter({ hasText: "Question 2" });
      await open.getByText("open", { exact: true }).waitFor();
      await open.getByRole("button", { name: "Answer" }).click();
      await until("what is written is an answer", async () => (await page.getByLabel("Type of the message").inputValue()) === "ANSWER");
      await page.getByLabel("Message", { exact: true }).fill("Blue.");
      await page.getByLabel("Message", { exact: true }).press("Control+Enter");
      await page.getByRole("article").filter({ hasText: "ANSWER" }).getByText("Blue.").waitFor();
    });
    await all.server.stands("p", "asks", "done");
    const { messages } = await all.server.ask("/api/projects/p/tasks/asks/messages");
    const answers = messages.filter((/** @type {any} */ { type }) => type === "ANSWER");
    assert.deepEqual(answers.map((/** @type {any} */ { body }) => body), ["Red.", "Blue."]);
    for (const answer of answers) assert.equal(messages.find((/** @type {any} */ one) => one.msg_id === answer.parents[0].msg_id).type, "QUESTION");
  });

  test("post a message, and reply to one", async () => {
    fs.mkdirSync(`${all.sandbox.root}/q`);
    await all.at("projects/q/bus", async (page) => {
      const box = page.getByLabel("Message", { exact: true });
      await box.fill("A word to all.\nOn two lines.");
      await page.getByLabel("Type of the message").selectOption("DECISION");
      await page.getByRole("button", { name: "Post" }).click();
      const first = page.getByRole("article").filter({ hasText: "A word to all." });
      await first.waitFor();
      // The message may come by the stream before the answer to its post.
      await until("the box is empty", async () => (await box.inputValue()) === "");
      await first.hover();
      await first.getByRole("button", { name: "Reply" }).click();
      await box.fill("Heard.");
      await box.press("Control+Enter");
      const reply = page.getByRole("article").filter({ hasText: "Heard." });
      await reply.waitFor();
      assert.equal(await reply.evaluate((el) => getComputedStyle(el).getPropertyValue("--depth")), "1");
      assert.equal(await page.getByRole("article").count(), 2, "each message is there once");
    });
  });

  test("write down the ends that nobody saw", async () => {
    const { run_id: run } = await all.server.start("p", "unseen", "sleep 3600");
    const file = `${all.sandbox.root}/p/unseen/runs/${run}/run-info.yaml`;
    assert.match(fs.readFileSync(file, "utf8"), /status: running/);
    await all.at("health", async (page) => {
      await page.getByRole("button", { name: "Reconcile" }).click();
      await page.getByRole("dialog", { name: "Write down what ended?" }).getByRole("button", { name: "Reconcile" }).click();
      // The server writes ends down by itself; what lives is left alone.
      await page.locator(".toasts").getByText(/Nothing was open|were written down/).waitFor();
    });
    assert.match(fs.readFileSync(file, "utf8"), /status: running/);
  });

  test("delete old runs: only what the plan shown names", async () => {
    await all.server.start("p", "old", `echo old; ${DONE}`);
    const { task } = await all.server.stands("p", "old", "done");
    const folder = `${all.sandbox.root}/p/old/runs/${task.latest.id}`;
    await all.at("health", async (page) => {
      const old = page.getByRole("region", { name: "Old runs" });
      await old.getByLabel(/^Ended longer ago than/).fill("a while");
      await old.getByRole("button", { name: "Show the plan" }).click();
      await page.getByRole("alert").first().waitFor();
      await old.getByLabel(/^Ended longer ago than/).fill("0s");
      await old.getByRole("button", { name: "Show the plan" }).click();
      await old.getByText(task.latest.id).waitFor();
      await old.getByRole("button", { name: "Delete these" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
      assert.ok(fs.existsSync(folder));
      await old.getByRole("button", { name: "Delete these" }).click();
      await page.getByRole("dialog", { name: "Delete what the plan names?" }).getByRole("button", { name: "Delete" }).click();
      await page.locator(".toasts").getByText(/deleted/).waitFor();
      await until("it is gone", () => !fs.existsSync(folder));
    });
  });

  test("request an update of the server, and take it back", async () => {
    /** @type {Record<string, any>} */
    let state = { state: "idle", active_runs_now: 2 };
    /** @type {{method: string, body: string | null, search: string}[]} */
    const asked = [];
    await all.at("", async (page) => {
      // The exchange itself is the server's affair and tested there; here it is told what the page asks.
      await page.route("**/api/v1/admin/self-update*", async (route) => {
        const request = route.request();
        if (request.method() !== "GET") {
          asked.push({ method: request.method(), body: request.postData(), search: new URL(request.url()).search });
          state = request.method() === "POST" ? { ...state, state: "deferred", requested_at: new Date().toISOString(), binary_path: JSON.parse(request.postData() ?? "{}").binary_path } : { ...state, state: "idle" };
        }
        await route.fulfill({ json: state });
      });
      await page.goto(`${all.server.url}/ui/#/health`);
      const update = page.getByRole("region", { name: "Update of the server" });
      await update.getByRole("button", { name: "Request an update" }).click();
      const dialog = page.getByRole("dialog", { name: "Update the server" });
      await dialog.getByText(/2 root runs have ended/).waitFor();
      await dialog.getByRole("button", { name: "Request the update" }).click();
      await dialog.getByRole("alert").getByText(/must be filled in/).waitFor();
      await dialog.getByLabel("Path of the new program on the server").fill(" /opt/run-agent ");
      await dialog.getByRole("button", { name: "Request the update" }).click();
      await update.getByText("No new root run starts").waitFor();
      await update.getByText("/opt/run-agent").waitFor();
      await update.getByRole("button", { name: "Cancel the update" }).click();
      const cancel = page.getByRole("dialog", { name: "Cancel the update?" });
      await cancel.getByLabel("Why").fill("not tonight");
      await cancel.getByRole("button", { name: "Cancel the update" }).click();
      await update.getByRole("button", { name: "Request an update" }).waitFor();
    });
    assert.deepEqual(asked, [
      { method: "POST", body: JSON.stringify({ binary_path: "/opt/run-agent" }), search: "" },
      { method: "DELETE", body: "{}", search: "?reason=not%20tonight" },
    ]);
  });

  test("a foreign page can change nothing, whatever it sends", async () => {
    const { page, close } = await (await import("../lib/browser.js")).open(all.browser, "http://evil.test");
    try {
      await page.route("http://evil.test/**", (route) => route.fulfill({ contentType: "text/html", body: "<form method=post enctype=text/plain><input name=x></form>" }));
      await page.goto("http://evil.test/");
      const outcomes = await page.evaluate(
        async ({ url, token }) => {
          const tries = [
            { mode: "cors", headers: { "Content-Type": "application/json" } },
            { mode: "cors", headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` } },
            { mode: "no-cors", headers: { "Content-Type": "text/plain" } },
          ];
          const told = [];
          for (const init of tries) {
            told.push(await fetch(`${url}/api/v1/tasks`, { ...(/** @type {RequestInit} */ (init)), method: "POST", body: JSON.stringify({ project_id: "foreign", task_id: "t", agent_type: "shell", prompt: "true" }) }).then((response) => response.type, () => "refused"));
          }
          told.push(await fetch(`${url}/api/v1/views/projects`).then((response) => response.type, () => "refused"));
          const frame = document.createElement("iframe");
          frame.src = `${url}/ui/`;
          document.body.append(frame);
          await new Promise((resolve) => { frame.onload = resolve; });
          told.push(frame.contentDocument ? "open" : "closed");
          return told;
        },
        { url: all.server.url, token: all.server.token },
      );
      assert.deepEqual(outcomes.slice(0, 2), ["refused", "refused"]);
      assert.equal(outcomes[3], "refused");
      assert.equal(await page.frames().at(-1)?.locator("#page").count().catch(() => 0), 0, "the page stands in no frame");
      assert.equal(fs.existsSync(`${all.sandbox.root}/foreign`), false);
    } finally {
      await close();
    }
  });
});
