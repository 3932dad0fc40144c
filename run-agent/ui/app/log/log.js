/** A log that is looked at: which file, which part, whether its end is followed, and what is looked for in it. */

import { get, range } from "../net/api.js";
import { Chunks } from "./chunks.js";

/** Rows of a line that is not wrapped: even then a line of megabytes is shown in pieces. */
const UNWRAPPED = 2048;
/** Places that are kept of a search. */
const PLACES = 5000;

/**
 * @typedef {object} Search
 * @property {string} text
 * @property {number[]} places bytes, in order
 * @property {boolean} busy
 * @property {number} at which of the places is shown; -1 for none
 * @property {boolean} more whether there are more than are kept
 */

export class Log {
  /**
   * @param {string} base path of the run's files
   * @param {string} name of the file
   * @param {() => void} changed
   */
  constructor(base, name, changed) {
    this.base = base;
    this.name = name;
    this.changed = changed;
    this.follow = true;
    // A narrow page has no room beside a line.
    this.wrap = matchMedia("(max-width: 600px)").matches;
    /** Characters that fit into a row of the view. */
    this.fitting = 120;
    /** The row at the top of the view, with a fraction. */
    this.top = 0;
    /** Where that stands, apart from what is estimated above it. */
    this.anchor = { chunk: 0, at: 0 };
    /** Rows that fit into the view. */
    this.visible = 30;
    /** A byte that shall come into view once its row is known. @type {number | undefined} */
    this.wanted = undefined;
    /** @type {Search | undefined} */
    this.search = undefined;
    this.searches = 0;
    this.chunks = new Chunks(
      (from, to, signal) => range(this.url("raw"), from, to, signal),
      () => {
        this.settle();
        changed();
      },
    );
    this.chunks.columns = this.wrap ? 40 : UNWRAPPED;
  }

  /** @param {"raw" | "search"} what */
  url(what) {
    return `${this.base}/${what}?name=${encodeURIComponent(this.name)}`;
  }

  dispose() {
    this.searches += 1;
    this.chunks.dispose();
  }

  /** Asks how long the file is. */
  async measure() {
    try {
      this.grow((await range(this.url("raw"), 0, 1)).size);
    } catch (error) {
      this.chunks.error = /** @type {Error} */ (error);
    }
    this.changed();
  }

  /** @param {number} size */
  grow(size) {
    this.chunks.grow(size);
    this.settle();
    this.changed();
  }

  get last() {
    return Math.max(0, this.chunks.rows - this.visible);
  }

  /** Keeps what is in view in its place, whatever was learnt of what stands above it. */
  settle() {
    const { chunks, wanted } = this;
    if (wanted !== undefined) {
      const row = chunks.rowOfByte(wanted);
      if (row !== undefined) {
        this.wanted = undefined;
        this.set(row - Math.floor(this.visible / 3));
      }
      return;
    }
    if (this.follow) this.top = this.last;
    else this.top = Math.min(this.last, (chunks.sums[this.anchor.chunk] ?? 0) + this.anchor.at);
  }

  /** @param {number} top */
  set(top) {
    this.top = Math.max(0, Math.min(this.last, top));
    this.anchor = this.chunks.find(this.top);
  }

  /** The person moved. @param {number} top */
  move(top) {
    this.set(top);
    this.wanted = undefined;
    this.follow = this.top >= this.last - 0.5;
    this.changed();
  }

  toEnd() {
    this.follow = true;
    this.settle();
    this.changed();
  }

  /** @param {number} visible @param {number} fitting */
  fit(visible, fitting) {
    this.visible = visible;
    if (fitting !== this.fitting) {
      this.fitting = fitting;
      if (this.wrap) this.reshape();
    }
    if (this.follow) this.settle();
  }

  toggleWrap() {
    this.wrap = !this.wrap;
    this.reshape();
  }

  /** Shows the same place with rows of another length. */
  reshape() {
    const byte = this.chunks.row(Math.floor(this.top))?.at;
    this.chunks.columns = this.wrap ? Math.max(20, this.fitting) : UNWRAPPED;
    this.chunks.reset();
    this.chunks.bytesPerRow = 100;
    if (!this.follow && byte !== undefined) this.show(byte);
    this.settle();
    this.changed();
  }

  /** @param {number} byte */
  show(byte) {
    this.follow = false;
    this.wanted = byte;
    this.settle();
    this.changed();
  }

  /** Looks for a text in the whole file. @param {string} text */
  async find(text) {
    const mine = ++this.searches;
    if (!text) {
      this.search = undefined;
      this.changed();
      return;
    }
    /** @type {Search} */
    const search = { text, places: [], busy: true, at: -1, more: false };
    this.search = search;
    this.changed();
    const from = this.chunks.row(Math.floor(this.top))?.at ?? 0;
    /** @type {number | undefined} */
    let next = 0;
    try {
      while (next !== undefined && mine === this.searches) {
        /** @type {{places: number[], next?: number}} */
        const found = await get(`${this.url("search")}&from=${next}&text=${encodeURIComponent(text)}`);
        if (mine !== this.searches) return;
        search.places.push(...found.places);
        next = found.next;
        search.more = next !== undefined && search.places.length >= PLACES;
        if (search.more) next = undefined;
        if (search.at < 0) {
          const at = search.places.findIndex((place) => place >= from);
          if (at >= 0) this.showPlace(at);
        }
        this.changed();
      }
      if (search.at < 0 && search.places.length > 0) this.showPlace(0);
    } finally {
      search.busy = false;
      this.changed();
    }
  }

  /** @param {number} step */
  step(step) {
    const { search } = this;
    if (!search || search.places.length === 0) return;
    this.showPlace((search.at + step + search.places.length) % search.places.length);
  }

  /** @param {number} at */
  showPlace(at) {
    const place = this.search?.places[at];
    if (!this.search || place === undefined) return;
    this.search.at = at;
    this.show(place);
  }
}
