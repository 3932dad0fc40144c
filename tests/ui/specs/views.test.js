/** Each view, and the ways between them. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { around } from "../lib/around.js";
import { words } from "../lib/browser.js";
import { night } from "../lib/night.js";
import { until } from "../lib/sandbox.js";

describe("views", () => {
  const all = around(night);
  const task = "projects/shop/tasks/login";

  /** The latest run of a task. @param {string} project @param {string} name */
  async function latest(project, name) {
    const { task } = await all.server.ask(`/api/v1/views/projects/${project}/tasks/${name}`);
    return `projects/${project}/tasks/${name}/runs/${task.latest.id}`;
  }

  test("projects: what needs a person, what runs, and each project's numbers", () =>
    all.at("", async (page) => {
      const needs = page.getByRole("region", { name: "Needs a look" });
      await needs.getByRole("link", { name: /question.*payments.*asks you something/ }).waitFor();
      await needs.getByRole("link", { name: /failed.*search-index/ }).waitFor();
      await page.getByRole("region", { name: "Running now" }).getByText("cart-totals").waitFor();
      const row = page.getByRole("row", { name: /^shop/ });
      // Running, waiting, failed, done, tasks, cost.
      assert.deepEqual((await row.getByRole("cell").allInnerTexts()).slice(0, 6), ["2", "2", "1", "1", "7", "$0.04"]);
      await row.getByRole("link", { name: "shop" }).click();
      await page.getByRole("heading", { level: 1, name: "shop" }).waitFor();
    }));

  test("tasks: states, what they wait for, search, filters and order", () =>
    all.at("projects/shop", async (page) => {
      const rows = page.getByRole("table", { name: "Tasks of shop" }).getByRole("row");
      const row = (/** @type {RegExp} */ name) => rows.filter({ hasText: name });
      await row(/payments/).getByText(/an answer of yours, until/).waitFor();
      await row(/deploy/).getByText("after payments").waitFor();
      await row(/cleanup/).getByText("stopped").waitFor();
      await row(/search-index/).getByText("max attempts (2) exceeded").waitFor();
      await until("what needs one comes first", async () => /^question/.test(await rows.nth(1).innerText()) && /^failed/.test(await rows.nth(2).innerText()) && /^running/.test(await rows.nth(3).innerText()));
      await page.getByRole("button", { name: /^failed/ }).click();
      await until("one row is left", async () => (await rows.count()) === 2);
      await page.waitForURL(/state=failed/);
      await page.getByRole("button", { name: /^failed/ }).click();
      await page.getByRole("searchbox").fill("PAYM");
      // What waits for it is found, too.
      await until("two rows are left", async () => (await rows.count()) === 3);
      await page.getByRole("searchbox").fill("no such task");
      await page.getByText("No task is like that").waitFor();
      await page.getByRole("button", { name: "Show all" }).click();
      await page.getByLabel("Order").selectOption("by name");
      await until("they are in order", async () => /^cleanup/m.test((await rows.nth(1).innerText()).replace("stopped", "").trim()));
    }));

  test("a task: its prompt as Markdown, its runs, its limits and its completion check", () =>
    all.at(task, async (page) => {
      await page.getByRole("heading", { name: "Log in by mail" }).waitFor();
      const prompt = page.getByRole("region", { name: "What it was told" });
      assert.equal(await prompt.getByRole("listitem").count(), 3);
      await prompt.getByRole("blockquote").waitFor();
      const limits = page.getByRole("region", { name: "Limits" });
      // What a run used is counted behind its end.
      await until("its cost is counted", async () => (await limits.innerText()).includes("$0.04"));
      const text = await limits.innerText();
      for (const part of [/Attempts\s+1 of 10, 9 left/, /of 2h 00m/, /\$0\.04 of \$5\.00, \$4\.96 left/, /test -e \./, /run 1 time/]) assert.match(text, part);
      const run = page.getByRole("table", { name: "Runs" }).getByRole("row").nth(1);
      assert.match(await run.innerText(), /completed\s+claude\s+\S+\s+\$0\.04/);
    }));

  test("a task that asks shows its question, one that waits what it waits for", async () => {
    await all.at("projects/shop/tasks/payments", async (page) => {
      const asked = page.getByRole("region", { name: "It asks you" });
      await asked.getByText("Shall I move all shops to the new one").waitFor();
      assert.equal(await asked.locator("strong").count(), 1);
    });
    await all.at("projects/shop/tasks/deploy", async (page) => {
      const stands = page.getByRole("region", { name: "Where it stands" });
      await stands.getByRole("link", { name: "payments" }).first().waitFor();
    });
  });

  test("runs are a tree of parents, children and restarts", async () => {
    await all.at("projects/shop/tasks/split", async (page) => {
      const rows = page.getByRole("table", { name: "Runs" }).getByRole("row");
      await until("three children", async () => (await page.getByLabel("child").count()) === 3);
      assert.equal(await rows.count(), 5);
      await rows.filter({ hasText: "failed 1" }).waitFor();
    });
    await all.at("projects/shop/tasks/task-20261127-210000-search-index", async (page) => {
      await page.getByLabel("restart").waitFor();
      assert.equal(await page.getByText("failed 3").count(), 2);
    });
  });

  test("a run: output with its colours, errors, prompt, result, record and processes", async () => {
    await all.at(await latest("shop", "task-20261127-211500-cart-totals"), async (page) => {
      const log = page.getByRole("log");
      await log.getByText("step 3").waitFor();
      assert.equal(await log.locator(".fg-red").innerText(), "FAILED");
      assert.equal(await log.locator(".under").innerText(), "cart::total");
      assert.equal(await log.getByText("\u001b").count(), 0);
      await page.getByRole("link", { name: /^Processes/ }).click();
      await page.getByRole("row", { name: /^sleep/ }).waitFor();
      await page.getByRole("link", { name: /^Prompt/ }).click();
      await page.getByText("sleep 3600").first().waitFor();
    });
    await all.at(await latest("shop", "login"), async (page) => {
      await page.getByText(/tokens/).first().waitFor();
      await page.getByRole("link", { name: /^Result/ }).click();
      await page.getByRole("heading", { name: "Login by mail link" }).waitFor();
      assert.equal(await page.locator("main table td").first().innerText(), "form");
      assert.equal(await page.getByRole("img", { name: "open" }).count(), 1);
      await page.getByRole("link", { name: /^Record/ }).click();
      await page.getByText("run_id").waitFor();
    });
    await all.at(await latest("shop", "task-20261127-210000-search-index"), async (page) => {
      await page.getByRole("link", { name: /^Errors/ }).click();
      await page.getByRole("log").getByText("no space for shard 7").waitFor();
    });
  });

  test("a line is wrapped by what it shows, and no colour is cut in two", async () => {
    await all.at(await latest("shop", "task-20261127-211500-cart-totals"), async (page) => {
      const wrong = await page.evaluate(async () => {
        const main = /** @type {HTMLScriptElement} */ (document.querySelector("script[type=module]")).src;
        const { rowsOf } = await import(new URL("log/chunks.js", main).href);
        const { pieces, plain } = await import(new URL("text/ansi.js", main).href);
        const line = "\u001b[31mFAILED\u001b[0m one of 12: \u001b[4mcart::t\u00f6tal \ud83d\uded2\u001b[0m\u001b]0;a title\u0007 in \u001b[38;5;12mblue\u001b[m";
        const bytes = new TextEncoder().encode(line);
        const whole = pieces(line, plain());
        const wrong = [];
        for (let columns = 2; columns <= 90; columns += 1)
          for (const shape of [undefined, (/** @type {string} */ text) => text]) {
            const rows = rowsOf(bytes, 7, columns, shape);
            const look = plain();
            const shown = rows.map((/** @type {{text: string}} */ row) => pieces(row.text, look));
            // A blank that a piece ends with needs no room.
            const length = (/** @type {{text: string}[]} */ row) => row.map(({ text }) => text).join("").replace(/ $/, "").length;
            const letters = (/** @type {{text: string, look: string}[]} */ row) => row.flatMap(({ text, look }) => [...text].map((letter) => letter + look));
            const at = rows.map((/** @type {{text: string}} */ _, /** @type {number} */ row) => 7 + new TextEncoder().encode(rows.slice(0, row).map((/** @type {{text: string}} */ { text }) => text).join("")).length);
            const isRight =
              shown.every((/** @type {any} */ row) => length(row) <= columns) &&
              JSON.stringify(shown.flatMap(letters)) === JSON.stringify(letters(whole)) &&
              (shape || JSON.stringify(rows.map((/** @type {{at: number}} */ row) => row.at)) === JSON.stringify(at));
            if (!isRight) wrong.push({ columns, rows });
          }
        return wrong;
      });
      assert.deepEqual(wrong, []);
    });
  });

  test("a log is searched as a whole, and grows while one looks", async () => {
    const gate = `${all.sandbox.folder}/gate`;
    await all.server.start("docs", "long", `seq -f 'line %g of many' 1 200000; until [ -e ${gate} ]; do sleep 0.05; done; echo 'the last word'; sleep 3600`);
    await all.at(await latest("docs", "long"), async (page) => {
      const log = page.getByRole("log");
      await log.getByText("line 200000 of many").waitFor();
      await page.keyboard.press("/");
      await page.keyboard.type("line 77777 OF");
      await page.keyboard.press("Enter");
      await log.locator("mark").first().waitFor();
      assert.equal(await log.locator(".hit").innerText(), "line 77777 of many");
      await page.getByRole("status").getByText("1 of 1").waitFor();
      await page.keyboard.press("Escape");
      await page.keyboard.press("g");
      await log.getByText("line 1 of many", { exact: true }).waitFor();
      await page.keyboard.press("f");
      await log.getByText("line 200000 of many").waitFor();
      await (await import("node:fs/promises")).writeFile(gate, "");
      await log.getByText("the last word").waitFor();
      assert.ok((await log.locator("*").count()) < 500, "only what is in sight is in the document");
    });
  });

  test("the bus: threads, filters by type, search; news come while one looks", () =>
    all.at("projects/shop/bus", async (page) => {
      const messages = page.getByRole("log", { name: "Messages" });
      const bodies = messages.getByRole("article");
      await messages.getByText("Which shop goes first?").waitFor();
      assert.equal(await bodies.filter({ hasText: "The smallest one." }).evaluate((el) => getComputedStyle(el).getPropertyValue("--depth")), "1");
      assert.equal(await messages.locator("code").innerText(), "shop-7");
      await page.getByRole("button", { name: /^FACT/ }).click();
      await until("facts alone", async () => (await bodies.count()) === 2);
      await page.waitForURL(/type=FACT/);
      await page.getByRole("button", { name: /^FACT/ }).click();
      await all.server.say("shop", undefined, { type: "FACT", body: "It comes by itself." });
      await messages.getByText("It comes by itself.").waitFor();
      await page.getByRole("searchbox").fill("smallest");
      await until("one is found", async () => (await bodies.count()) === 1);
    }));

  test("usage: a chart per day and tables by agent and project", () =>
    all.at("usage", async (page) => {
      await page.getByRole("figure", { name: "Cost per day, by agent" }).waitFor();
      // Today, unless it is past midnight by now.
      await page.getByRole("listitem", { name: /\$0\.04.*claude \$0\.04/ }).waitFor({ state: "attached" });
      await page.getByRole("row", { name: /^claude/ }).getByText("$0.04").waitFor();
      await page.getByRole("row", { name: /^shop/ }).getByText("$0.04").waitFor();
    }));

  test("health: the doctor's findings, holds, slots, disk, access and old runs", () =>
    all.at("health", async (page) => {
      // Behind some of the names stands what there is of it.
      for (const name of [/^Doctor/, /^Disk and slots/, /^Usage limits/, /^Update of the server/, /^Server/, /^Old runs/]) await page.getByRole("region", { name }).waitFor();
      await page.getByRole("meter", { name: "Disk in use" }).waitFor();
      await page.getByText("changes want the token").waitFor();
    }));

  test("deep links, the back button and the title", () =>
    all.at(`${task}/bus`, async (page) => {
      await page.getByText("Mails leave through the queue.").waitFor();
      await until("the title tells of it", async () => /Bus of login/.test(await page.title()));
      await page.getByRole("link", { name: "Task", exact: true }).click();
      await page.getByRole("heading", { name: "Log in by mail" }).waitFor();
      await page.getByRole("link", { name: "shop", exact: true }).first().click();
      await page.getByRole("table", { name: "Tasks of shop" }).waitFor();
      await page.goBack();
      await page.getByRole("heading", { name: "Log in by mail" }).waitFor();
      await page.goBack();
      await page.getByText("Mails leave through the queue.").waitFor();
      await page.goForward();
      await page.getByRole("heading", { name: "Log in by mail" }).waitFor();
      await page.reload();
      await page.getByRole("heading", { name: "Log in by mail" }).waitFor();
    }));

  test("what is not there is said, with a way on", async () => {
    for (const place of ["projects/none", "projects/shop/tasks/none", "projects/shop/tasks/login/runs/none", "nowhere/at/all", "projects/%00", "projects/%25", "projects/..%2f.."]) {
      await all.at(place, async (page) => {
        await until(`${place} says something`, async () => /not|no /i.test(await words(page)));
        await page.getByRole("link", { name: "Projects" }).first().click();
        await page.getByRole("region", { name: "Running now" }).waitFor();
      });
    }
  });

  test("keys: search, arrows and Enter, help, Escape", () =>
    all.at("projects/shop", async (page) => {
      await page.getByRole("table").getByText("payments", { exact: true }).waitFor();
      await page.keyboard.press("?");
      await page.getByRole("dialog", { name: "Keys" }).waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("dialog", { name: "Keys" }).waitFor({ state: "detached" });
      await page.keyboard.press("/");
      await page.keyboard.type("payments?/");
      assert.equal(await page.getByRole("searchbox").inputValue(), "payments?/");
      await page.getByRole("searchbox").fill("payments");
      await page.keyboard.press("Escape");
      await page.keyboard.press("ArrowDown");
      await page.locator(".row.selected").getByText("payments").first().waitFor();
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { level: 1, name: "payments" }).waitFor();
      await page.goBack();
      // The button that was pressed last is not what Enter is for once one moved in the list.
      await page.getByRole("searchbox").fill("");
      await page.getByRole("button", { name: /^failed/ }).click();
      await until("one row is left", async () => (await page.getByRole("table").getByRole("row").count()) === 2);
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { level: 1, name: /search-index/ }).waitFor();
    }));

  test("times are those of the reader, with the exact UTC on hover", () =>
    all.at("projects/shop/bus", async (page) => {
      const time = page.locator("article time").first();
      await time.waitFor();
      const utc = /** @type {string} */ (await time.getAttribute("datetime"));
      assert.match(utc, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
      const here = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: "Europe/Berlin" }).format(new Date(utc.replace(/(\.\d{3})\d+/, "$1")));
      assert.ok((await time.innerText()).endsWith(here), `${await time.innerText()} is ${here}`);
      const title = /** @type {string} */ (await time.getAttribute("title"));
      assert.ok(title.includes(utc) && title.includes("UTC"), title);
    }));

  test("light and dark: as the system has it, or as one chose", () =>
    all.at("", async (page) => {
      await page.getByRole("region", { name: "Running now" }).waitFor();
      const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const light = await paper();
      await page.emulateMedia({ colorScheme: "dark" });
      const dark = await until("it is dark", async () => (await paper()) !== light && (await paper()));
      await page.getByRole("button", { name: "Change to light" }).click();
      await until("it is light", async () => (await paper()) === light);
      await page.reload();
      await page.getByRole("region", { name: "Running now" }).waitFor();
      assert.equal(await paper(), light);
      assert.notEqual(dark, light);
    }));

  test("nothing is wider than a phone", async () => {
    const run = await latest("shop", "login");
    for (const place of ["", "projects/shop", task, `${task}/bus`, "projects/shop/tasks/split", run, `${run}?tab=result`, `${run}?tab=record`, "projects/shop/bus", "usage", "health"]) {
      await all.at(place, async (page) => {
        await page.locator("main h1").waitFor();
        await page.getByText("Reading…").first().waitFor({ state: "detached" });
        const wide = await page.evaluate(() => ({ page: document.documentElement.scrollWidth, window: innerWidth, main: document.querySelector("main")?.scrollWidth }));
        assert.ok(wide.page <= wide.window && (wide.main ?? 0) <= wide.window, `${place}: ${JSON.stringify(wide)}`);
      }, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
    }
  });
});

describe("an empty root", () => {
  const all = around();

  test("teaches the next command", async () => {
    await all.at("", async (page) => {
      await page.getByText("No project yet").waitFor();
      await page.getByText(/run-agent task --project/).waitFor();
    });
    await all.at("usage", async (page) => void (await page.getByText("run-agent").first().waitFor()));
    await all.at("health", async (page) => void (await page.getByText("Nothing is wrong.").waitFor()));
    const fs = await import("node:fs/promises");
    await fs.mkdir(`${all.sandbox.root}/bare`, { recursive: true });
    await fs.writeFile(`${all.sandbox.root}/bare/PROJECT-MESSAGE-BUS.md`, "");
    await all.at("projects/bare", async (page) => void (await page.getByText("No task yet").waitFor()));
    await all.at("projects/bare/bus", async (page) => void (await page.getByText("Nothing was said yet").waitFor()));
  });
});
