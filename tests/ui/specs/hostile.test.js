/** What agents write is hostile: nothing of it runs, loads, or leaves its box. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { around } from "../lib/around.js";
import { open } from "../lib/browser.js";
import { hostile, IDS, PAYLOADS } from "../lib/hostile.js";
import { until } from "../lib/sandbox.js";

describe("hostile texts", () => {
  /** @type {Awaited<ReturnType<typeof hostile>>} */
  let places;
  const all = around(async (sandbox, server) => { places = await hostile(sandbox, server); });

  test("the witness sees what it is there for", async () => {
    const { page, witness, close } = await open(all.browser, all.server.url);
    await page.goto(`${all.server.url}/ui/`);
    await page.evaluate(() => {
      // As if the page had a hole: the policy stands behind it.
      for (const text of ["<img src=x onerror=pwned(1)>", "<script>pwned(1)</script>"]) {
        try { document.body.insertAdjacentHTML("beforeend", text); } catch { /* Trusted types refuse it. */ }
      }
      const button = document.createElement("div");
      try { button.setAttribute("onclick", "pwned(1)"); } catch { /* And this. */ }
      document.body.append(button);
      button.click();
      const image = document.createElement("img");
      image.src = "https://evil.test/pixel.png";
      document.body.append(image);
      try { setTimeout("pwned(1)"); } catch { /* And this. */ }
    });
    await until("violations are told", () => witness.violations.length >= 4);
    assert.deepEqual(witness.bad.filter((text) => text.startsWith("ran")), [], "nothing ran even so");
    await page.evaluate(() => /** @type {any} */ (globalThis).pwned("by hand"));
    await until("what runs is told", () => witness.bad.includes("ran: by hand"));
    await close();
  });

  /**
   * Looks for what no text may have become.
   *
   * @param {import("playwright-core").Page} page
   */
  function strays(page) {
    return page.evaluate(() => {
      const stage = /** @type {Element} */ (document.getElementById("page"));
      const known = new Set("a abbr article aside b blockquote button br circle code datalist dd del details dialog div dl dt em figure footer form g h1 h2 h3 h4 h5 h6 header hr img input kbd label li line main mark nav ol option p path pre rect section select small span strong sub summary sup svg table tbody td textarea th thead time title tr ul".split(" "));
      for (const never of ["img", "form", "title"]) known.delete(never);
      const found = [];
      for (const el of stage.querySelectorAll("*")) {
        if (!known.has(el.tagName.toLowerCase())) found.push(`<${el.tagName}>`);
        for (const { name, value } of el.attributes) {
          if (name.startsWith("on") || ["src", "srcset", "srcdoc", "action", "formaction", "ping", "background", "poster", "xlink:href"].includes(name)) found.push(`${name}=${value}`);
          if (name === "href" && !/^(#\/|https?:\/\/|mailto:)/.test(value)) found.push(`href=${value}`);
          if (name === "href" && /^https?:/.test(value) && !/noopener/.test(el.getAttribute("rel") ?? "")) found.push(`no rel: ${value}`);
          if (name === "id" && /xss|evil/.test(value)) found.push(`id=${value}`);
          if (name === "class" && !/^[\w -]*$/.test(value)) found.push(`class=${value}`);
          if (name === "style" && !/^((--[\w-]+|height|transform|width): [\w.,()%# -]*;\s*)*$/.test(value)) found.push(`style=${value}`);
        }
      }
      if (document.querySelectorAll("body > *").length > 3) found.push("something stands beside the page");
      if (document.head.querySelectorAll("base, meta[http-equiv=refresh], style").length > 0) found.push("something stands in the head");
      return found;
    });
  }

  /**
   * Texts that reach beyond the part of the page that is theirs.
   *
   * @param {import("playwright-core").Page} page
   */
  function overflows(page) {
    return page.evaluate(() => {
      const found = [];
      const main = /** @type {Element} */ (document.querySelector("main")).getBoundingClientRect();
      if (document.documentElement.scrollWidth > innerWidth) found.push(`the page is ${document.documentElement.scrollWidth} wide`);
      const walker = document.createTreeWalker(/** @type {Element} */ (document.querySelector("main")), NodeFilter.SHOW_TEXT);
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        if (!/xss-\d/.test(node.nodeValue ?? "")) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        const box = range.getBoundingClientRect();
        if (box.width === 0) continue;
        // Letters may be painted beyond the box of their line: something around them must cut that off.
        let clipped = false;
        let { right, left } = box;
        for (let el = node.parentElement; el && el !== document.body; el = el.parentElement) {
          const style = getComputedStyle(el);
          if (style.overflowX !== "visible" || /paint|strict|content/.test(style.contain) || style.contentVisibility === "auto") {
            clipped = true;
            const own = el.getBoundingClientRect();
            right = Math.min(right, own.right);
            left = Math.max(left, own.left);
          }
          if (el.tagName === "MAIN") break;
        }
        if (right > main.right + 1 || left < main.left - 1) found.push(`beyond the edge: ${node.nodeValue?.slice(0, 60)}`);
        if (!clipped) found.push(`nothing cuts off: <${node.parentElement?.tagName} class=${node.parentElement?.className}> ${node.nodeValue?.slice(0, 60)}`);
      }
      return [...new Set(found)].slice(0, 20);
    });
  }

  /**
   * How many of the payloads stand on the page as texts.
   *
   * @param {import("playwright-core").Page} page
   */
  async function shown(page) {
    const text = await page.evaluate(() => document.querySelector("main")?.textContent ?? "");
    return new Set(text.match(/xss-\d+/g) ?? []).size;
  }

  /**
   * @param {string} place
   * @param {number} least how many payloads must be seen there
   * @param {(page: import("playwright-core").Page) => Promise<void>} [more]
   */
  function harmless(place, least, more) {
    return all.at(place, async (page, witness) => {
      await until(`${place} shows ${least} payloads`, async () => (await shown(page)) >= least && (await page.locator("main h1").count()) > 0);
      await more?.(page);
      // A person moves over it, and the browser does what it was told to do when it is idle.
      const box = await page.locator("main").boundingBox();
      for (let step = 0; box && step < 12; step += 1) await page.mouse.move(box.x + (box.width * step) / 12, box.y + (box.height * step) / 12);
      await page.evaluate(() => new Promise((resolve) => requestIdleCallback(resolve)));
      assert.deepEqual(await strays(page), [], place);
      assert.deepEqual(await overflows(page), [], place);
      assert.ok(witness.requests.every((url) => url.startsWith(all.server.url)), "requests go home alone");
      assert.equal(await page.evaluate(() => document.querySelectorAll("iframe").length + frames.length), 0);
    });
  }

  test("in a task's prompt, limits, variables, check and reasons", async () => {
    await harmless(places.task, PAYLOADS.length - 2);
    await harmless("projects/evil/tasks/checked", 1);
  });
  test("in the Markdown of a result and of a prompt", async () => {
    await harmless(`${places.run}?tab=result`, PAYLOADS.length - 2);
    await harmless(`${places.run}?tab=prompt`, PAYLOADS.length - 2);
  });
  test("in a run's record, agent, model, errors and unknown fields", () => harmless(`${places.run}?tab=record`, 6));
  test("in what a run prints, with the controls of terminals", async () => {
    const whole = async (/** @type {import("playwright-core").Page} */ page) => {
      const seen = new Set();
      for (let times = 0; times < 20; times += 1) {
        // A key is heard, the page is drawn, and then its log, each in a frame of its own.
        await page.evaluate(async () => { for (let frames = 0; frames < 4; frames += 1) await new Promise(requestAnimationFrame); });
        for (const found of (await page.getByRole("log").innerText()).match(/xss-\d+/g) ?? []) seen.add(found);
        assert.deepEqual(await strays(page), []);
        await page.keyboard.press("PageUp");
      }
      assert.ok(seen.size > PAYLOADS.length - 4, `${seen.size} of ${PAYLOADS.length} were seen`);
    };
    await harmless(places.run, 10, async (page) => { await page.keyboard.press("G"); await whole(page); });
    await harmless(`${places.run}?tab=stderr`, 10);
    const { task } = await all.server.ask("/api/v1/views/projects/evil/tasks/lives");
    await harmless(`projects/evil/tasks/lives/runs/${task.latest.id}`, 10);
    await harmless(`projects/evil/tasks/lives/runs/${task.latest.id}?tab=processes`, 10);
  });
  test("in all that a log is searched for", () =>
    harmless(places.run, 5, async (page) => {
      for (const text of ["<img src=x", "pwned(", "\u001b[31m", "script>"]) {
        await page.getByRole("searchbox").fill(text);
        await page.keyboard.press("Enter");
        await page.getByRole("status").filter({ hasText: /of|not found/ }).waitFor();
        assert.deepEqual(await strays(page), []);
      }
    }));
  test("in messages: bodies, types, runs, parents, links and named texts", async () => {
    const types = async (/** @type {import("playwright-core").Page} */ page) => {
      await page.getByRole("searchbox").fill("<img");
      assert.deepEqual(await strays(page), []);
      await page.getByRole("searchbox").fill("");
      await page.getByRole("button", { name: "Answer" }).last().click();
      await page.getByLabel("No reply").waitFor();
    };
    await harmless("projects/evil/bus", PAYLOADS.length - 5, types);
    await harmless(`${places.task}/bus`, PAYLOADS.length - 5, types);
  });
  test("in the lists of tasks and projects, and in ids that objects have, too", async () => {
    await harmless("projects/evil", 1);
    await harmless("", 0);
    for (const id of IDS) {
      await all.at(`projects/${id}`, async (page) => {
        await page.getByRole("table").getByRole("link").first().click();
        await page.getByRole("heading", { level: 1, name: id }).waitFor();
        assert.deepEqual(await strays(page), []);
      });
    }
  });
  test("in the names of files that the doctor tells of", () => harmless("health", 20));
  test("in usage, by agents of any name", () => harmless("usage", 1));
  test("in the dialogs that quote it", () =>
    harmless("projects/evil/tasks/lives", 1, async (page) => {
      await page.getByRole("button", { name: "Answer" }).click();
      await page.getByRole("dialog").getByText(/xss-5/).waitFor();
      assert.deepEqual(await strays(page), []);
      await page.keyboard.press("Escape");
    }));
  test("in the address", async () => {
    for (const text of ["projects/<img src=x onerror=pwned(1)>", "projects/evil?q=<script>pwned(1)</script>&state=\"><svg onload=pwned(1)>&sort=constructor", "constructor", "projects/evil/bus?type=<img src=x onerror=pwned(1)>&run=constructor", `${places.run}?tab=constructor`, "projects/__proto__/tasks/constructor"]) {
      await all.at(text.replaceAll(/[<>" ]/g, encodeURIComponent), async (page) => {
        await page.locator("main h1").waitFor();
        assert.deepEqual(await strays(page), [], text);
      });
    }
  });
});
