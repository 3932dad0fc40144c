/**
 * A page as a tree of plain values, and bringing a part of the document into that form.
 *
 * Text becomes text nodes and nothing else: there is no way through here by which a text could become
 * markup. A link leads to a place of this page or to a web address.
 *
 * @typedef {string | number | boolean | null | undefined} Plain
 * @typedef {VElement | VText | VIsland} VNode
 * @typedef {VNode | Plain | Child[]} Child
 * @typedef {Record<string, unknown> & {key?: string | number, class?: string}} Props
 */

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path", "circle", "rect", "line", "g", "text", "polyline", "title"]);
const FORBIDDEN = new Set(["script", "style", "iframe", "object", "embed", "link", "meta", "base", "form"]);
/** What is a property of elements rather than an attribute. */
const PROPERTIES = new Set(["value", "checked", "disabled", "open", "scrollTop", "tabIndex", "indeterminate"]);

/** An element. */
export class VElement {
  /**
   * @param {string} tag
   * @param {Props} props
   * @param {VNode[]} kids
   */
  constructor(tag, props, kids) {
    this.tag = tag;
    this.key = props.key === undefined ? undefined : String(props.key);
    this.props = props;
    this.kids = kids;
    /** @type {Element | undefined} */
    this.el = undefined;
  }
}

/** A text. */
export class VText {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
    /** @type {string | undefined} */
    this.key = undefined;
    /** @type {Text | undefined} */
    this.el = undefined;
  }
}

/**
 * A part of the document that looks after itself, as a list of which only a part is there.
 *
 * @template P
 * @typedef {{el: Element, update(props: P): void, dispose(): void}} Island
 */
export class VIsland {
  /**
   * @param {string} key
   * @param {(props: any) => Island<any>} create
   * @param {any} props
   */
  constructor(key, create, props) {
    this.key = key;
    this.create = create;
    this.props = props;
    /** @type {Island<any> | undefined} */
    this.island = undefined;
    /** @type {Element | undefined} */
    this.el = undefined;
  }
}

/**
 * An element with its attributes, listeners (`onclick`), properties and children.
 *
 * @param {string} tag
 * @param {Props | null} [props]
 * @param {...Child} kids
 * @returns {VElement}
 */
export function h(tag, props, ...kids) {
  if (FORBIDDEN.has(tag)) throw new Error(`<${tag}> has no place in the page`);
  return new VElement(tag, props ?? {}, flat(kids, []));
}

/**
 * A part that looks after itself; made once for each key.
 *
 * @template P
 * @param {string} key
 * @param {(props: P) => Island<P>} create
 * @param {P} props
 */
export function island(key, create, props) {
  return new VIsland(key, create, props);
}

/**
 * @param {Child[]} kids
 * @param {VNode[]} into
 */
function flat(kids, into) {
  for (const kid of kids) {
    if (Array.isArray(kid)) flat(kid, into);
    else if (kid instanceof VElement || kid instanceof VText || kid instanceof VIsland) into.push(kid);
    else if (kid !== null && kid !== undefined && kid !== false && kid !== true) into.push(new VText(String(kid)));
  }
  return into;
}

/**
 * Brings the children of `parent` from the form `before` to the form `after`.
 *
 * @param {Element} parent
 * @param {VNode[]} before
 * @param {VNode[]} after
 */
export function patch(parent, before, after) {
  /** @type {Map<string, VNode>} */
  const known = new Map();
  names(before, (name, node) => known.set(name, node));
  names(after, (name, node) => {
    const old = known.get(name);
    if (old && adopt(old, node)) known.delete(name);
    else create(node);
  });
  for (const old of known.values()) remove(old);
  /** @type {ChildNode | null} */
  let place = parent.firstChild;
  for (const node of after) {
    const el = /** @type {ChildNode} */ (node.el);
    if (el === place) place = place.nextSibling;
    else parent.insertBefore(el, place);
  }
}

/**
 * Names each node: by its key, else by its kind and its place among those of its kind.
 *
 * @param {VNode[]} nodes
 * @param {(name: string, node: VNode) => void} told
 */
function names(nodes, told) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const node of nodes) {
    const kind = node instanceof VElement ? node.tag : node instanceof VText ? "#text" : "#island";
    if (node.key !== undefined) {
      told(`${kind} ${node.key}`, node);
      continue;
    }
    const count = counts.get(kind) ?? 0;
    counts.set(kind, count + 1);
    told(`${kind}#${count}`, node);
  }
}

/**
 * Gives the element of an old node to a new one; whether it fits.
 *
 * @param {VNode} old
 * @param {VNode} node
 */
function adopt(old, node) {
  if (old instanceof VText && node instanceof VText) {
    node.el = old.el;
    if (node.el && old.text !== node.text) node.el.data = node.text;
    return true;
  }
  if (old instanceof VIsland && node instanceof VIsland) {
    if (old.create !== node.create) return false;
    node.island = old.island;
    node.el = old.el;
    node.island?.update(node.props);
    return true;
  }
  if (!(old instanceof VElement && node instanceof VElement && old.el)) return false;
  node.el = old.el;
  setAll(old.el, old.props, node.props);
  patch(old.el, old.kids, node.kids);
  return true;
}

/** @param {VNode} node */
function create(node) {
  if (node instanceof VText) {
    node.el = document.createTextNode(node.text);
  } else if (node instanceof VIsland) {
    node.island = node.create(node.props);
    node.el = node.island.el;
  } else {
    const el = SVG_TAGS.has(node.tag)
      ? document.createElementNS(SVG, node.tag)
      : document.createElement(node.tag);
    node.el = el;
    patch(el, [], node.kids);
    setAll(el, {}, node.props);
  }
}

/** @param {VNode} node */
function remove(node) {
  dispose(node);
  node.el?.remove();
}

/**
 * Ends the parts below a node that look after themselves.
 *
 * @param {VNode} node
 */
function dispose(node) {
  if (node instanceof VIsland) node.island?.dispose();
  else if (node instanceof VElement) node.kids.forEach(dispose);
}

/**
 * @param {Element} el
 * @param {Props} before
 * @param {Props} after
 */
function setAll(el, before, after) {
  for (const name in before) if (!(name in after)) set(el, name, undefined, before[name]);
  for (const name in after) {
    // What a person typed may differ from what was set last.
    if (after[name] !== before[name] || PROPERTIES.has(name)) set(el, name, after[name], before[name]);
  }
}

/**
 * @param {Element} el
 * @param {string} name
 * @param {unknown} value
 * @param {unknown} before
 */
function set(el, name, value, before) {
  const any = /** @type {any} */ (el);
  if (name === "key") return;
  if (name === "ref") {
    if (value !== before && typeof value === "function") value(el);
  } else if (name.startsWith("on")) {
    any[name] = typeof value === "function" ? value : null;
  } else if (name === "vars") {
    // Custom properties: numbers and colours of this page, for its own style sheets.
    const style = /** @type {HTMLElement} */ (el).style;
    for (const [key, text] of Object.entries(value ?? {})) style.setProperty(`--${key}`, String(text));
  } else if (PROPERTIES.has(name)) {
    if (any[name] !== value) any[name] = value ?? (typeof any[name] === "boolean" ? false : "");
  } else if (value === undefined || value === null || value === false) {
    el.removeAttribute(name);
  } else if (name === "href") {
    if (isSafe(String(value))) el.setAttribute(name, String(value));
    else el.removeAttribute(name);
  } else if (name !== "src" && name !== "srcdoc" && name !== "style") {
    el.setAttribute(name, value === true ? "" : String(value));
  }
}

/**
 * Whether a link may lead there: to a place of this page, or to a web or mail address.
 *
 * @param {string} href
 */
export function isSafe(href) {
  return href.startsWith("#") || /^(https?:\/\/|mailto:)/i.test(href);
}
