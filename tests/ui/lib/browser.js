/**
 * The browser, and pages of it that witness what happens in them: errors, violations of the policy, requests,
 * and scripts that ran without being the page's.
 */

import assert from "node:assert/strict";
import fs from "node:fs";
import { chromium } from "playwright-core";
import { LONG } from "./sandbox.js";

const PROGRAMS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("playwright-core").Browser} Browser */

/** @returns {Promise<Browser>} */
export function launch() {
  const program = process.env.CHROMIUM ?? PROGRAMS.find((path) => fs.existsSync(path));
  if (!program) throw new Error(`no Chromium: neither $CHROMIUM nor any of ${PROGRAMS.join(", ")}`);
  return chromium.launch({
    executablePath: program,
    timeout: LONG,
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--enable-precise-memory-info", "--js-flags=--expose-gc"],
  });
}

/** What a page did, as far as it can be seen from outside. */
export class Witness {
  constructor() {
    /** @type {string[]} What ran or loaded and should not have. */
    this.bad = [];
    /** @type {string[]} */
    this.requests = [];
    /** @type {string[]} */
    this.violations = [];
    /** Errors that a test expects. @type {RegExp[]} */
    this.expected = [];
  }

  /** @param {string} text */
  note(text) {
    if (!this.expected.some((known) => known.test(text))) this.bad.push(text);
  }

  /** Fails where something happened that should not have. */
  check() {
    assert.deepEqual({ bad: this.bad, violations: this.violations }, { bad: [], violations: [] });
  }
}

/**
 * A page of its own context, which forgets everything when it is closed.
 *
 * @param {Browser} browser
 * @param {string} origin whose requests alone are right
 * @param {import("playwright-core").BrowserContextOptions} [options]
 */
export async function open(browser, origin, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", timezoneId: "Europe/Berlin", colorScheme: "light", reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(LONG);
  if (process.env.CONDUCTOR_UI) await fromFolder(context, process.env.CONDUCTOR_UI);
  const witness = new Witness();
  await context.exposeBinding("__violation", (_, text) => { witness.violations.push(text); });
  await context.exposeBinding("__pwned", (_, text) => { witness.bad.push(`ran: ${text}`); });
  await context.addInitScript(() => {
    const global = /** @type {any} */ (globalThis);
    addEventListener("securitypolicyviolation", (event) => global.__violation(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
    // The payloads call this one.
    Object.defineProperty(globalThis, "pwned", { value: (/** @type {unknown} */ how) => global.__pwned(String(how)) });
  });
  const page = await context.newPage();
  page.on("request", (request) => {
    witness.requests.push(request.url());
    const url = request.url();
    if (new URL(url).origin !== origin && !url.startsWith("blob:null")) witness.note(`asked for ${url}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400 && new URL(response.url()).pathname.startsWith("/ui/")) witness.note(`${response.status()} for ${response.url()}`);
  });
  page.on("dialog", (dialog) => { witness.note(`dialog ${dialog.message()}`); void dialog.dismiss(); });
  page.on("pageerror", (error) => witness.note(`error ${error.message}`));
  page.on("console", (message) => {
    // The browser itself tells of answers that are no success.
    if (message.type() === "error" && !/^Failed to load resource/.test(message.text())) witness.note(`console ${message.text()}`);
  });
  page.on("popup", (popup) => witness.note(`popup ${popup.url()}`));
  return { page, witness, context, close: () => context.close() };
}

/** The words that stand on the page now. @param {Page} page */
export function words(page) {
  return page.locator("main").innerText();
}

/**
 * Serves the page's own files from a folder instead of from the program, while one works on them:
 * `CONDUCTOR_UI=run-agent/ui node --test ...` needs no build in between.
 *
 * @param {import("playwright-core").BrowserContext} context
 * @param {string} folder
 */
async function fromFolder(context, folder) {
  await context.route(/\/ui\//, async (route) => {
    const url = new URL(route.request().url());
    const name = url.pathname.replace(/^\/ui\/(v-[0-9a-f]+\/)?/, "") || "index.html";
    if (!fs.existsSync(`${folder}/${name}`)) return route.fallback();
    // Under the policy that the program sends with its own files.
    const { headers } = await fetch(`${url.origin}/ui/`);
    const policy = headers.get("content-security-policy");
    await route.fulfill({ path: `${folder}/${name}`, ...(policy ? { headers: { "content-security-policy": policy } } : {}) });
  });
}
