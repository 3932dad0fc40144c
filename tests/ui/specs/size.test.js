/** Ten thousand tasks and a log of 200 MB: every interaction stays within 100 ms, the page within 300 MB. */

import assert from "node:assert/strict";
import fs from "node:fs";
import { describe, test } from "node:test";
import { around } from "../lib/around.js";
import { DONE } from "../lib/sandbox.js";

const TASKS = 10_000;
const LINE = (/** @type {number} */ at) => `\u001b[32mline ${String(at).padStart(8, "0")}\u001b[0m: the quick brown fox jumps over the lazy dog and prints what it does\n`;
const LOG = 200_000_000;
/** What a person notices as delay. */
const MOST_MS = 100;
const MOST_BYTES = 300_000_000;

describe("size", () => {
  const all = around();
  /** @type {string} */
  let run;

  test("10,000 tasks: search, filter, order, scroll and open", async () => {
    const { sandbox } = all;
    fs.rmSync(sandbox.root, { recursive: true, force: true });
    await sandbox.makeRoot({ projects: 1, tasks: TASKS, runs: TASKS, messages: 1, output: 100 });
    const server = await sandbox.serve({ auth: "off" });
    await watched(server, "projects/project-00", async (page, step) => {
      await page.getByRole("table").getByRole("row").nth(5).waitFor();
      await page.getByText("10,000").first().waitFor();
      const whole = () => page.getByText("read so far").waitFor({ state: "detached" });
      await whole();
      const box = page.getByRole("searchbox");
      await step("search", async () => { await box.pressSequentially("work-0777"); });
      await page.getByText("work-0777").first().waitFor();
      await step("search, undone", () => box.fill(""));
      await step("filter", () => page.getByRole("button", { name: /^failed/ }).click());
      await step("filter, undone", () => page.getByRole("button", { name: /^failed/ }).click());
      for (const order of ["name", "attempts", "activity", "state"]) await step(`order by ${order}`, () => page.locator(".sort select").selectOption(order));
      // Back from the field to the page.
      await page.keyboard.press("Escape");
      const list = page.locator(".virtual");
      for (let times = 0; times < 10; times += 1) await step("scroll", () => list.evaluate((el, times) => { el.scrollTop = (el.scrollHeight * times) / 10; }, times));
      await step("scroll by wheel", async () => { await list.hover(); for (let times = 0; times < 10; times += 1) await page.mouse.wheel(0, 900); });
      for (let times = 0; times < 20; times += 1) await step("arrow", () => page.keyboard.press("ArrowDown"));
      await step("to the end", () => page.keyboard.press("End"));
      await step("open", () => page.keyboard.press("Enter"));
      await page.getByRole("table", { name: "Runs" }).waitFor();
      await step("back", () => page.goBack());
      await page.getByRole("table").getByRole("row").nth(5).waitFor();
      await whole();
    });
    await server.kill();
  });

  test("a log of 200 MB: scroll, jump, search, wrap and follow", async () => {
    const { sandbox } = all;
    const server = await sandbox.serve({ auth: "off" });
    const started = await server.start("p", "long", `echo begin; ${DONE}`);
    await server.stands("p", "long", "done");
    run = started.run_id;
    const file = fs.openSync(`${sandbox.root}/p/long/runs/${run}/agent-stdout.txt`, "w");
    let [bytes, at] = [0, 0];
    while (bytes < LOG) {
      let text = "";
      for (let count = 0; count < 20_000; count += 1) text += LINE(at++);
      bytes += fs.writeSync(file, text);
    }
    fs.closeSync(file);
    await watched(server, `projects/p/tasks/long/runs/${run}`, async (page, step) => {
      const log = page.getByRole("log");
      await log.getByText("line 00000000").waitFor();
      for (let times = 0; times < 20; times += 1) await step("scroll by wheel", async () => { await log.hover(); await page.mouse.wheel(0, 2000); });
      for (let times = 1; times < 10; times += 1) await step("scroll far", () => log.evaluate((el, times) => { el.scrollTop = (el.scrollHeight * times) / 10; }, times));
      for (let times = 0; times < 20; times += 1) await step("page", () => page.keyboard.press("PageDown"));
      await step("to the end", () => page.keyboard.press("G"));
      await log.getByText(`line ${String(at - 1).padStart(8, "0")}`).waitFor();
      await step("to the begin", () => page.keyboard.press("g"));
      await log.getByText("line 00000000").waitFor();
      await page.getByRole("searchbox").fill("line 01234567");
      await step("search", () => page.keyboard.press("Enter"));
      await log.locator(".hit").getByText("line 01234567").waitFor();
      await step("wrap", async () => { await page.keyboard.press("Escape"); await page.keyboard.press("w"); });
      await log.getByText("line 01234567").waitFor();
      assert.ok((await page.locator("*").count()) < 2000, "only what is in sight is in the document");
    });
  });

  /**
   * Does something step by step and measures each: the time until the frame after it is shown, how long the page
   * was held up, and what it occupies in the end.
   *
   * @param {import("../lib/sandbox.js").Server} server
   * @param {string} place
   * @param {(page: import("playwright-core").Page, step: (name: string, what: () => Promise<unknown>) => Promise<void>) => Promise<void>} what
   */
  async function watched(server, place, what) {
    /** @type {Map<string, number>} */
    const worst = new Map();
    await all.at(place, async (page) => {
      await page.addInitScript(() => {});
      await page.evaluate(() => {
        const global = /** @type {any} */ (globalThis);
        global.held = [];
        // Whatever keeps the page from showing its next frame for more than 50 ms.
        new PerformanceObserver((list) => { for (const entry of list.getEntries()) global.held.push(entry.duration); }).observe({ type: "longtask" });
        new PerformanceObserver((list) => { for (const entry of list.getEntries()) global.held.push(entry.duration); }).observe(/** @type {any} */ ({ type: "event", durationThreshold: 16 }));
      });
      await what(page, async (name, act) => {
        await page.evaluate(() => { /** @type {any} */ (globalThis).held.length = 0; });
        await act();
        const held = await page.evaluate(async () => {
          await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve))));
          return Math.max(0, .../** @type {any} */ (globalThis).held);
        });
        worst.set(name, Math.max(worst.get(name) ?? 0, held));
      });
      const session = await page.context().newCDPSession(page);
      await session.send("HeapProfiler.collectGarbage");
      await session.send("Performance.enable");
      const { metrics } = await session.send("Performance.getMetrics");
      const of = (/** @type {string} */ name) => metrics.find((metric) => metric.name === name)?.value ?? 0;
      console.log(`# ${place}: heap ${Math.round(of("JSHeapUsedSize") / 1e6)} MB, ${of("Nodes")} nodes; held up at most (ms): ${[...worst].map(([name, ms]) => `${name} ${Math.round(ms)}`).join(", ")}`);
      const memory = await rendererMemory(page);
      console.log(`# ${place}: the page's process has ${Math.round(memory / 1e6)} MB (its proportional share, PSS)`);
      assert.ok(memory < MOST_BYTES, `the page's process has ${memory} bytes`);
      // A node and its layout take less than 2 kB.
      assert.ok(of("JSHeapTotalSize") + of("Nodes") * 2000 < MOST_BYTES, `${of("JSHeapTotalSize")} bytes and ${of("Nodes")} nodes`);
      const slow = [...worst].filter(([, ms]) => ms > MOST_MS * SLOWER);
      assert.deepEqual(slow, [], `longer than ${MOST_MS * SLOWER} ms`);
    }, {}, server);
  }
});

/**
 * The memory of the process that the page runs in, as the kernel shares it out (PSS): scripts, documents, pictures and
 * the browser's own part of it. Other processes of the browser serve all its pages.
 *
 * @param {import("playwright-core").Page} page
 */
async function rendererMemory(page) {
  const browser = page.context().browser();
  assert.ok(browser);
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const sizes = processInfo.filter(({ type }) => type === "renderer").map(({ id }) => {
    const rollup = fs.readFileSync(`/proc/${id}/smaps_rollup`, "utf8");
    return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) * 1024;
  });
  await session.detach();
  // The page's is the one that holds most; others wait for a page to come.
  const most = Math.max(0, ...sizes);
  assert.ok(most > 0, "no renderer was measured");
  return most;
}

/** How much slower than a person's machine this one is: others use it, too. */
const SLOWER = Number(process.env.CONDUCTOR_UI_SLOWER ?? 1);
