/** The exchange of the server's program, asked for on the page and carried out by the real server. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { describe, test } from "node:test";
import { around } from "../lib/around.js";
import { DONE, freePort, PROGRAMS } from "../lib/sandbox.js";

describe("an update of the server", () => {
  const all = around();

  /**
   * The program under test at a path, which says that it is of another version as long as its own.
   *
   * @param {string} path @param {string} own @param {string} version
   */
  function program(path, own, version) {
    execFileSync("strip", ["-o", `${path}.draft`, `${PROGRAMS}/run-agent`]);
    const bytes = fs.readFileSync(`${path}.draft`, "latin1");
    assert.equal(own.length, version.length);
    fs.rmSync(`${path}.draft`);
    fs.writeFileSync(path, Buffer.from(bytes.replaceAll(own, version), "latin1"), { mode: 0o755 });
  }

  test("is requested, deferred behind its gate, cancelled, requested again, and carried out", async () => {
    const { sandbox } = all;
    const own = (await sandbox.cli("--version")).trim().split(" ").at(-1) ?? "";
    const newer = own.replace(/.$/, (last) => (last === "9" ? "8" : "9"));
    for (const name of ["bin", "new"]) fs.mkdirSync(`${sandbox.folder}/${name}`);
    // What is exchanged is a copy: the other tests use the program itself.
    program(`${sandbox.folder}/bin/run-agent`, own, own);
    program(`${sandbox.folder}/new/run-agent`, own, newer);
    await all.server.kill();
    const server = await sandbox.serve({ port: await freePort(), program: `${sandbox.folder}/bin/run-agent` });
    const gate = `${sandbox.folder}/gate`;
    await server.start("p", "long", `until [ -e ${gate} ]; do sleep 0.05; done; ${DONE}`);
    await server.stands("p", "long", "running");
    await all.at("health", async (page) => {
      const update = page.getByRole("region", { name: "Update of the server" });
      const request = async () => {
        await update.getByRole("button", { name: "Request an update" }).click();
        const dialog = page.getByRole("dialog", { name: "Update the server" });
        await dialog.getByText(/once 1 root run has ended/).waitFor();
        await dialog.getByLabel("Path of the new program on the server").fill(`${sandbox.folder}/new/run-agent`);
        await dialog.getByRole("button", { name: "Request the update" }).click();
        await update.getByText("No new root run starts").waitFor();
        await update.getByText("deferred").waitFor();
      };
      await request();
      // The gate is shut for everybody.
      await assert.rejects(server.start("p", "too-late", DONE), /409/);
      await update.getByRole("button", { name: "Cancel the update" }).click();
      const cancel = page.getByRole("dialog", { name: "Cancel the update?" });
      await cancel.getByLabel("Why").fill("not tonight");
      await cancel.getByRole("button", { name: "Cancel the update" }).click();
      await update.getByText(/not tonight/).waitFor();
      assert.match(fs.readFileSync(`${sandbox.root}/.conductor/self-update.yaml`, "utf8"), /not tonight/);

      await request();
      fs.writeFileSync(gate, "");
      // The page learns by itself that the run ended, the program was exchanged, and which one serves now.
      await update.getByText("Installed").waitFor();
      await update.getByText(newer, { exact: true }).waitFor();
      await page.locator(".summary").getByText(newer).waitFor();
      await page.locator(".connection").getByText("live").waitFor({ state: "attached" });
      assert.equal((await server.ask("/api/v1/version")).version, newer);
      await server.stands("p", "long", "done");
    }, {}, server);
  });
});
