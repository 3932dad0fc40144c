/**
 * A file as rows, of which only the parts that are looked at are held.
 *
 * The file is divided into chunks of a fixed number of bytes. A chunk's rows are the lines that begin in it;
 * until it was read their number is estimated. Where a chunk begins and ends is decided by the bytes around
 * its borders alone, so that no line is shown twice or left out, in whatever order chunks are read.
 */

import { pieceOf, pieces, plain } from "../text/ansi.js";

/** Bytes of a chunk. */
export const CHUNK = 128 << 10;
/** How far a line may reach into the next chunk before it is cut there. */
export const OVERLAP = 64 << 10;
/** Chunks that are held at most. */
const HELD = 48;

/**
 * @typedef {{text: string, at: number, look?: import("../text/ansi.js").Look}} Row
 *   what it shows, where that begins in the file, and the colours that go on from the row before
 * @typedef {(from: number, to: number, signal: AbortSignal) => Promise<{bytes: Uint8Array, from: number, size: number}>} Read
 */

const NEWLINE = 10;

/**
 * Where the first line begins at or behind `from` in the file, as far as `bytes`, which begin at `base`, tell;
 * at the latest `OVERLAP` behind it.
 *
 * @param {Uint8Array} bytes
 * @param {number} base
 * @param {number} from
 * @param {number} size
 */
export function lineBegin(bytes, base, from, size) {
  if (from <= 0) return 0;
  const last = Math.min(from + OVERLAP, size);
  const found = bytes.indexOf(NEWLINE, from - 1 - base);
  return found < 0 || base + found + 1 > last ? last : base + found + 1;
}

/**
 * The rows of a part of a file: its lines, in pieces that show at most `columns` characters.
 *
 * @param {Uint8Array} bytes
 * @param {number} base where they begin in the file
 * @param {number} columns
 * @param {((line: string) => string) | undefined} [shape] what a line is shown as, which may have several lines
 * @returns {Row[]}
 */
export function rowsOf(bytes, base, columns, shape) {
  const decoder = new TextDecoder();
  /** @type {Row[]} */
  const rows = [];
  let from = 0;
  while (from < bytes.length) {
    const end = bytes.indexOf(NEWLINE, from);
    const to = end < 0 ? bytes.length : end;
    if (bytes[from] === 0 && isCut(bytes, from, to)) {
      rows.push({
        text: "\u2702 a part was cut out here: the run printed more than it may keep",
        at: base + from,
      });
    } else {
      const text = decoder.decode(bytes.subarray(from, to));
      if (shape) shaped(shape(text), base + from, columns, rows);
      else if (text.length <= columns) rows.push({ text, at: base + from });
      else split(text, base + from, columns, rows);
    }
    from = to + 1;
  }
  return rows;
}

/** All pieces of a line that is shown in another form stand where the line does. @param {string} text @param {number} at @param {number} columns @param {Row[]} rows */
function shaped(text, at, columns, rows) {
  const first = rows.length;
  if (text === "") return;
  for (const line of text.split("\n")) split(line, at, columns, rows, true);
  for (let row = first; row < rows.length; row += 1) /** @type {Row} */ (rows[row]).at = at;
}

/** @param {Uint8Array} bytes @param {number} from @param {number} to */
function isCut(bytes, from, to) {
  for (let at = from; at < to; at += 1) if (bytes[at] !== 0) return at - from > 4096;
  return to - from > 1024;
}

/**
 * @param {string} text
 * @param {number} at
 * @param {number} columns
 * @param {Row[]} rows
 * @param {boolean} [atWords] whether pieces end with words
 */
function split(text, at, columns, rows, atWords = false) {
  let place = at;
  const piece = pieceOf(text);
  if (text === "") rows.push({ text, at });
  for (let from = 0; from < text.length;) {
    let { to, since } = piece(from, columns);
    // No piece ends within a pair of surrogates.
    const unit = text.charCodeAt(to - 1);
    if (to < text.length && unit >= 0xd800 && unit < 0xdc00 && to - from > 1) to -= 1;
    const blank = atWords && to < text.length ? text.lastIndexOf(" ", to) : -1;
    if (blank >= since && blank > from + columns / 2) to = blank + 1;
    const cut = text.slice(from, to);
    rows.push({ text: cut, at: place });
    place += utf8Length(cut);
    from = to;
  }
}

/** @param {string} text */
function utf8Length(text) {
  let length = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    length += unit < 0x80 ? 1 : unit < 0x800 ? 2 : unit >= 0xd800 && unit < 0xe000 ? 2 : 3;
  }
  return length;
}

/** Notes the colours that go on from row to row. @param {Row[]} rows */
function colour(rows) {
  const look = plain();
  let isPlain = true;
  for (const row of rows) {
    if (!isPlain) row.look = { ...look };
    if (!row.text.includes("\x1b")) continue;
    pieces(row.text, look);
    isPlain = !Object.values(look).some(Boolean);
  }
}

export class Chunks {
  /**
   * @param {Read} read
   * @param {() => void} changed
   */
  constructor(read, changed) {
    this.read = read;
    this.changed = changed;
    this.size = 0;
    this.columns = 4096;
    /** What a line is shown as. @type {((line: string) => string) | undefined} */
    this.shape = undefined;
    /** Rows of each chunk: counted, or negative while estimated. */
    this.counts = new Float64Array(0);
    /** Rows before each chunk. */
    this.sums = new Float64Array(1);
    /** @type {Map<number, Row[]>} by the order of their use */
    this.held = new Map();
    /** The bytes that a chunk was read up to, of the last ones, which grow. @type {Map<number, number>} */
    this.readTo = new Map();
    /** @type {Map<number, AbortController>} */
    this.reading = new Map();
    this.bytesPerRow = 100;
    /** @type {Error | undefined} */
    this.error = undefined;
  }

  dispose() {
    for (const reading of this.reading.values()) reading.abort();
    this.reading.clear();
    this.held.clear();
  }

  /** Forgets what was read; the file is shown in another form, or is another one. */
  reset() {
    this.dispose();
    this.readTo.clear();
    this.counts = new Float64Array(0);
    const { size } = this;
    this.size = 0;
    this.grow(size);
  }

  /** The file has this length now. @param {number} size */
  grow(size) {
    if (size === this.size) return;
    if (size < this.size) {
      this.size = size;
      this.reset();
      return;
    }
    const last = Math.max(0, this.counts.length - 1);
    this.size = size;
    const counts = new Float64Array(Math.ceil(size / CHUNK));
    counts.set(this.counts);
    for (let at = last; at < counts.length; at += 1)
      if ((counts[at] ?? 0) <= 0) counts[at] = -this.estimate(at);
    this.counts = counts;
    // What the last chunks hold has grown.
    for (const at of [last - 1, last]) if (at >= 0 && this.isOld(at)) this.held.has(at) && void this.load(at);
    this.sum(Math.max(0, last - 1));
  }

  /** @param {number} at */
  estimate(at) {
    return Math.max(1, Math.round(Math.min(CHUNK, this.size - at * CHUNK) / this.bytesPerRow));
  }

  /** @param {number} from */
  sum(from) {
    if (this.sums.length !== this.counts.length + 1) {
      const sums = new Float64Array(this.counts.length + 1);
      sums.set(this.sums.subarray(0, Math.min(this.sums.length, sums.length)));
      this.sums = sums;
    }
    for (let at = from; at < this.counts.length; at += 1)
      this.sums[at + 1] = (this.sums[at] ?? 0) + Math.abs(this.counts[at] ?? 0);
  }

  /** How many rows there are, as far as is known. */
  get rows() {
    return this.sums[this.counts.length] ?? 0;
  }

  /** The chunk that a row stands in, and its place there. @param {number} row */
  find(row) {
    let low = 0;
    let high = this.counts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.sums[middle] ?? 0) <= row) low = middle;
      else high = middle - 1;
    }
    return { chunk: low, at: row - (this.sums[low] ?? 0) };
  }

  /** A row; `undefined` while it is read. @param {number} row */
  row(row) {
    const { chunk, at } = this.find(row);
    const rows = this.held.get(chunk);
    if (!rows) {
      void this.load(chunk);
      return undefined;
    }
    // Used last: forgotten last.
    this.held.delete(chunk);
    this.held.set(chunk, rows);
    return rows[at];
  }

  /** The row that shows this byte; `undefined` while it is not known. @param {number} byte */
  rowOfByte(byte) {
    let chunk = Math.min(this.counts.length - 1, Math.max(0, Math.floor(byte / CHUNK)));
    let rows = this.held.get(chunk);
    if (!rows) {
      void this.load(chunk);
      return undefined;
    }
    // A line that began in the chunk before may reach into this one.
    const first = rows[0];
    if ((!first || byte < first.at) && chunk > 0) {
      chunk -= 1;
      rows = this.held.get(chunk);
      if (!rows) {
        void this.load(chunk);
        return undefined;
      }
    }
    let low = 0;
    let high = rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((rows[middle]?.at ?? 0) <= byte) low = middle;
      else high = middle - 1;
    }
    return (this.sums[chunk] ?? 0) + low;
  }

  /** @param {number} at */
  isOld(at) {
    const wanted = Math.min(this.size, (at + 1) * CHUNK + OVERLAP);
    return (this.readTo.get(at) ?? -1) < wanted;
  }

  /** @param {number} at */
  async load(at) {
    if (this.reading.has(at) || at < 0 || at >= this.counts.length) return;
    const stop = new AbortController();
    this.reading.set(at, stop);
    try {
      const from = Math.max(0, at * CHUNK - 1);
      const to = Math.min(this.size, (at + 1) * CHUNK + OVERLAP);
      const { bytes } = await this.read(from, to, stop.signal);
      if (stop.signal.aborted) return;
      const begin = lineBegin(bytes, from, at * CHUNK, this.size);
      const end =
        (at + 1) * CHUNK >= this.size
          ? from + bytes.length
          : lineBegin(bytes, from, (at + 1) * CHUNK, this.size);
      const rows = rowsOf(
        bytes.subarray(begin - from, Math.max(begin, end) - from),
        begin,
        this.columns,
        this.shape,
      );
      this.take(at, rows, to);
      this.error = undefined;
    } catch (error) {
      if (!stop.signal.aborted) this.error = /** @type {Error} */ (error);
    } finally {
      if (this.reading.get(at) === stop) this.reading.delete(at);
      if (!stop.signal.aborted) this.changed();
    }
    // It grew meanwhile.
    if (!stop.signal.aborted && !this.error && this.held.has(at) && this.isOld(at)) void this.load(at);
  }

  /** @param {number} at @param {Row[]} rows @param {number} readTo */
  take(at, rows, readTo) {
    colour(rows);
    this.held.delete(at);
    this.held.set(at, rows);
    this.readTo.set(at, readTo);
    for (const old of this.held.keys()) {
      if (this.held.size <= HELD) break;
      this.held.delete(old);
      this.readTo.delete(old);
    }
    if (rows.length > 0 && at < this.counts.length - 1)
      this.bytesPerRow = 0.7 * this.bytesPerRow + 0.3 * (CHUNK / rows.length);
    this.counts[at] = rows.length;
    this.sum(at);
  }
}
