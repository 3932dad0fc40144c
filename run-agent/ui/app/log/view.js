/** The window onto a log: only the rows in sight are in the document, whatever the length of the file. */

import { h, patch } from "../dom/h.js";
import { pieces, plain } from "../text/ansi.js";

/** @typedef {import("./log.js").Log} Log */
/** @typedef {import("./chunks.js").Row} Row */

const HEIGHT = 20;
/** Browsers know no element that is much higher; beyond it the bar stands for more than it moves. */
const HIGHEST = 8_000_000;

/**
 * @param {{log: Log, version: number}} first
 * @returns {import("../dom/h.js").Island<{log: Log, version: number}>}
 */
export function logView(first) {
  let { log } = first;
  const el = document.createElement("div");
  el.className = "log";
  el.tabIndex = 0;
  el.setAttribute("role", "log");
  el.setAttribute("aria-label", "What the run printed");
  el.setAttribute("aria-live", "off");
  const space = document.createElement("div");
  space.className = "log-space";
  const sheet = document.createElement("div");
  sheet.className = "log-sheet";
  el.append(space, sheet);
  const probe = document.createElement("span");
  probe.className = "log-probe";
  probe.textContent = "0".repeat(50);
  el.append(probe);
  /** @type {import("../dom/h.js").VNode[]} */
  let shown = [];
  let asked = false;
  /** The place of the bar that was set here: hearing of it is no move. */
  let expected = -1;

  function measure() {
    const width = probe.getBoundingClientRect().width / 50 || 8;
    log.fit(Math.max(1, Math.floor(el.clientHeight / HEIGHT)), Math.floor((el.clientWidth - 24) / width));
  }

  const height = () => Math.min(HIGHEST, log.chunks.rows * HEIGHT + 8);
  const isScaled = () => log.chunks.rows * HEIGHT + 8 > HIGHEST;
  const room = () => Math.max(1, height() - el.clientHeight);

  function ask() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  }

  function draw() {
    const { chunks } = log;
    space.style.setProperty("height", `${height()}px`);
    const wanted = log.last === 0 ? 0 : isScaled() ? (log.top / log.last) * room() : Math.min(log.top * HEIGHT, room());
    if (Math.abs(el.scrollTop - wanted) > 1) {
      el.scrollTop = wanted;
      expected = el.scrollTop;
    }
    const from = Math.max(0, Math.floor(log.top));
    const to = Math.min(chunks.rows, from + log.visible + 2);
    /** @type {import("../dom/h.js").VNode[]} */
    const after = [];
    const hit = log.search && log.search.at >= 0 ? log.search.places[log.search.at] : undefined;
    for (let row = from; row < to; row += 1) after.push(line(chunks.row(row), row - from, hit));
    const bottom = log.follow && log.chunks.rows > log.visible ? el.clientHeight - (to - from) * HEIGHT : -(log.top - from) * HEIGHT;
    sheet.style.setProperty("transform", `translateY(${el.scrollTop + bottom}px)`);
    patch(sheet, shown, after);
    shown = after;
  }

  /** @param {Row | undefined} row @param {number} key @param {number | undefined} hit */
  function line(row, key, hit) {
    if (!row) return h("div", { key, class: "log-row unread" }, "…");
    const found = log.search ? marked(row, log.search.text) : coloured(row);
    const isHit = hit !== undefined && hit >= row.at && hit < row.at + Math.max(1, row.text.length * 3) && log.chunks.rowOfByte(hit) === log.chunks.rowOfByte(row.at);
    return h("div", { key, class: isHit ? "log-row hit" : "log-row" }, found);
  }

  el.addEventListener("scroll", () => {
    if (Math.abs(el.scrollTop - expected) <= 1) {
      expected = -1;
      // The sheet moves with its window; drawn anew it stands where it belongs.
      ask();
      return;
    }
    log.move(isScaled() ? (el.scrollTop / room()) * log.last : el.scrollTop / HEIGHT);
    ask();
  }, { passive: true });
  el.addEventListener("wheel", (event) => {
    if (!isScaled() || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    const rows = event.deltaMode === 1 ? event.deltaY : event.deltaMode === 2 ? event.deltaY * log.visible : event.deltaY / HEIGHT;
    log.move(log.top + rows);
    ask();
  }, { passive: false });
  el.addEventListener("keydown", (event) => {
    /** @type {Record<string, number>} */
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: log.visible - 2, PageUp: 2 - log.visible, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    log.move(step === Infinity ? log.last : step === -Infinity ? 0 : Math.round(log.top) + step);
    ask();
  });
  const sizes = new ResizeObserver(() => {
    measure();
    ask();
  });
  sizes.observe(el);

  return {
    el,
    update(next) {
      if (next.log !== log) {
        log = next.log;
        expected = -1;
        measure();
      }
      ask();
    },
    dispose() {
      sizes.disconnect();
    },
  };
}

/** @param {Row} row */
function coloured(row) {
  return pieces(row.text, row.look ? { ...row.look } : plain()).map(({ text, look }) => (look ? h("span", { class: look }, text) : text));
}

/**
 * A row with the places marked where a text stands in it.
 *
 * @param {Row} row
 * @param {string} wanted
 */
function marked(row, wanted) {
  const all = pieces(row.text, row.look ? { ...row.look } : plain());
  const whole = all.map(({ text }) => text).join("");
  const folded = lower(whole);
  const text = lower(wanted);
  /** @type {[number, number][]} */
  const places = [];
  for (let at = folded.indexOf(text); at >= 0; at = folded.indexOf(text, at + text.length)) places.push([at, at + text.length]);
  if (places.length === 0) return coloured(row);
  /** @type {import("../dom/h.js").VNode[]} */
  const nodes = [];
  let base = 0;
  for (const piece of all) {
    let from = 0;
    for (const [begin, end] of places) {
      const [b, e] = [Math.max(0, begin - base), Math.min(piece.text.length, end - base)];
      if (b >= e) continue;
      if (b > from) nodes.push(h("span", { class: piece.look }, piece.text.slice(from, b)));
      nodes.push(h("mark", { class: piece.look }, piece.text.slice(b, e)));
      from = e;
    }
    if (from < piece.text.length) nodes.push(h("span", { class: piece.look }, piece.text.slice(from)));
    base += piece.text.length;
  }
  return nodes;
}

/** Letters of ASCII in lower case, as the server looks for them. @param {string} text */
function lower(text) {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
