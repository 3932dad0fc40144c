/** Reading `text/event-stream` from bytes as they come. */

/**
 * @typedef {{event: string, data: string}} Told
 */

export class EventReader {
  /**
   * @param {(told: Told) => void} told
   * @param {(id: string) => void} at hears the id behind what was told
   */
  constructor(told, at) {
    this.told = told;
    this.at = at;
    this.decoder = new TextDecoder();
    /** The beginning of a line whose end is not there yet. */
    this.rest = "";
    this.event = "";
    /** @type {string[]} */
    this.data = [];
    /** @type {string | undefined} */
    this.id = undefined;
  }

  /** @param {Uint8Array} bytes */
  take(bytes) {
    const lines = (this.rest + this.decoder.decode(bytes, { stream: true })).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.line(line.endsWith("\r") ? line.slice(0, -1) : line);
  }

  /** @param {string} line */
  line(line) {
    if (line === "") return this.end();
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (name === "event") this.event = value;
    else if (name === "data") this.data.push(value);
    else if (name === "id") this.id = value;
  }

  end() {
    if (this.data.length > 0) this.told({ event: this.event || "message", data: this.data.join("\n") });
    if (this.id !== undefined) this.at(this.id);
    this.event = "";
    this.data = [];
    this.id = undefined;
  }
}
