/**
 * A list of any length, of which only what can be seen is in the document. Its rows are of one height.
 */

import { patch } from "../dom/h.js";

/** @typedef {import("../dom/h.js").VNode} VNode */

/**
 * @template T
 * @typedef {object} ListProps
 * @property {T[]} items
 * @property {number} height of a row, in pixels
 * @property {(item: T, at: number) => VNode} row keyed by its item
 * @property {number} [selected] the row that keys move, kept in sight
 * @property {string} label
 */

/** Rows beyond the edges that are there already, so that nothing is empty while it moves. */
const BEYOND = 8;

/**
 * @template T
 * @param {ListProps<T>} first
 * @returns {import("../dom/h.js").Island<ListProps<T>>}
 */
export function virtualList(first) {
  let props = first;
  /** @type {VNode[]} */
  let shown = [];
  let selected = first.selected;
  const el = document.createElement("div");
  el.className = "virtual";
  el.setAttribute("role", "rowgroup");
  const space = document.createElement("div");
  space.className = "space";
  space.setAttribute("role", "presentation");
  el.append(space);
  let asked = false;
  const ask = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
  const sizes = new ResizeObserver(ask);
  sizes.observe(el);
  el.addEventListener("scroll", ask, { passive: true });

  function draw() {
    const { items, height, row } = props;
    const from = Math.max(0, Math.floor(el.scrollTop / height) - BEYOND);
    const to = Math.min(items.length, Math.ceil((el.scrollTop + el.clientHeight) / height) + BEYOND);
    space.style.setProperty("height", `${items.length * height}px`);
    space.style.setProperty("--from", `${from * height}px`);
    const after = items.slice(from, to).map((item, at) => row(item, from + at));
    patch(space, shown, after);
    shown = after;
  }

  /** @param {number} at */
  function reveal(at) {
    const top = at * props.height;
    if (top < el.scrollTop) el.scrollTop = top;
    else if (top + props.height > el.scrollTop + el.clientHeight) el.scrollTop = top + props.height - el.clientHeight;
  }

  draw();
  return {
    el,
    update(next) {
      props = next;
      if (next.selected !== undefined && next.selected !== selected) reveal(next.selected);
      selected = next.selected;
      draw();
    },
    dispose() {
      sizes.disconnect();
    },
  };
}
