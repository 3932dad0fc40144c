/** Showing the page anew at most once a frame, and only while somebody can see it. */

/** @type {(() => void) | undefined} */
let draw;
let asked = false;

/**
 * What draws the page.
 *
 * @param {() => void} how
 */
export function drawWith(how) {
  draw = how;
}

/** Something changed that the page shows. */
export function changed() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    draw?.();
  });
}

/**
 * Calls `what` every `ms` milliseconds while the page can be seen; the answer ends that.
 *
 * @param {number} ms
 * @param {() => void} what
 * @returns {() => void}
 */
export function every(ms, what) {
  const timer = setInterval(() => {
    if (!document.hidden) what();
  }, ms);
  return () => clearInterval(timer);
}
