/** What surrounds the tests of a file: one sandbox, one server, one browser. */

import { after, before } from "node:test";
import { launch, open } from "./browser.js";
import { Sandbox } from "./sandbox.js";

/**
 * @param {(sandbox: Sandbox, server: import("./sandbox.js").Server) => Promise<void>} [prepare]
 * @param {Parameters<Sandbox["serve"]>[0]} [how]
 */
export function around(prepare, how) {
  /** @type {{sandbox: Sandbox, server: import("./sandbox.js").Server, browser: import("playwright-core").Browser}} */
  const all = /** @type {any} */ ({});
  before(async () => {
    all.sandbox = new Sandbox();
    all.server = await all.sandbox.serve(how);
    await prepare?.(all.sandbox, all.server);
    all.browser = await launch();
  });
  after(async () => {
    await all.browser?.close();
    await all.sandbox?.close();
  });
  return {
    get sandbox() { return all.sandbox; },
    get server() { return all.server; },
    get browser() { return all.browser; },
    /**
     * A page at a place, which knows the token; `what` is done with it, and nothing bad may have happened then.
     *
     * @param {string} place
     * @param {(page: import("playwright-core").Page, witness: import("./browser.js").Witness) => Promise<void>} what
     * @param {import("playwright-core").BrowserContextOptions} [options]
     * @param {import("./sandbox.js").Server} [server] another one than that of all
     */
    async at(place, what, options, server = all.server) {
      const { browser } = all;
      const { page, witness, close } = await open(browser, server.url, options);
      try {
        const mark = place.includes("?") ? "&" : "?";
        await page.goto(`${server.url}/ui/#/${place}${mark}token=${server.token}`);
        await what(page, witness);
        witness.check();
      } finally {
        await close();
      }
    },
  };
}
