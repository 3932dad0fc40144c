/**
 * A folder for one file of tests: a home, a root, agents that only these tests know, and servers of the root.
 *
 * What is started here carries a mark in its environment, and so does all that descends from it. In the end what
 * still lives by that mark is killed, and nothing else.
 */

import { execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const HERE = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
/** The workspace. */
export const WORKSPACE = path.resolve(HERE, "../../..");
/** Where the programs lie; whoever starts the tests has built them. */
export const PROGRAMS = process.env.CONDUCTOR_PROGRAMS ?? path.join(WORKSPACE, "target/debug");
const MARK = "UI_SANDBOX";

/** Longer than anything here takes; it ends a hang and measures nothing. */
export const LONG = Number(process.env.CONDUCTOR_UI_LONG ?? 60_000);

/** A script that is done at once. */
export const DONE = 'touch "$JRUN_TASK_FOLDER/DONE"';

/**
 * Waits until `look` gives something that is not false.
 *
 * @template T
 * @param {string} what
 * @param {() => Promise<T> | T} look
 * @returns {Promise<Exclude<T, false | undefined | null | 0 | "">>}
 */
export async function until(what, look) {
  const end = Date.now() + LONG;
  for (;;) {
    const found = await look();
    if (found) return /** @type {any} */ (found);
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    // What is waited for is a state of a program, which only looking at it tells.
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

export class Sandbox {
  constructor() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), "conductor-ui-"));
    this.root = path.join(this.folder, "root");
    this.agents = path.join(this.folder, "agents");
    this.mark = randomUUID();
    for (const name of ["home", "agents"]) fs.mkdirSync(path.join(this.folder, name));
    this.env = {
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(CONDUCTOR_|JRUN_|RUN_AGENT|NODE_)/.test(name))),
      HOME: path.join(this.folder, "home"),
      PATH: `${PROGRAMS}:${this.agents}:${process.env.PATH}`,
      CONDUCTOR_ROOT: this.root,
      TZ: "UTC",
      [MARK]: this.mark,
    };
    /** @type {Server[]} */
    this.servers = [];
    this.ended = () => this.end();
    // Also where the tests are ended before they are over.
    process.once("exit", this.ended);
    for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => process.exit(1));
  }

  /** A program that the tests' agents are. @param {string} name @param {string} script */
  agent(name, script) {
    fs.writeFileSync(path.join(this.agents, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }

  /** Runs `run-agent` to its end; its standard output. @param {...string} args */
  async cli(...args) {
    const { stdout } = await run(path.join(PROGRAMS, "run-agent"), args, { env: this.env, timeout: LONG, maxBuffer: 1 << 24 });
    return stdout;
  }

  /** Makes a big root with the test kit. @param {Record<string, number>} size */
  async makeRoot(size) {
    const options = Object.entries(size).map(([name, number]) => `${name}=${number}`);
    await run(path.join(PROGRAMS, "make-root"), [this.root, ...options], { env: this.env });
  }

  /** @param {{port?: number, auth?: string, args?: string[], program?: string}} [how] */
  async serve(how) {
    const server = await Server.start(this, how);
    this.servers.push(server);
    return server;
  }

  async close() {
    for (const server of this.servers) await server.kill();
    process.off("exit", this.ended);
    this.end();
  }

  end() {
    // What is killed is gone a moment later, and what was about to start a process may have done so meanwhile.
    const latest = Date.now() + LONG;
    for (let pids = this.living(); pids.length > 0 && Date.now() < latest; pids = this.living()) {
      for (const pid of pids) kill(pid);
      // At the exit of this process nothing else waits any more.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
    fs.rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** The processes that carry this sandbox's mark. */
  living() {
    const found = [];
    for (const name of fs.readdirSync("/proc")) {
      if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
      try {
        if (fs.readFileSync(`/proc/${name}/environ`, "latin1").split("\0").includes(`${MARK}=${this.mark}`)) found.push(Number(name));
      } catch {
        // It ended meanwhile, or is another's.
      }
    }
    return found;
  }
}

/** @param {number} pid */
function kill(pid) {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

/** A running `run-agent serve`. */
export class Server {
  /**
   * @param {Sandbox} sandbox
   * @param {{port?: number, auth?: string, args?: string[], program?: string}} [how]
   */
  static async start(sandbox, { port, auth = "token", args = [], program = path.join(PROGRAMS, "run-agent") } = {}) {
    const child = spawn(
      program,
      ["serve", "--port", String(port ?? 0), "--auth", auth, ...args],
      { env: { ...sandbox.env, CONDUCTOR_LOG: "error" }, stdio: ["ignore", "pipe", "pipe"] },
    );
    let out = "";
    let err = "";
    child.stderr.on("data", (data) => { err = (err + data).slice(-4000); });
    const address = await new Promise((resolve, reject) => {
      child.once("exit", (code) => reject(new Error(`serve ended with ${code}: ${err}`)));
      child.stdout.on("data", (data) => {
        out += data;
        const told = /listening on http:\/\/([^/\s]+)/.exec(out);
        if (told) resolve(told[1]);
      });
    });
    return new Server(sandbox, child, address, () => err);
  }

  /** @param {Sandbox} sandbox @param {import("node:child_process").ChildProcess} child @param {string} address @param {() => string} said */
  constructor(sandbox, child, address, said) {
    this.sandbox = sandbox;
    this.child = child;
    this.address = address;
    this.said = said;
    this.port = Number(address.split(":").at(-1));
    this.url = `http://${address}`;
    const file = path.join(sandbox.root, ".conductor/server.token");
    this.token = fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim() : "";
  }

  /** Ends it at once, as a crash would. */
  async kill() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGKILL");
    await ended;
  }

  /** @param {string} path @param {RequestInit} [init] */
  async ask(path, init = {}) {
    const response = await fetch(this.url + path, { ...init, headers: { Authorization: `Bearer ${this.token}`, "Content-Type": "application/json" } });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** @param {string} path @param {unknown} body */
  post(path, body) {
    return this.ask(path, { method: "POST", body: JSON.stringify(body) });
  }

  /**
   * Starts a task whose agent is a shell.
   *
   * @param {string} project
   * @param {string} task
   * @param {string} script
   * @param {Record<string, unknown>} [more]
   */
  start(project, task, script, more = {}) {
    return this.post("/api/v1/tasks", { project_id: project, task_id: task, agent_type: "shell", prompt: script, ...more });
  }

  /** Waits until a task stands like this. @param {string} project @param {string} task @param {...string} states */
  async stands(project, task, ...states) {
    let seen = "";
    try {
      return await until(`${project}/${task} is ${states}`, async () => {
        const view = await this.ask(`/api/v1/views/projects/${project}/tasks/${task}`).catch(() => undefined);
        seen = view?.task.state;
        return states.includes(seen) ? view : undefined;
      });
    } catch (error) {
      throw new Error(`${/** @type {Error} */ (error).message}; it is ${seen}`);
    }
  }

  /** @param {string} project @param {string | undefined} task @param {Record<string, unknown>} message */
  async say(project, task, message) {
    const place = task ? `/api/projects/${project}/tasks/${task}/messages` : `/api/projects/${project}/messages`;
    return (await this.post(place, message)).msg_id;
  }
}

/** @returns {Promise<number>} */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = /** @type {net.AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}
