/**
 * Places of the page as addresses: `#/projects/P/tasks/T?tab=log`.
 *
 * They stand in the fragment, so that the page works from any web server, and the token's link from `serve`
 * leads here, too.
 *
 * @typedef {{path: string[], query: URLSearchParams}} Place
 */

/** @returns {Place} */
export function here() {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return { path: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

/** @param {string} piece */
function decode(piece) {
  try {
    return decodeURIComponent(piece);
  } catch {
    return piece;
  }
}

/**
 * The address of a place.
 *
 * @param {string[]} path
 * @param {Record<string, string | undefined>} [query]
 */
export function to(path, query = {}) {
  const known = Object.entries(query).filter(([, value]) => value);
  const text = new URLSearchParams(/** @type {[string, string][]} */ (known)).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

/** @param {string} project */
export const toProject = (project) => to(["projects", project]);
/** @param {string} project @param {string} task */
export const toTask = (project, task) => to(["projects", project, "tasks", task]);
/** @param {string} project @param {string} task @param {string} run @param {string} [tab] */
export const toRun = (project, task, run, tab) => to(["projects", project, "tasks", task, "runs", run], { tab });
/** @param {string} project @param {string} [task] */
export const toBus = (project, task) =>
  to(task ? ["projects", project, "tasks", task, "bus"] : ["projects", project, "bus"]);

/** @param {string} address */
export function go(address) {
  location.hash = address;
}

/**
 * Changes what stands behind the question mark, without a step for the back button.
 *
 * @param {Record<string, string | undefined>} query
 */
export function note(query) {
  const place = here();
  const all = { ...Object.fromEntries(place.query), ...query };
  history.replaceState(null, "", to(place.path, all));
}

/**
 * A click beside the link of a row counts as one on it, unless a text is selected there.
 *
 * @param {MouseEvent} event
 */
export function openLink(event) {
  const row = event.currentTarget;
  if (!(row instanceof Element) || (event.target instanceof Element && event.target.closest("a, button, input"))) return;
  if (getSelection()?.toString()) return;
  const link = row.querySelector("a.cover");
  if (link instanceof HTMLElement) link.click();
}
