/** The token: from the link, else asked for once, and kept nowhere but in memory. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { around } from "../lib/around.js";
import { open } from "../lib/browser.js";
import { until } from "../lib/sandbox.js";

/** All that a page can leave behind. @param {import("playwright-core").Page} page */
function left(page) {
  return page.evaluate(async () => {
    const caches_ = "caches" in globalThis ? await caches.keys() : [];
    const databases = (await indexedDB.databases?.()) ?? [];
    return JSON.stringify({ local: { ...localStorage }, session: { ...sessionStorage }, cookie: document.cookie, name: window.name, state: history.state, href: location.href, referrer: document.referrer, caches: caches_, databases, html: document.documentElement.outerHTML });
  });
}

describe("the token, where reading needs it, too", () => {
  const all = around(undefined, { auth: "all" });

  test("comes from the link's fragment, goes from the address, and is kept nowhere", async () => {
    const { page, witness, context, close } = await open(all.browser, all.server.url);
    const { url, token } = all.server;
    assert.ok(token.length >= 32);
    await page.goto(`${url}/ui/#token=${token}`);
    await page.getByText("No project yet").waitFor();
    await page.waitForURL((url) => !url.href.includes("token"));
    assert.equal((await left(page)).includes(token), false);
    // Neither is it sent in an address, nor stands it in the history.
    assert.deepEqual(witness.requests.filter((url) => url.includes(token)), []);
    const session = await context.newCDPSession(page);
    const { entries } = await session.send("Page.getNavigationHistory");
    assert.deepEqual(entries.filter(({ url, userTypedURL }) => url.includes(token)), []);
    assert.ok(entries.length >= 1);
    // It lives as long as the page.
    await page.getByRole("link", { name: "Health" }).click();
    await page.getByText("everything wants the token").waitFor();
    await page.reload();
    await page.getByRole("dialog", { name: "The server wants its token" }).waitFor();
    witness.check();
    await close();
  });

  test("of a deep link leads to its place", async () => {
    const { page, witness, close } = await open(all.browser, all.server.url);
    await page.goto(`${all.server.url}/ui/#/health?token=${all.server.token}`);
    await page.getByText("everything wants the token").waitFor();
    await page.waitForURL(/#\/health$/);
    witness.check();
    await close();
  });

  test("is asked for once, however much needs it; a wrong one is said to be wrong", async () => {
    const { page, witness, close } = await open(all.browser, all.server.url);
    await page.goto(`${all.server.url}/ui/#/health`);
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    assert.equal(await page.getByRole("dialog").count(), 1);
    const field = dialog.locator("input[name=token]");
    assert.equal(await field.getAttribute("type"), "password");
    assert.equal(await field.getAttribute("autocomplete"), "off");
    await field.fill("not-the-token");
    const before = witness.requests.length;
    await dialog.getByRole("button", { name: "Use it" }).click();
    await until("it was tried", () => witness.requests.length > before);
    await dialog.getByText("not this server's token").waitFor();
    assert.equal(await dialog.count(), 1);
    await field.fill(all.server.token);
    await dialog.getByRole("button", { name: "Use it" }).click();
    await page.getByText("everything wants the token").waitFor();
    await dialog.waitFor({ state: "detached" });
    await page.getByText("live", { exact: true }).waitFor();
    assert.equal((await left(page)).includes(all.server.token), false);
    witness.check();
    await close();
  });

  test("that is mangled in the link, or cannot be one, breaks nothing", async () => {
    for (const text of ["%", "%E0%A4%A", "", "%D0%BA%D0%BB%D1%8E%D1%87", "a%0d%0ab"]) {
      const { page, witness, close } = await open(all.browser, all.server.url);
      await page.goto(`${all.server.url}/ui/#token=${text}`);
      const dialog = page.getByRole("dialog", { name: "The server wants its token" });
      await dialog.locator("input[name=token]").fill("\u043a\u043b\u044e\u0447");
      await dialog.getByRole("button", { name: "Use it" }).click();
      await dialog.getByRole("alert").getByText("plain letters").waitFor();
      await dialog.locator("input[name=token]").fill(` ${all.server.token}\n`);
      await page.keyboard.press("Enter");
      await page.getByText("No project yet").waitFor();
      witness.check();
      await close();
    }
  });

  test("that is refused later is asked for again, and what was written stays", async () => {
    const { page, close } = await open(all.browser, all.server.url);
    await page.goto(`${all.server.url}/ui/#/?token=${"0".repeat(43)}`);
    await page.getByRole("dialog", { name: "The server wants its token" }).waitFor();
    await page.keyboard.press("Escape");
    // Turned away, the page says what it lacks and how to go on.
    await page.getByText(/token/).first().waitFor();
    await page.getByRole("button", { name: /Try again|Give the token/ }).first().click();
    await page.locator("input[name=token]").fill(all.server.token);
    await page.keyboard.press("Enter");
    await page.getByText("No project yet").waitFor();
    await close();
  });
});

describe("the token, where only changes need it", () => {
  const all = around();

  test("is asked for at the first change, which is then made", async () => {
    const { page, witness, close } = await open(all.browser, all.server.url);
    await page.goto(`${all.server.url}/ui/`);
    await page.getByText("No project yet").waitFor();
    await page.getByRole("button", { name: "Start a task" }).first().click();
    const start = page.getByRole("dialog", { name: "Start a task" });
    await start.getByLabel("Project").fill("p");
    await start.getByLabel("Agent").fill("shell");
    await start.getByLabel("Prompt").fill("sleep 3600");
    await start.getByRole("button", { name: "Start" }).click();
    await page.locator("input[name=token]").fill(all.server.token);
    await page.getByRole("button", { name: "Use it" }).click();
    await page.getByRole("heading", { level: 1, name: /^task-/ }).waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByRole("dialog", { name: "Stop this task?" }).getByLabel("Why").fill("seen");
    await page.keyboard.press("Enter");
    await page.locator(".title").getByText("stopped").waitFor();
    witness.check();
    await close();
  });
});
