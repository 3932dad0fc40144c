/** Numbers, sizes, money and times as people read them: in their zone, with the exact UTC beside it. */

import { h } from "./h.js";

const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const SECONDS = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const COUNT = new Intl.NumberFormat(undefined);

/** @param {number} count */
export function count(count) {
  return COUNT.format(count);
}

/**
 * A count and its noun.
 *
 * @param {number} number
 * @param {string} one
 * @param {string} [many]
 */
export function counted(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** @param {number} bytes */
export function size(bytes) {
  let value = bytes;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (value < 1024) return `${value < 10 && unit !== "B" ? value.toFixed(1) : Math.round(value)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}

/**
 * US dollars; a dash where nobody knows.
 *
 * @param {number | undefined} usd
 */
export function money(usd) {
  if (usd === undefined) return "–";
  if (usd === 0) return "$0";
  return usd < 0.01 ? "<$0.01" : `$${usd < 100 ? usd.toFixed(2) : count(Math.round(usd))}`;
}

/**
 * A count of tokens, short.
 *
 * @param {number | undefined} tokens
 */
export function tokens(tokens) {
  if (tokens === undefined) return "–";
  if (tokens < 1000) return String(tokens);
  if (tokens < 1e6) return `${(tokens / 1e3).toFixed(tokens < 1e4 ? 1 : 0)}k`;
  return `${(tokens / 1e6).toFixed(tokens < 1e7 ? 2 : 1)}M`;
}

/**
 * A length of time, with its two largest units.
 *
 * @param {number} ms
 */
export function duration(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${String(s % 60).padStart(2, "0")}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")}m`;
  return `${Math.floor(s / 86400)}d ${Math.floor((s % 86400) / 3600)}h`;
}

/**
 * How long ago a moment was, or how far it lies ahead, in one unit.
 *
 * @param {number} ms
 */
export function ago(ms) {
  const s = Math.abs(ms) / 1000;
  const text =
    s < 60 ? `${Math.floor(s)}s` : s < 3600 ? `${Math.floor(s / 60)}m` : s < 86400 ? `${Math.floor(s / 3600)}h` : `${Math.floor(s / 86400)}d`;
  if (s < 2) return "now";
  return ms < 0 ? `in ${text}` : `${text} ago`;
}

/**
 * Milliseconds since 1970 of a moment of the server; NaN where it is none.
 *
 * @param {string | undefined} text
 */
export function moment(text) {
  return text ? Date.parse(text.replace(/(\.\d{3})\d+/, "$1")) : Number.NaN;
}

/**
 * A moment in the reader's zone: the time alone on the same day.
 *
 * @param {number} at
 * @param {boolean} [exact] with seconds
 */
export function clock(at, exact = false) {
  const date = new Date(at);
  const time = (exact ? SECONDS : CLOCK).format(date);
  return date.toDateString() === new Date().toDateString() ? time : `${DAY.format(date)} ${time}`;
}

/**
 * A moment as an element, with the exact UTC to hover.
 *
 * @param {string | undefined} text
 * @param {"ago" | "clock" | "exact"} [form]
 */
export function time(text, form = "ago") {
  const at = moment(text);
  if (Number.isNaN(at)) return h("span", { class: "dim" }, "–");
  const shown = form === "ago" ? ago(Date.now() - at) : clock(at, form === "exact");
  return h("time", { datetime: text, title: `${clock(at, true)} here, ${text} UTC` }, shown);
}
