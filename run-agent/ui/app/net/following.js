/**
 * Whether the page hears of all changes, so that it need not look for any.
 *
 * What a view reads before the first connection stands could change unheard in between; so the first reading
 * waits for it, a moment at most.
 */

/** How long the first reading waits, in milliseconds. */
const PATIENCE = 1500;

const sight = { live: false, blind: false };
/** @type {() => void} */
let begin = () => {};
/** Over when the page follows, or will not soon. @type {Promise<void>} */
export const following = new Promise((resolve) => {
  begin = resolve;
  setTimeout(resolve, PATIENCE);
});

/** @param {boolean} live whether the connection stands */
export function follows(live) {
  sight.live = live;
  if (live) begin();
}

/** The server cannot watch everything. @param {boolean} blind */
export function isBlind(blind) {
  sight.blind = blind;
}

/** Whether there may be changes that the page is not told of. */
export function mustLook() {
  return !sight.live || sight.blind;
}
