/**
 * Markdown as a tree of elements: headings, lists, quotes, code, tables, rules, emphasis and links. What else
 * stands in a text, also anything that looks like HTML, is text.
 *
 * The text comes from an agent and is hostile until proven otherwise: no image is loaded, a link leads to a web
 * address alone and says where, and the work grows with the length of the text.
 */

import { h, isSafe } from "../dom/h.js";

/** @typedef {import("../dom/h.js").Child} Child */

/** The longest text that is rendered; more is shown as it is. */
export const LONGEST = 200_000;
const DEEPEST = 12;
/** The most columns of a table. */
const COLUMNS = 40;

/**
 * @param {string} text
 * @returns {import("../dom/h.js").VElement}
 */
export function markdown(text) {
  if (text.length > LONGEST) return h("pre", { class: "plain-text" }, text);
  return h("div", { class: "markdown" }, blocks(text.replace(/\r\n?/g, "\n").split("\n"), 0));
}

// No pattern looks twice at what it passed over: the time for a line grows with its length alone.
const FENCE = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})(?=\s|$)/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])( +|$)(.*)$/;
const QUOTE = /^ {0,3}> ?(.*)$/;
const TABLE = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

/**
 * @param {string[]} lines
 * @param {number} depth
 * @returns {Child[]}
 */
function blocks(lines, depth) {
  /** @type {Child[]} */
  const found = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? "";
    if (line.trim() === "") {
      at += 1;
      continue;
    }
    const [node, next] = block(lines, at, depth);
    found.push(node);
    at = next;
  }
  return found;
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @param {number} depth
 * @returns {[Child, number]}
 */
function block(lines, at, depth) {
  const line = lines[at] ?? "";
  const fence = FENCE.exec(line);
  if (fence) return fenced(lines, at, fence[1] ?? "```");
  const heading = HEADING.exec(line);
  if (heading)
    return [
      h(
        `h${Math.min(6, (heading[1]?.length ?? 1) + 1)}`,
        null,
        inline(title(line.slice(heading[0].length)), 0),
      ),
      at + 1,
    ];
  if (RULE.test(line)) return [h("hr"), at + 1];
  if (depth < DEEPEST && QUOTE.test(line)) {
    const quoted = while_(lines, at, (text) => QUOTE.test(text));
    return [
      h(
        "blockquote",
        null,
        blocks(
          quoted.map((text) => QUOTE.exec(text)?.[1] ?? ""),
          depth + 1,
        ),
      ),
      at + quoted.length,
    ];
  }
  if (depth < DEEPEST && ITEM.test(line)) return list(lines, at, depth);
  if (line.includes("|") && TABLE.test(lines[at + 1] ?? "") && (lines[at + 1] ?? "").includes("|"))
    return table(lines, at);
  if (/^(?: {4}|\t)/.test(line)) {
    const code = while_(lines, at, (text) => /^(?: {4}|\t)/.test(text) || text.trim() === "");
    while (code.at(-1)?.trim() === "") code.pop();
    return [
      h(
        "pre",
        { tabIndex: 0 },
        h("code", null, code.map((text) => text.replace(/^(?: {4}|\t)/, "")).join("\n")),
      ),
      at + code.length,
    ];
  }
  const paragraph = [line];
  for (let next = at + 1; next < lines.length && !begins(lines[next] ?? ""); next += 1)
    paragraph.push(lines[next] ?? "");
  return [h("p", null, lined(paragraph)), at + paragraph.length];
}

/** The words of a heading, without the marks that may close it. @param {string} text */
function title(text) {
  const words = text.trim();
  let end = words.length;
  while (end > 0 && words[end - 1] === "#") end -= 1;
  const closed = end === 0 || words[end - 1] === " ";
  return closed ? words.slice(0, end).trimEnd() : words;
}

/** Whether a paragraph ends before this line. @param {string} line */
function begins(line) {
  return (
    line.trim() === "" ||
    FENCE.test(line) ||
    HEADING.test(line) ||
    RULE.test(line) ||
    QUOTE.test(line) ||
    ITEM.test(line)
  );
}

/** @param {string[]} lines @param {number} at @param {(line: string) => boolean} fits */
function while_(lines, at, fits) {
  let end = at;
  while (end < lines.length && fits(lines[end] ?? "")) end += 1;
  return lines.slice(at, end);
}

/** @param {string[]} lines @param {number} at @param {string} mark @returns {[Child, number]} */
function fenced(lines, at, mark) {
  let end = at + 1;
  while (end < lines.length) {
    const text = (lines[end] ?? "").trim();
    if (text.length >= mark.length && text === (mark[0] ?? "`").repeat(text.length)) break;
    end += 1;
  }
  return [h("pre", { tabIndex: 0 }, h("code", null, lines.slice(at + 1, end).join("\n"))), end + 1];
}

/** @param {string[]} lines @param {number} at @param {number} depth @returns {[Child, number]} */
function list(lines, at, depth) {
  const first = ITEM.exec(lines[at] ?? "");
  const ordered = /\d/.test(first?.[2] ?? "");
  /** @type {string[][]} */
  const items = [];
  let end = at;
  let indent = 0;
  for (; end < lines.length; end += 1) {
    const line = lines[end] ?? "";
    const item = ITEM.exec(line);
    const lead = /^ */.exec(line)?.[0].length ?? 0;
    if (item && (items.length === 0 || lead < indent) && /\d/.test(item[2] ?? "") === ordered) {
      indent =
        (item[1]?.length ?? 0) + (item[2]?.length ?? 0) + Math.max(1, Math.min(4, item[3]?.length ?? 1));
      items.push([item[4] ?? ""]);
    } else if (line.trim() === "") {
      const next = lines[end + 1] ?? "";
      if (next.trim() === "" || ((/^ */.exec(next)?.[0].length ?? 0) < indent && !ITEM.test(next))) break;
      items.at(-1)?.push("");
    } else if (lead >= indent) {
      items.at(-1)?.push(line.slice(indent));
    } else if (items.length > 0 && !begins(line) && items.at(-1)?.at(-1) !== "") {
      items.at(-1)?.push(line.trim());
    } else break;
  }
  const nodes = items.map((item) => h("li", null, task(item, depth)));
  const start = Number.parseInt(first?.[2] ?? "1", 10);
  return [
    ordered ? h("ol", { start: start === 1 ? undefined : start }, nodes) : h("ul", null, nodes),
    Math.max(end, at + 1),
  ];
}

/** @param {string[]} item @param {number} depth @returns {Child[]} */
function task(item, depth) {
  const box = /^\[([ xX])\] +(.*)$/.exec(item[0] ?? "");
  const sign = box
    ? h(
        "span",
        { class: "box", role: "img", "aria-label": box[1] === " " ? "open" : "done" },
        box[1] === " " ? "☐ " : "☑ ",
      )
    : null;
  const lines = box ? [box[2] ?? "", ...item.slice(1)] : item;
  const tight = lines.findIndex((line) => line === "" || begins(line));
  const head = tight < 0 ? lines : lines.slice(0, tight);
  return [sign, lined(head), tight < 0 ? [] : blocks(lines.slice(tight), depth + 1)];
}

/** @param {string[]} lines @param {number} at @returns {[Child, number]} */
function table(lines, at) {
  /** @param {string} line */
  const cells = (line) =>
    line
      .trim()
      .replace(/^\||\|$/g, "")
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim().replaceAll("\\|", "|"));
  const rows = while_(lines, at + 2, (line) => line.includes("|") && line.trim() !== "");
  const head = cells(lines[at] ?? "").slice(0, COLUMNS);
  return [
    h(
      "div",
      { class: "scroll-x", tabIndex: 0 },
      h(
        "table",
        null,
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            head.map((cell) => h("th", { scope: "col" }, inline(cell, 0))),
          ),
        ),
        h(
          "tbody",
          null,
          rows.map((row) =>
            h(
              "tr",
              null,
              cells(row)
                .slice(0, head.length)
                .map((cell) => h("td", null, inline(cell, 0))),
            ),
          ),
        ),
      ),
    ),
    at + 2 + rows.length,
  ];
}

/** @param {string[]} lines @returns {Child[]} */
function lined(lines) {
  return lines.flatMap((line, at) => {
    const broken = at < lines.length - 1 && (line.endsWith("  ") || line.endsWith("\\"));
    return [
      inline(line.endsWith("\\") && broken ? line.slice(0, -1) : line.trimEnd(), 0),
      at < lines.length - 1 ? (broken ? h("br") : "\n") : null,
    ];
  });
}

// One at a time, each with a bounded body, so that no text makes this slow.
const INLINE =
  /(?<!`)(`{1,8})(?!`)([^`]|[^`][^]{0,500}?[^`])\1(?!`)|\*\*([^*\n]{1,2000})\*\*|__([^_\n]{1,2000})__|\*([^*\s][^*\n]{0,2000})\*|(?<![\w])_([^_\s][^_\n]{0,2000})_(?![\w])|~~([^~\n]{1,2000})~~|!?\[([^[\]\n]{0,1000})\]\( {0,4}<?([^\s()<>]{0,1000})>?(?: {1,4}"[^"\n]{0,200}")? {0,4}\)|<(https?:\/\/[^\s<>]{1,2000})>|(https?:\/\/[^\s<>"'`)\]]{1,2000})|\\([\\`*_{}[\]()#+\-.!|~<>])/g;

/**
 * @param {string} text
 * @param {number} depth
 * @returns {Child[]}
 */
function inline(text, depth) {
  if (depth > DEEPEST || !/[`*_~[<\\]|https?:/.test(text)) return [text];
  /** @type {Child[]} */
  const found = [];
  let from = 0;
  const pattern = new RegExp(INLINE);
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    if (match.index > from) found.push(text.slice(from, match.index));
    from = pattern.lastIndex;
    found.push(span(match, depth));
  }
  found.push(text.slice(from));
  return found;
}

/** @param {RegExpExecArray} match @param {number} depth @returns {Child} */
function span(match, depth) {
  const [, , code, strong1, strong2, em1, em2, gone, word, href, auto1, auto2, escaped] = match;
  if (code !== undefined) return h("code", null, code.trim() || code);
  const strong = strong1 ?? strong2;
  if (strong !== undefined) return h("strong", null, inline(strong, depth + 1));
  const em = em1 ?? em2;
  if (em !== undefined) return h("em", null, inline(em, depth + 1));
  if (gone !== undefined) return h("del", null, inline(gone, depth + 1));
  if (href !== undefined) {
    // An image would be asked for from elsewhere: only its place is told.
    return link(href, match[0].startsWith("!") ? `image: ${word || href}` : word || href);
  }
  if (escaped !== undefined) return escaped;
  const auto = auto1 ?? auto2 ?? "";
  return link(auto, auto);
}

/** @param {string} href @param {string} word */
function link(href, word) {
  if (!isSafe(href) || href.startsWith("#")) return h("span", { class: "no-link", title: href }, word);
  return h("a", { href, title: href, target: "_blank", rel: "noopener noreferrer nofollow" }, word);
}
