/**
 * The server's token: from the link that `serve` prints, else asked of the person once.
 *
 * It is held in memory alone. It never stands in an address that is asked for, and goes from the address
 * bar as soon as it was read.
 */

/** @type {string | undefined} */
let token;

/** Takes the token out of the fragment of the address; what else stands there stays. */
export function takeFromAddress() {
  const found = /^#?(?:(.*)&)?token=([^&]+)$/.exec(location.hash) ?? /^#(.*)[?&]token=([^&]+)$/.exec(location.hash);
  if (!found) return;
  token = decodeURIComponent(found[2] ?? "");
  history.replaceState(null, "", `${location.pathname}${location.search}#${(found[1] ?? "").replace(/^#/, "")}`);
}

/** @param {string} given */
export function setToken(given) {
  token = given.trim() || undefined;
}

export function hasToken() {
  return token !== undefined;
}

/** Forgets a token that is not the server's. */
export function forgetToken() {
  token = undefined;
}

/**
 * The headers of a request.
 *
 * @param {Record<string, string>} [more]
 * @returns {Record<string, string>}
 */
export function headers(more = {}) {
  const all = { ...more, "X-Conductor-Client": "web-ui" };
  return token === undefined ? all : { ...all, Authorization: `Bearer ${token}` };
}
