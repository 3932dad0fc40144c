/** The page as static files: the compose file's `frontend`, its web server started by hand on loopback. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { around } from "../lib/around.js";
import { open } from "../lib/browser.js";
import { DONE, freePort, until, WORKSPACE } from "../lib/sandbox.js";

const UI = path.join(WORKSPACE, "run-agent/ui");
const NGINX = ["/usr/sbin/nginx", "/usr/bin/nginx"].find((path) => fs.existsSync(path));

describe("behind a web server of its own", { skip: NGINX ? false : "no nginx" }, () => {
  const all = around();
  /** @type {import("node:child_process").ChildProcess | undefined} */
  let nginx;
  let url = "";

  before(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const folder = path.join(all.sandbox.folder, "nginx");
    fs.mkdirSync(folder);
    /** @type {Record<string, string>} */
    const values = { FRONTEND_LISTEN: `127.0.0.1:${port}`, FRONTEND_FILES: UI, CONDUCTOR_SERVER: all.server.address };
    const server = fs.readFileSync(path.join(UI, "frontend.conf.template"), "utf8").replace(/\$\{(\w+)\}/g, (_, name) => values[name] ?? "");
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`).join(" ");
    fs.writeFileSync(`${folder}/nginx.conf`, `${process.getuid?.() === 0 ? "user root;" : ""} worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;\nevents {}\nhttp { include /etc/nginx/mime.types; access_log off; ${paths}\n${server} }\n`);
    nginx = spawn(/** @type {string} */ (NGINX), ["-c", `${folder}/nginx.conf`, "-e", `${folder}/error.log`, "-g", "daemon off;"], { env: all.sandbox.env, stdio: "inherit" });
    await until("nginx listens", () => fetch(url).then(() => true, () => false));
  });
  after(() => nginx?.kill());

  test("it works, with its streams, its token and its policy", async () => {
    const { page, witness, close } = await open(all.browser, url);
    await page.goto(`${url}/#token=${all.server.token}`);
    await page.locator(".connection").getByText("live").waitFor({ state: "attached" });
    await page.getByRole("button", { name: "Start a task" }).first().click();
    const start = page.getByRole("dialog", { name: "Start a task" });
    const gate = `${all.sandbox.folder}/gate`;
    await start.getByLabel("Project").fill("p");
    await start.getByLabel("Agent").fill("shell");
    await start.getByLabel(/^Task id/).fill("t");
    await start.getByLabel("Prompt").fill(`echo 'the first line'; until [ -e ${gate} ]; do sleep 0.05; done; echo 'the second line'; ${DONE}`);
    await start.getByRole("button", { name: "Start" }).click();
    await page.getByRole("heading", { level: 1, name: "t" }).waitFor();
    await page.getByRole("link", { name: "Latest run" }).click();
    await page.getByRole("log").getByText("the first line").waitFor();
    // Both come by the stream: it is not held back.
    fs.writeFileSync(gate, "");
    await page.getByRole("log").getByText("the second line").waitFor();
    await page.locator(".title").getByText("completed").waitFor();
    await page.goto(`${url}/ui/#/projects/p/tasks/t/bus`);
    await page.getByLabel("Message", { exact: true }).fill("Through the proxy.");
    await page.getByLabel("Message", { exact: true }).press("Control+Enter");
    await page.getByRole("article").getByText("Through the proxy.").waitFor();
    witness.check();
    assert.ok(witness.requests.every((asked) => asked.startsWith(url)));
    await close();
  });

  test("its policy is the server's, and only the page's files are served", async () => {
    const [here, there] = await Promise.all([fetch(`${url}/ui/`), fetch(`${all.server.url}/ui/`)]);
    for (const name of ["content-security-policy", "referrer-policy", "cross-origin-opener-policy", "cross-origin-resource-policy"]) assert.equal(here.headers.get(name), there.headers.get(name), name);
    const script = await fetch(`${url}/ui/app/main.js`);
    assert.match(script.headers.get("content-type") ?? "", /javascript/);
    assert.equal(script.headers.get("content-security-policy"), there.headers.get("content-security-policy"));
    for (const name of ["tsconfig.json", "frontend.conf.template", "../Cargo.toml", "..%2fCargo.toml", "app/", "app/..%2f..%2fCargo.toml", ".prettierrc.json"]) assert.equal((await fetch(`${url}/ui/${name}`)).status, 404, name);
  });
});
