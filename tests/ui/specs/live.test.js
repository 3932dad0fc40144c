/** The one connection of a page: cut and gone on with, without loss or repeat; closed while nobody looks. */

import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import { describe, test } from "node:test";
import { around } from "../lib/around.js";
import { open } from "../lib/browser.js";
import { DONE, freePort, until } from "../lib/sandbox.js";

/** Passes on what comes, until it is told to cut; counts the streams that are open. */
class Proxy {
  /** @param {number} to */
  static async start(to) {
    const proxy = new Proxy(to);
    await new Promise((resolve) => proxy.server.listen(proxy.port = 0, "127.0.0.1", () => resolve(undefined)));
    proxy.port = /** @type {net.AddressInfo} */ (proxy.server.address()).port;
    return proxy;
  }

  /** @param {number} to */
  constructor(to) {
    this.to = to;
    this.port = 0;
    /** @type {Set<net.Socket>} */
    this.sockets = new Set();
    /** @type {Set<net.Socket>} */
    this.streams = new Set();
    this.opened = 0;
    /** The most at a time. */
    this.most = 0;
    this.refuses = false;
    /** After so many bytes a stream is cut, wherever that is. @type {(() => number) | undefined} */
    this.cutsAfter = undefined;
    this.server = net.createServer((client) => this.take(client));
  }

  /** @param {net.Socket} client */
  take(client) {
    if (this.refuses) return void client.destroy();
    const server = net.connect(this.to, "127.0.0.1");
    let left = Infinity;
    this.sockets.add(client);
    client.on("data", (data) => {
      // A connection may be used for several requests, of which the stream is the last.
      if (data.includes("GET /api/v1/events")) {
        this.streams.add(client);
        this.opened += 1;
        this.most = Math.max(this.most, this.streams.size);
        left = this.cutsAfter?.() ?? Infinity;
      }
      server.write(data);
    });
    server.on("data", (data) => {
      if (data.length > left) {
        client.write(data.subarray(0, left));
        client.end();
        server.destroy();
        return;
      }
      left -= data.length;
      client.write(data);
    });
    const over = () => {
      this.sockets.delete(client);
      this.streams.delete(client);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) socket.on("close", over).on("error", over);
  }

  cut() {
    for (const socket of this.sockets) socket.destroy();
  }

  close() {
    this.refuses = true;
    this.cut();
    this.server.close();
  }
}

describe("the live connection", () => {
  const all = around(async (sandbox, server) => { for (const task of ["t", "lost", "hidden", "killed"]) await server.start("p", task, DONE); });

  /** The numbers that the messages on the page tell, in their order. @param {import("playwright-core").Page} page */
  async function numbers(page) {
    const texts = await page.getByRole("article").allTextContents();
    return texts.flatMap((text) => (/number (\d+)/.exec(text)?.[1] ?? []).toString().split(",").filter(Boolean).map(Number));
  }

  /** @param {(page: import("playwright-core").Page, proxy: Proxy, witness: import("../lib/browser.js").Witness, context: import("playwright-core").BrowserContext) => Promise<void>} what @param {string} place */
  async function through(place, what) {
    const proxy = await Proxy.start(all.server.port);
    const { page, witness, context, close } = await open(all.browser, `http://127.0.0.1:${proxy.port}`);
    // What is cut is told by the browser; that is what is tested.
    witness.expected.push(/ERR_|Failed to fetch|network/i);
    try {
      await page.goto(`http://127.0.0.1:${proxy.port}/ui/#/${place}?token=${all.server.token}`);
      await page.locator(".connection").getByText("live").waitFor({ state: "attached" });
      await what(page, proxy, witness, context);
      witness.check();
    } finally {
      await close();
      proxy.close();
    }
  }

  test("goes on where it was cut: each message is shown once, in order", () =>
    through("projects/p/tasks/t/bus", async (page, proxy) => {
      let next = 0;
      // Each connection carries some bytes more than the one before, and ends within an event or between two.
      proxy.cutsAfter = () => 700 + 331 * proxy.opened;
      proxy.cut();
      while (proxy.opened < 9) {
        await all.server.say("p", "t", { type: "FACT", body: `number ${next++}` });
        assert.ok(next < 2000, `it was cut ${proxy.opened} times`);
      }
      proxy.cutsAfter = undefined;
      const expected = Array.from({ length: next }, (_, at) => at);
      await until("all are there", async () => (await numbers(page)).length >= next);
      assert.deepEqual(await numbers(page), expected);
      assert.equal(proxy.most, 1);
    }));

  test("says when it is lost, how old what one sees is, and when it is back", () =>
    through("projects/p/tasks/lost/bus", async (page, proxy) => {
      const before = (await numbers(page)).length;
      proxy.refuses = true;
      proxy.cut();
      await page.getByRole("alert").getByText(/connection was lost .*may be old/).waitFor();
      await page.locator(".connection").getByText("not connected").waitFor({ state: "attached" });
      await all.server.say("p", "lost", { type: "FACT", body: `number ${before}` });
      proxy.refuses = false;
      await page.getByRole("button", { name: "Connect now" }).click();
      await page.getByRole("alert").waitFor({ state: "detached" });
      await until("what was missed is there", async () => (await numbers(page)).length === before + 1);
    }));

  test("is one for each page, whatever is looked at", () =>
    through("", async (page, proxy) => {
      for (const place of ["projects/p", "projects/p/tasks/t", "projects/p/tasks/t/bus", "projects/p/bus", "usage", "health", ""]) {
        await page.evaluate((hash) => { location.hash = hash; }, `#/${place}`);
        await page.locator("main h1").waitFor();
        await until("it is live", async () => proxy.streams.size === 1);
      }
      assert.ok(proxy.most <= 2, `at most one and the one that it takes the place of: ${proxy.most}`);
      await until("one is left", () => proxy.streams.size === 1);
    }));

  test("is closed while nobody can see the page, and the page does nothing then", () =>
    through("projects/p/tasks/hidden/bus", async (page, proxy, witness) => {
      const hide = (/** @type {boolean} */ hidden) =>
        page.evaluate((hidden) => {
          Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
          Object.defineProperty(document, "visibilityState", { configurable: true, get: () => (hidden ? "hidden" : "visible") });
          document.dispatchEvent(new Event("visibilitychange"));
        }, hidden);
      await until("it is open", () => proxy.streams.size === 1);
      await hide(true);
      await until("it is closed", () => proxy.streams.size === 0);
      const asked = witness.requests.length;
      const before = (await numbers(page)).length;
      for (let count = 0; count < 3; count += 1) await all.server.say("p", "hidden", { type: "FACT", body: `number ${before + count}` });
      // Longer than any of its own clocks takes.
      await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 6500)));
      assert.equal(witness.requests.length, asked);
      assert.equal(proxy.streams.size, 0);
      await hide(false);
      await until("it caught up", async () => (await numbers(page)).length === before + 3);
      assert.deepEqual(await numbers(page), Array.from({ length: before + 3 }, (_, at) => at));
    }));

  test("shows what no run tells of: tasks made, done and deleted by hand, an account on hold", async () => {
    const { root } = all.sandbox;
    await Promise.all([
      through("projects/p", async (page) => {
        await page.getByRole("table").getByText("killed").waitFor();
        fs.mkdirSync(`${root}/p/by-hand`);
        fs.writeFileSync(`${root}/p/by-hand/TASK.md`, "by hand");
        const row = page.getByRole("row").filter({ hasText: "by-hand" });
        await row.waitFor();
        fs.writeFileSync(`${root}/p/by-hand/DONE`, "");
        await row.getByText("done").waitFor();
        fs.rmSync(`${root}/p/by-hand`, { recursive: true });
        await row.waitFor({ state: "detached" });
      }),
      through("", async (page) => {
        await page.locator("main").getByRole("link", { name: "p", exact: true }).waitFor();
        fs.mkdirSync(`${root}/made-by-hand/first`, { recursive: true });
        await page.locator("main").getByRole("link", { name: "made-by-hand" }).waitFor();
        fs.rmSync(`${root}/made-by-hand`, { recursive: true });
        await page.locator("main").getByRole("link", { name: "made-by-hand" }).waitFor({ state: "detached" });
      }),
      through("health", async (page, _, witness) => {
        await page.getByRole("heading", { name: "Health" }).waitFor();
        const asked = () => witness.requests.filter((url) => url.endsWith("/views/health")).length;
        await until("it was read", () => asked() > 0);
        const before = asked();
        fs.mkdirSync(`${root}/.conductor/holds`, { recursive: true });
        fs.writeFileSync(`${root}/.conductor/holds/nobody`, "");
        await until("it is read again", () => asked() > before);
        fs.rmSync(`${root}/.conductor/holds/nobody`);
      }),
    ]);
  });

  test("asks for nothing while nothing happens", async () => {
    const places = ["", "projects/p", "projects/p/tasks/t", "projects/p/tasks/t/bus", "usage"];
    await Promise.all(places.map((place) => through(place, async (page, _, witness) => {
      await page.locator("main h1").waitFor();
      const api = () => witness.requests.filter((url) => url.includes("/api/")).map((url) => new URL(url).pathname);
      let asked = -1;
      // What the page reads at its beginning follows one upon the other.
      await until("it has all", async () => {
        const now = api().length;
        await new Promise((resolve) => setTimeout(resolve, 2500));
        const rests = asked === now;
        asked = now;
        return rests;
      });
      // Longer than any clock of these views.
      await new Promise((resolve) => setTimeout(resolve, 16_000));
      assert.deepEqual(api().slice(asked), [], place);
      // It asked for all that it shows, the projects beside each view among it.
      assert.equal(await page.getByRole("navigation", { name: "Projects" }).getByRole("link", { name: "p", exact: true }).count(), 1, place);
    })));
  });

  test("outlives the server: killed and started again, nothing is lost or told twice", async () => {
    const server = await all.sandbox.serve({ port: await freePort() });
    const { page, witness, close } = await open(all.browser, server.url);
    witness.expected.push(/ERR_|Failed to fetch|network/i);
    await page.goto(`${server.url}/ui/#/projects/p/tasks/killed/bus?token=${server.token}`);
    await page.locator(".connection").getByText("live").waitFor({ state: "attached" });
    let next = 0;
    for (let round = 0; round < 3; round += 1) {
      await server.kill();
      await all.sandbox.cli("bus", "post", "--project", "p", "--task", "killed", "--type", "FACT", "--body", `number ${next++}`);
      await page.locator(".connection").getByText("not connected").waitFor({ state: "attached" });
      const again = await all.sandbox.serve({ port: server.port });
      await all.sandbox.cli("bus", "post", "--project", "p", "--task", "killed", "--type", "FACT", "--body", `number ${next++}`);
      await until("all is there", async () => (await numbers(page)).length === next);
      server.child = again.child;
    }
    assert.deepEqual(await numbers(page), Array.from({ length: next }, (_, at) => at));
    await close();
  });

  test("a log that grows meanwhile is shown as it is", async () => {
    const gate = `${all.sandbox.folder}/log-gate`;
    const { run_id: run } = await all.server.start("p", "grows", `echo 'line 1'; until [ -e ${gate} ]; do sleep 0.05; done; seq -f 'line %g' 2 500; sleep 3600`);
    await through(`projects/p/tasks/grows/runs/${run}`, async (page, proxy) => {
      await page.getByRole("log").getByText("line 1", { exact: true }).waitFor();
      proxy.refuses = true;
      proxy.cut();
      fs.writeFileSync(gate, "");
      await page.locator(".connection").getByText("not connected").waitFor({ state: "attached" });
      proxy.refuses = false;
      await page.getByRole("log").getByText("line 500", { exact: true }).waitFor();
    });
  });
});
