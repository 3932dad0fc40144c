/**
 * What a view of the page is.
 *
 * @typedef {object} View
 * @property {string} title for the window
 * @property {() => import("../dom/h.js").VNode} render what is shown now; cheap, as it is called often
 * @property {string[]} topics what it wants to be told of
 * @property {(event: string, data: import("../net/live.js").Data) => void} [hear] something came
 * @property {() => void} [refresh] what is shown may be old: the connection was lost for a while
 * @property {() => void} [tick] called every second while the page can be seen
 * @property {(event: KeyboardEvent) => boolean} [key] a key was pressed outside of fields; whether it was for it
 * @property {() => void} [dispose]
 * @property {() => void} [moved] the part behind the question mark changed
 */
export {};
