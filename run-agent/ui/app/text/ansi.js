/**
 * Colours of terminals (SGR) as pieces of text with classes. All other control sequences go; nothing that a
 * program prints reaches the page but as text.
 *
 * @typedef {{bold: boolean, dim: boolean, italic: boolean, under: boolean, inverse: boolean, fg: string, bg: string}} Look
 * @typedef {{text: string, look: string}} Piece look: class names, empty for plain text
 */

/** @returns {Look} */
export function plain() {
  return { bold: false, dim: false, italic: false, under: false, inverse: false, fg: "", bg: "" };
}

// CSI sequences, OSC up to its end, other escapes, and lone control characters other than tab.
const CONTROLS =
  /\x1b\[([0-9;:?<=>!]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[PX^_][^\x1b]*(?:\x1b\\)?|\x1b[ -/]*[0-~]?|[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;
const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/**
 * The pieces of a line. `look` goes on from piece to piece and line to line.
 *
 * @param {string} line
 * @param {Look} look
 * @returns {Piece[]}
 */
export function pieces(line, look) {
  const rewritten = overwritten(line);
  /** @type {Piece[]} */
  const found = [];
  let from = 0;
  CONTROLS.lastIndex = 0;
  for (let match = CONTROLS.exec(rewritten); match; match = CONTROLS.exec(rewritten)) {
    if (match.index > from) found.push({ text: rewritten.slice(from, match.index), look: classes(look) });
    from = CONTROLS.lastIndex;
    if (match[2] === "m" && !/[?<=>!]/.test(match[1] ?? "")) apply(match[1] ?? "", look);
  }
  if (from < rewritten.length) found.push({ text: rewritten.slice(from), look: classes(look) });
  return found;
}

/**
 * Where a piece of a line ends that begins at a place and shows a number of characters: `to`, and `since`, behind
 * the last control sequence in it. A sequence shows nothing, is never cut in two, and stays with what it follows.
 *
 * @param {string} text
 * @returns {(from: number, columns: number) => {to: number, since: number}}
 */
export function pieceOf(text) {
  // The next sequence, for places from `known` on: a line without any is looked through once.
  let known = 0;
  let begin = -1;
  let end = -1;
  /** @param {number} from */
  function next(from) {
    if (from >= known && from <= begin) return;
    CONTROLS.lastIndex = known = from;
    const match = CONTROLS.exec(text);
    begin = match ? match.index : text.length;
    end = match ? CONTROLS.lastIndex : text.length;
  }
  return (from, columns) => {
    let since = from;
    for (let room = columns; ;) {
      next(since);
      if (begin - since > room) return { to: since + room, since };
      if (begin === text.length) return { to: begin, since };
      room -= begin - since;
      since = end;
    }
  };
}

/**
 * What a line shows in the end that went back to its beginning, as progress bars do.
 *
 * @param {string} line
 */
function overwritten(line) {
  const text = line.endsWith("\r") ? line.slice(0, -1) : line;
  const back = text.lastIndexOf("\r");
  return back < 0 ? text : text.slice(back + 1);
}

/**
 * @param {string} codes
 * @param {Look} look
 */
function apply(codes, look) {
  const numbers = codes.split(/[;:]/).map((code) => Number(code || 0));
  for (let at = 0; at < numbers.length; at += 1) {
    const code = numbers[at] ?? 0;
    if (code === 0) Object.assign(look, plain());
    else if (code === 1) look.bold = true;
    else if (code === 2) look.dim = true;
    else if (code === 3) look.italic = true;
    else if (code === 4) look.under = true;
    else if (code === 7) look.inverse = true;
    else if (code === 22) look.bold = look.dim = false;
    else if (code === 23) look.italic = false;
    else if (code === 24) look.under = false;
    else if (code === 27) look.inverse = false;
    else if (code >= 30 && code <= 37) look.fg = NAMES[code - 30] ?? "";
    else if (code >= 90 && code <= 97) look.fg = `bright-${NAMES[code - 90]}`;
    else if (code === 39) look.fg = "";
    else if (code >= 40 && code <= 47) look.bg = NAMES[code - 40] ?? "";
    else if (code >= 100 && code <= 107) look.bg = `bright-${NAMES[code - 100]}`;
    else if (code === 49) look.bg = "";
    else if (code === 38 || code === 48) {
      const name = numbers[at + 1] === 5 ? of256(numbers[at + 2] ?? 0) : of24(numbers.slice(at + 2, at + 5));
      if (code === 38) look.fg = name;
      else look.bg = name;
      at += numbers[at + 1] === 5 ? 2 : 4;
    }
  }
}

/** The nearest of the sixteen colours, which the page has in light and dark. @param {number} code */
function of256(code) {
  if (code < 8) return NAMES[code] ?? "";
  if (code < 16) return `bright-${NAMES[code - 8]}`;
  if (code >= 232) return code < 244 ? "bright-black" : "white";
  const at = code - 16;
  return of24([Math.floor(at / 36) * 51, (Math.floor(at / 6) % 6) * 51, (at % 6) * 51]);
}

/** @param {number[]} rgb */
function of24([r = 0, g = 0, b = 0]) {
  const most = Math.max(r, g, b);
  const name = NAMES[(r > most / 2 ? 1 : 0) + (g > most / 2 ? 2 : 0) + (b > most / 2 ? 4 : 0)] ?? "";
  if (most < 64) return "bright-black";
  return most > 200 ? `bright-${name}` : name;
}

/** @param {Look} look */
function classes(look) {
  let { fg, bg } = look;
  if (look.inverse) [fg, bg] = [bg || "paper", fg || "ink"];
  const names = [];
  if (fg) names.push(`fg-${fg}`);
  if (bg) names.push(`bg-${bg}`);
  if (look.bold) names.push("bold");
  if (look.dim) names.push("faint");
  if (look.italic) names.push("italic");
  if (look.under) names.push("under");
  return names.join(" ");
}
