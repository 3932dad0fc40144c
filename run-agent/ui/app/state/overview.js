/** What goes on in the whole root: for the first page and for the rail beside all others. */

import { changed } from "../dom/frame.js";
import { get } from "../net/api.js";
import { tellError } from "../parts/toast.js";

/** @typedef {import("../net/types.js").Overview} Overview */

/** How soon what changed is read anew. */
const SOON = 400;
/** What no stream tells of, as a task that begins to wait, is looked for so often. */
const ANYWAY = 15_000;

class OverviewStore {
  constructor() {
    /** @type {Overview | undefined} */
    this.data = undefined;
    /** @type {Error | undefined} */
    this.error = undefined;
    this.readAt = 0;
    this.reading = false;
    this.again = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** Something happened: reads anew, soon and once. @param {number} [ms] */
  touch(ms = SOON) {
    if (this.timer !== undefined) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      void this.read();
    }, ms);
  }

  /** Reads anew what is old by now. */
  tick() {
    if (Date.now() - this.readAt > ANYWAY) void this.read();
  }

  async read() {
    if (this.reading) {
      this.again = true;
      return;
    }
    this.reading = true;
    this.readAt = Date.now();
    try {
      this.data = await get(`/api/v1/views/projects?since=${encodeURIComponent(midnight())}`);
      this.error = undefined;
    } catch (error) {
      if (!this.data) this.error = /** @type {Error} */ (error);
      else if (/** @type {{status?: number}} */ (error).status) tellError(error);
    } finally {
      this.reading = false;
      changed();
    }
    if (this.again) {
      this.again = false;
      this.touch();
    }
  }
}

/** The beginning of this day where the reader is. */
function midnight() {
  const day = new Date();
  day.setHours(0, 0, 0, 0);
  return day.toISOString();
}

export const overview = new OverviewStore();
