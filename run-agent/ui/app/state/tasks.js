/**
 * The tasks of a project, by id. What changes is read by itself: a project of 10,000 tasks is read once,
 * and then a few rows at a time.
 */

import { changed } from "../dom/frame.js";
import { get, path } from "../net/api.js";
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
  }

  dispose() {
    this.gone = true;
    clearTimeout(this.timer);
  }

  /** Reads all rows. */
  async readAll() {
    /** @type {Map<string, TaskRow>} */
    const rows = new Map();
    let after = "";
    try {
      do {
        const base = path`/api/v1/views/projects/${this.project}/tasks`;
        const answer = await get(after ? `${base}?after=${encodeURIComponent(after)}` : base);
        this.take(rows, answer);
        after = answer.next ?? "";
        this.total = answer.total;
      } while (after && !this.gone);
      this.rows = rows;
      this.loaded = true;
      this.error = undefined;
    } catch (error) {
      if (!this.loaded) this.error = /** @type {Error} */ (error);
      else tellError(error);
    }
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
        id, project_id: this.project, state: "unreadable", runs: 0, driven: false, reason: message, last_activity: "",
      });
    }
  }

  /** A task changed: its row is read anew, soon. @param {string} id */
  touch(id) {
    this.dirty.add(id);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      void this.readDirty();
    }, SOON);
  }

  /** Looks at rows that may change without being told of. */
  tick() {
    if (!this.loaded || Date.now() - this.lookedAt < ANYWAY) return;
    this.lookedAt = Date.now();
    let left = FEW;
    for (const row of this.rows.values()) {
      if (RESTING.has(row.state)) continue;
      this.touch(row.id);
      if (--left === 0) break;
    }
    // Nothing may have changed; how many there are may.
    if (this.dirty.size === 0) this.touch(NONE);
  }

  async readDirty() {
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
      if (answer.total !== this.rows.size) return this.readAll();
      if (!news) return;
      this.version += 1;
      changed();
    } catch (error) {
      tellError(error);
    }
  }
}
