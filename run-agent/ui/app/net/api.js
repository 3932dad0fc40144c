/** Asking the server: JSON in, JSON out, one clear error. */

import { following } from "./following.js";
import { currentToken, forgetToken, headers } from "./token.js";

/** An answer that is no success. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {string} [code] the stable dotted code
   * @param {string} [hint] the way out
   */
  constructor(status, message, code, hint) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = hint;
  }
}

/** @type {((wrong: boolean) => Promise<void>) | undefined} */
let askForToken;
/** @type {Promise<void> | undefined} */
let asking;
/** Whether the person turned away from giving it: then only what they do themselves asks again. */
let declined = false;

/**
 * What asks the person for the token.
 *
 * @param {(wrong: boolean) => Promise<void>} how hears whether one was given that is not the server's
 */
export function askWith(how) {
  askForToken = how;
}

/** Asks for the token; one dialog however many requests need it. @param {boolean} [wrong] */
function needToken(wrong = false) {
  asking ??= (askForToken ?? (() => Promise.reject(new ApiError(401, "the server wants its token"))))(wrong)
    .then(
      () => {
        declined = false;
      },
      (error) => {
        declined = true;
        throw error;
      },
    )
    .finally(() => {
      asking = undefined;
    });
  return asking;
}

/** Whether the page does without the token although the server wants it. */
export function isDeclined() {
  return declined;
}

/** Asks for the token once more. */
export function giveToken() {
  return needToken();
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<Response>}
 */
export async function ask(path, init = {}) {
  for (;;) {
    const used = currentToken();
    let response;
    try {
      response = await fetch(path, {
        ...init,
        headers: headers(/** @type {Record<string, string>} */ (init.headers)),
        credentials: "omit",
        redirect: "error",
        referrerPolicy: "no-referrer",
      });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new ApiError(0, "the server does not answer", "net.unreachable");
    }
    if (response.status !== 401) return response;
    // Another one was given while this was on its way.
    if (used !== currentToken()) continue;
    forgetToken();
    if (declined && (init.method ?? "GET") === "GET")
      throw new ApiError(401, "this needs the server's token", "token.missing");
    await needToken(used !== undefined);
  }
}

/** @param {Response} response */
async function failure(response) {
  /** @type {any} */
  const body = await response.json().catch(() => ({}));
  const error = body.error ?? {};
  const message =
    typeof error === "string" ? (body.message ?? error) : (error.message ?? response.statusText);
  return new ApiError(response.status, message, error.details?.code, error.details?.hint);
}

/**
 * Reads something.
 *
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(path, signal) {
  await following;
  const response = await ask(path, signal ? { signal } : {});
  if (!response.ok) throw await failure(response);
  return response.json();
}

/**
 * Makes a change.
 *
 * @param {string} path
 * @param {unknown} [body]
 * @param {"POST" | "DELETE"} [method]
 * @returns {Promise<any>}
 */
export async function send(path, body = {}, method = "POST") {
  const response = await ask(path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw await failure(response);
  return response.status === 204 ? undefined : response.json();
}

/**
 * A range of bytes of a file of a run. `size` is the present length of the whole file.
 *
 * @param {string} path
 * @param {number} from
 * @param {number} to the first byte that is not wanted
 * @param {AbortSignal} [signal]
 * @returns {Promise<{bytes: Uint8Array, from: number, size: number}>}
 */
export async function range(path, from, to, signal) {
  const init = { headers: { Range: `bytes=${from}-${Math.max(from, to - 1)}` } };
  const response = await ask(path, signal ? { ...init, signal } : init);
  if (response.status === 404) return { bytes: new Uint8Array(), from: 0, size: 0 };
  const told = response.headers.get("Content-Range") ?? "";
  const whole = /\/(\d+)$/.exec(told);
  if (response.status === 416) return { bytes: new Uint8Array(), from, size: Number(whole?.[1] ?? 0) };
  if (!response.ok) throw await failure(response);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const begin = /bytes (\d+)-/.exec(told);
  return { bytes, from: Number(begin?.[1] ?? 0), size: Number(whole?.[1] ?? bytes.length) };
}

/**
 * A path of encoded pieces.
 *
 * @param {TemplateStringsArray} texts
 * @param {...string} ids
 */
export function path(texts, ...ids) {
  return texts.reduce((all, text, at) => all + encodeURIComponent(ids[at - 1] ?? "") + text);
}
