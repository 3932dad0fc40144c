/**
 * The one connection of the page that tells what comes.
 *
 * It follows the topics that the view wants, and goes on where it was cut: each topic's place is kept, also
 * while the view changes. It is closed while nobody can see the page.
 */

import { ask } from "./api.js";
import { follows, isBlind } from "./following.js";
import { EventReader } from "./sse.js";

/**
 * @typedef {"closed" | "connecting" | "live" | "lost"} Standing
 * @typedef {Record<string, any> & {topic?: string}} Data
 */

/** Without a sign of life for so long the connection counts as lost, in milliseconds. */
const SILENCE = 75_000;
const PAUSES = [300, 1000, 2000, 5000, 10_000];
/** How long a page may be hidden before its connection is closed. */
const PATIENCE = 2000;

export class Live {
  /**
   * @param {(event: string, data: Data) => void} told
   * @param {() => void} changed hears when `standing` changed
   */
  constructor(told, changed) {
    this.told = told;
    this.changed = changed;
    /** @type {Standing} */
    this.standing = "closed";
    /** @type {number | undefined} */
    this.lostAt = undefined;
    /** @type {string[]} */
    this.topics = [];
    /** Where each topic stands. @type {Map<string, string>} */
    this.places = new Map();
    /** @type {AbortController | undefined} */
    this.connection = undefined;
    this.failures = 0;
    this.heardAt = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    setInterval(() => this.listen(), 5000);
    document.addEventListener("visibilitychange", () => this.look());
    addEventListener("online", () => this.again(0));
  }

  /** @param {string[]} topics */
  follow(topics) {
    const wanted = [...new Set(topics)].sort();
    if (wanted.join() === this.topics.join()) return;
    // What is not followed now is read anew when it is wanted again.
    for (const topic of [...this.places.keys()]) if (!wanted.includes(topic)) this.places.delete(topic);
    this.topics = wanted;
    this.failures = 0;
    if (!document.hidden) this.again(0);
  }

  /** Follows a topic from a place that is known otherwise. @param {string} topic @param {string} place */
  from(topic, place) {
    if (!this.places.has(topic)) this.places.set(topic, place);
  }

  look() {
    if (document.hidden) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.close(), PATIENCE);
    } else if (this.standing !== "live") {
      this.again(0);
    } else {
      clearTimeout(this.timer);
    }
  }

  close() {
    this.connection?.abort();
    this.connection = undefined;
    this.stand("closed");
  }

  /** @param {Standing} standing */
  stand(standing) {
    if (standing === this.standing) return;
    this.standing = standing;
    follows(standing === "live");
    if (standing === "lost") this.lostAt ??= Date.now();
    else if (standing !== "connecting") this.lostAt = undefined;
    this.changed();
  }

  /** Notices a connection that is dead without having been told so. */
  listen() {
    if (this.standing === "live" && Date.now() - this.heardAt > SILENCE) this.fail();
  }

  /** @param {number} ms */
  again(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.connect(), ms);
  }

  fail() {
    this.connection?.abort();
    this.connection = undefined;
    if (document.hidden) return this.stand("closed");
    this.stand("lost");
    this.again(PAUSES[Math.min(this.failures, PAUSES.length - 1)] ?? 0);
    this.failures += 1;
  }

  async connect() {
    this.connection?.abort();
    if (this.topics.length === 0) return this.close();
    const connection = new AbortController();
    this.connection = connection;
    const topics = this.topics;
    if (this.standing === "closed") this.stand("connecting");
    const places = topics.map((topic) => this.places.get(topic) ?? "");
    /** @type {Record<string, string>} */
    const known = places.some((place) => place !== "") ? { "Last-Event-ID": places.join(",") } : {};
    try {
      const query = encodeURIComponent(topics.join(","));
      const response = await ask(`/api/v1/events?topics=${query}`, {
        headers: { ...known, Accept: "text/event-stream" },
        signal: connection.signal,
        cache: "no-store",
      });
      if (!response.ok || !response.body) throw new Error(`status ${response.status}`);
      const reader = response.body.getReader();
      const events = new EventReader(
        (told) => this.hear(told.event, told.data),
        (id) => id.split(",").forEach((place, at) => this.places.set(topics[at] ?? "", place)),
      );
      for (;;) {
        const { done, value } = await reader.read();
        if (connection.signal.aborted) return;
        if (done) break;
        this.heardAt = Date.now();
        this.failures = 0;
        this.stand("live");
        events.take(value);
      }
    } catch {
      if (connection.signal.aborted) return;
    }
    if (this.connection === connection) this.fail();
  }

  /**
   * @param {string} event
   * @param {string} text
   */
  hear(event, text) {
    /** @type {Data} */
    let data;
    try {
      data = JSON.parse(text);
    } catch {
      return;
    }
    // An id of which nothing is kept any more: the place is given up, and what is shown is read anew.
    if (event === "resync" && data.topic) this.places.delete(data.topic);
    if (event === "follows" || event === "blind") isBlind(event === "blind");
    else if (event !== "heartbeat") this.told(event, data);
  }
}
