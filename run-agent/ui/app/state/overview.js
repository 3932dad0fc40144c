/** What goes on in the whole root: for the first page and for the rail beside all others. */

import { changed } from "../dom/frame.js";
import { get } from "../net/api.js";
import { mustLook } from "../net/following.js";
import { tellError } from "../parts/toast.js";

/** @typedef {import("../net/types.js").Overview} Overview */

/** How soon what changed is read anew. */
const SOON = 400;
/** So many times as long as the last reading took is waited at least. */
const SHARE = 4;
/** When a running task last printed something is told by no stream; it is looked for so often. */
const ANYWAY = 15_000;
/** The most tasks that the server reads for one answer; where there are more, the answer is told in parts. */
const PART = 1000;

class OverviewStore {
  constructor() {
    /** @type {Overview | undefined} */
    this.data = undefined;
    /** @type {Error | undefined} */
    this.error = undefined;
    this.readAt = 0;
    this.took = 0;
    this.since = midnight();
    this.reading = false;
    this.again = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** Something happened: reads anew, soon and once. @param {number} [ms] */
  touch(ms = Math.max(SOON, SHARE * this.took)) {
    if (this.timer !== undefined) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      void this.read();
    }, ms);
  }

  /** Reads anew what is old by now. */
  tick() {
    const changes = !this.data || mustLook() || (this.data?.running.length ?? 0) > 0 || this.since !== midnight() || (this.data?.unread ?? 0) > 0;
    if (changes && Date.now() - this.readAt > ANYWAY) void this.read();
  }

  async read() {
    if (this.reading) {
      this.again = true;
      return;
    }
    this.reading = true;
    this.readAt = Date.now();
    try {
      this.since = midnight();
      const wanted = new URLSearchParams({ since: this.since, reads: String(PART) });
      /** @type {Overview} */
      let data;
      do {
        const begun = Date.now();
        data = await get(`/api/v1/views/projects?${wanted}`);
        this.took = Date.now() - begun;
        // Later looks are not shown before they are whole.
        if (!this.data?.projects.length || this.data.unread || !data.unread) this.data = data;
        changed();
      } while (data.unread);
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
