/** How each view looks: contrast, labels and roles as axe-core wants them, in both themes and on a phone. */

import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import { describe, test } from "node:test";
import { around } from "../lib/around.js";
import { night } from "../lib/night.js";

const AXE = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const THEMES = { light: {}, dark: { colorScheme: /** @type {const} */ ("dark") }, phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } };

describe("axe-core finds nothing serious", () => {
  const all = around(night);

  /** @returns {Promise<Record<string, string>>} */
  async function places() {
    const run = async (/** @type {string} */ task) => `projects/shop/tasks/${task}/runs/${(await all.server.ask(`/api/v1/views/projects/shop/tasks/${task}`)).task.latest.id}`;
    const [login, cart] = [await run("login"), await run("task-20261127-211500-cart-totals")];
    return {
      projects: "", tasks: "projects/shop", filtered: "projects/shop?q=none", task: "projects/shop/tasks/login", question: "projects/shop/tasks/payments", tree: "projects/shop/tasks/split",
      run: cart, result: `${login}?tab=result`, prompt: `${login}?tab=prompt`, record: `${login}?tab=record`, processes: `${cart}?tab=processes`,
      bus: "projects/shop/bus", "task-bus": "projects/shop/tasks/login/bus", usage: "usage", health: "health", nothing: "none",
    };
  }

  /** @param {import("playwright-core").Page} page @param {string} name */
  async function examine(page, name) {
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => /** @type {any} */ (globalThis).axe.run(document, { resultTypes: ["violations"] }));
    const bad = violations.filter((/** @type {any} */ { impact }) => impact === "serious" || impact === "critical");
    return bad.flatMap((/** @type {any} */ { id, impact, nodes }) => nodes.slice(0, 4).map((/** @type {any} */ node) => `${name}: ${impact} ${id}: ${node.html.slice(0, 160)} ${(node.any[0] ?? node.all[0] ?? node.none[0])?.message ?? ""}`));
  }

  for (const [theme, options] of Object.entries(THEMES)) {
    test(theme, async () => {
      /** @type {string[]} */
      const found = [];
      for (const [name, place] of Object.entries(await places())) {
        await all.at(place, async (page) => {
          await page.locator("main h1").waitFor();
          await page.getByText("Reading…").first().waitFor({ state: "detached" });
          found.push(...(await examine(page, name)));
          if (process.env.CONDUCTOR_UI_SHOTS) await page.screenshot({ path: `${process.env.CONDUCTOR_UI_SHOTS}/${name}-${theme}.png` });
          if (name !== "projects" && name !== "question" && name !== "tasks") return;
          // What comes over it.
          if (name === "projects") await page.getByRole("button", { name: "Start a task" }).click();
          else if (name === "question") await page.getByRole("button", { name: "Answer" }).click();
          else await page.keyboard.press("?");
          await page.getByRole("dialog").waitFor();
          found.push(...(await examine(page, `${name}, dialog`)));
        }, options);
      }
      assert.deepEqual([...new Set(found)], []);
    });
  }
});
