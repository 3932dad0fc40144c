/**
 * The tasks of a project, by id. What changes is read by itself: a project of 10,000 tasks is read once,
 * and then a few rows at a time.
 */

import { changed } from "../dom/frame.js";
import { get, path } from "../net/api.js";
import { mustLook } from "../net/following.js";
import { tellError } from "../parts/toast.js";

/** @typedef {import("../net/types.js").TaskRow} TaskRow */
/** @typedef {import("../net/types.js").State} State */

const SOON = 250;
/** Asks for no row in particular. */
const NONE = "none";
/** The most rows that are read by their ids; beyond these all are read. */
const FEW = 100;
/** Rows that may change without a run's doing are looked at so often. */
const ANYWAY = 8000;
/** Rows of the first answer, which are shown at once. */
const FIRST = 400;
/** Rows of each later one. */
const MORE = 5000;
/** States from which nothing leads away by itself. @type {Set<State>} */
const RESTING = new Set(["done", "failed", "stopped", "cancelled", "idle", "unreadable"]);

export class TaskStore {
  /** @param {string} project */
  constructor(project) {
    this.project = project;
    /** @type {Map<string, TaskRow>} */
    this.rows = new Map();
    /** Counts changes: what is computed from the rows is computed anew after each. */
    this.version = 0;
    this.loaded = false;
    /** @type {Error | undefined} */
    this.error = undefined;
    this.total = 0;
    /** @type {Set<string>} */
    this.dirty = new Set();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.lookedAt = Date.now();
    this.gone = false;
    /** Whether all rows are being read, and what changed meanwhile. @type {Set<string> | undefined} */
    this.meanwhile = undefined;
    /** Whether all are to be read once more. */
    this.again = false;
    /** Whether rows are missing that were not read yet. */
    this.partial = false;
  }

  dispose() {
    this.gone = true;
    clearTimeout(this.timer);
  }

  /** Reads all rows, the newest first; the first ones are shown while the others come. */
  async readAll() {
    if (this.meanwhile) {
      this.again = true;
      return;
    }
    this.meanwhile = new Set();
    try {
      await this.readParts();
      this.error = undefined;
    } catch (error) {
      if (!this.loaded) this.error = /** @type {Error} */ (error);
      else tellError(error);
    }
    const { meanwhile } = this;
    this.meanwhile = undefined;
    this.show();
    // What these parts tell of them may be older than what was read of them by itself.
    for (const id of meanwhile) this.touch(id);
    if (this.again && !this.gone) {
      this.again = false;
      await this.readAll();
    }
  }

  async readParts() {
    /** @type {Map<string, TaskRow>} */
    const rows = new Map();
    const first = !this.loaded;
    let after = "";
    do {
      const wanted = new URLSearchParams({ order: "newest", most: String(rows.size === 0 ? FIRST : MORE) });
      if (after) wanted.set("after", after);
      const answer = await get(`${path`/api/v1/views/projects/${this.project}/tasks`}?${wanted}`);
      this.take(rows, answer);
      after = answer.next ?? "";
      this.total = answer.total;
      if (first) {
        this.rows = rows;
        this.partial = after !== "";
        this.show();
      }
    } while (after && !this.gone);
    this.rows = rows;
    this.partial = false;
  }

  /** Something is new to be shown. */
  show() {
    this.loaded ||= !this.error;
    this.version += 1;
    changed();
  }

  /**
   * @param {Map<string, TaskRow>} rows
   * @param {{tasks: TaskRow[], unreadable?: {id: string, message: string}[]}} answer
   */
  take(rows, answer) {
    for (const row of answer.tasks) rows.set(row.id, row);
    for (const { id, message } of answer.unreadable ?? []) {
      rows.set(id, {
        id,
        project_id: this.project,
        state: "unreadable",
        runs: 0,
        driven: false,
        reason: message,
        last_activity: "",
      });
    }
  }

  /** A task changed: its row is read anew, soon. @param {string} id */
  touch(id) {
    this.dirty.add(id);
    this.meanwhile?.add(id);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      void this.readDirty();
    }, SOON);
  }

  /** Looks at rows that may change without being told of: what runs prints, and nothing says so. */
  tick() {
    if (!this.loaded || Date.now() - this.lookedAt < ANYWAY) return;
    this.lookedAt = Date.now();
    // Some rows could not be read.
    if (this.partial && !this.meanwhile) return void this.readAll();
    const all = mustLook();
    let left = FEW;
    for (const row of this.rows.values()) {
      if (all ? RESTING.has(row.state) : row.state !== "running") continue;
      this.touch(row.id);
      if (--left === 0) break;
    }
    // Nothing may have changed; how many there are may.
    if (all && this.dirty.size === 0) this.touch(NONE);
  }

  /** Something of the project changed: how many tasks there are, perhaps. */
  count() {
    this.touch(NONE);
  }

  async readDirty() {
    // What waits for these may go on.
    for (const row of this.rows.values())
      if (row.blocked_by?.some((id) => this.dirty.has(id))) this.dirty.add(row.id);
    const ids = [...this.dirty];
    this.dirty.clear();
    if (!this.loaded || ids.length > FEW) return this.readAll();
    try {
      const base = path`/api/v1/views/projects/${this.project}/tasks`;
      const answer = await get(`${base}?ids=${encodeURIComponent(ids.join(","))}`);
      const told = new Set([...answer.tasks, ...(answer.unreadable ?? [])].map((row) => row.id));
      let news = answer.tasks.length > 0 || told.size > 0;
      for (const id of ids) if (!told.has(id) && this.rows.delete(id)) news = true;
      this.take(this.rows, answer);
      // Others came or went meanwhile.
      if (!this.partial && answer.total !== this.rows.size) return this.readAll();
      if (!news) return;
      this.version += 1;
      changed();
    } catch (error) {
      tellError(error);
    }
  }
}
