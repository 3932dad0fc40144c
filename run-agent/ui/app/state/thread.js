/**
 * The messages of a bus: each once, in their order, with those that answer behind those that asked.
 *
 * @typedef {import("../net/types.js").Message} Message
 * @typedef {{message: Message, depth: number, answered: boolean}} Shown
 */

/** Messages that are held; the oldest go. */
const HELD = 10_000;
/** Replies are set in so far. */
const DEEPEST = 4;

export class Thread {
  constructor() {
    /** @type {Map<string, Message>} by id, in order */
    this.messages = new Map();
    /** @type {Map<string, number>} */
    this.types = new Map();
    /** @type {Set<string>} */
    this.runs = new Set();
    /** @type {Set<string>} */
    this.answered = new Set();
    /** @type {{event: string, data: Record<string, unknown>}[]} */
    this.holes = [];
    this.hasEarlier = false;
    this.version = 0;
    /** @type {{key: string, shown: Shown[]} | undefined} */
    this.known = undefined;
  }

  get size() {
    return this.messages.size;
  }

  /** Takes messages in; those that are known change nothing. @param {Message[]} messages */
  add(messages) {
    const fresh = messages.filter(({ msg_id }) => !this.messages.has(msg_id));
    if (fresh.length === 0) return;
    const last = [...this.messages.keys()].at(-1) ?? "";
    for (const message of fresh) {
      this.messages.set(message.msg_id, message);
      this.types.set(message.type, (this.types.get(message.type) ?? 0) + 1);
      if (message.run_id) this.runs.add(message.run_id);
      if (message.type === "ANSWER") for (const parent of parents(message)) this.answered.add(parent);
    }
    // The ids of a bus are in the order of time: earlier ones came in late.
    if (fresh.some(({ msg_id }) => msg_id < last)) {
      this.messages = new Map([...this.messages].sort(([a], [b]) => (a < b ? -1 : 1)));
    }
    for (const id of this.messages.keys()) {
      if (this.messages.size <= HELD) break;
      this.messages.delete(id);
      this.hasEarlier = true;
    }
    this.version += 1;
  }

  /** @param {string} event @param {Record<string, unknown>} data */
  noteHole(event, data) {
    this.holes.push({ event, data });
  }

  /** @param {Message} message */
  parentOf(message) {
    const id = parents(message).find((id) => this.messages.has(id));
    return id === undefined ? undefined : this.messages.get(id);
  }

  /**
   * What is shown: all in order, or threads where nothing is filtered out of them.
   *
   * @param {string} text
   * @param {Set<string>} types
   * @param {string} run
   * @returns {Shown[]}
   */
  chosen(text, types, run) {
    const key = `${this.version} ${text} ${[...types].join()} ${run}`;
    if (this.known?.key === key) return this.known.shown;
    /** @type {Shown[]} */
    const shown = [];
    const filtered = text !== "" || types.size > 0 || run !== "";
    /** @type {Map<string, Message[]>} */
    const replies = new Map();
    /** @type {Message[]} */
    const tops = [];
    for (const message of this.messages.values()) {
      if (filtered) {
        const fits = (types.size === 0 || types.has(message.type)) && (run === "" || message.run_id === run) && (text === "" || message.body.toLowerCase().includes(text) || message.type.toLowerCase().includes(text));
        if (fits) shown.push({ message, depth: 0, answered: this.answered.has(message.msg_id) });
        continue;
      }
      const parent = this.parentOf(message);
      if (!parent || parent.msg_id >= message.msg_id) tops.push(message);
      else replies.set(parent.msg_id, [...(replies.get(parent.msg_id) ?? []), message]);
    }
    /** @type {[Message, number][]} */
    const todo = tops.reverse().map((message) => [message, 0]);
    for (let next = todo.pop(); next; next = todo.pop()) {
      const [message, depth] = next;
      shown.push({ message, depth: Math.min(depth, DEEPEST), answered: this.answered.has(message.msg_id) });
      for (const reply of (replies.get(message.msg_id) ?? []).reverse()) todo.push([reply, depth + 1]);
    }
    this.known = { key, shown };
    return shown;
  }
}

/** The ids that a message names as its parents. @param {Message} message */
export function parents(message) {
  return (message.parents ?? []).map((parent) => (typeof parent === "string" ? parent : parent.msg_id));
}
