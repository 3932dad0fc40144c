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
  const found =
    /^#?(?:(.*)&)?token=([^&]*)$/.exec(location.hash) ?? /^#(.*)[?&]token=([^&]*)$/.exec(location.hash);
  if (!found) return;
  try {
    setToken(decodeURIComponent(found[2] ?? ""));
  } catch {
    // Cut or mangled on its way here: it is asked for.
    token = undefined;
  }
  history.replaceState(
    null,
    "",
    `${location.pathname}${location.search}#${(found[1] ?? "").replace(/^#/, "")}`,
  );
}

/**
 * Keeps a token; whether it can be one: others cannot be sent.
 *
 * @param {string} given
 */
export function setToken(given) {
  const text = given.trim();
  const fits = /^[\x21-\x7e]+$/.test(text);
  token = fits ? text : undefined;
  return fits;
}

export function currentToken() {
  return token;
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
