/**
 * The streams of agents in words: what an agent said, which tools it used, and what came of them, in place of the
 * JSON that it prints. A line that is none of that stays as it is.
 *
 * The words get colours as terminals know them, which the log shows.
 */

/** The kinds of agents whose streams are known. */
export const TELLERS = new Set(["claude", "codex", "gemini"]);

/** The longest piece of a tool's words, in characters. */
const LONGEST = 4000;

const bold = (/** @type {string} */ text) => `\x1b[1m${text}\x1b[22m`;
const faint = (/** @type {string} */ text) => `\x1b[2m${text}\x1b[22m`;
const cyan = (/** @type {string} */ text) => `\x1b[36m${text}\x1b[39m`;
const red = (/** @type {string} */ text) => `\x1b[31m${text}\x1b[39m`;
const green = (/** @type {string} */ text) => `\x1b[32m${text}\x1b[39m`;

/**
 * @param {string} line
 * @returns {string}
 */
export function told(line) {
  if (!line.startsWith("{")) return line;
  /** @type {any} */
  let record;
  try {
    record = JSON.parse(line);
  } catch {
    return line;
  }
  const text = ofClaude(record) ?? ofCodex(record) ?? ofGemini(record);
  return text === undefined ? line : text;
}

/** @param {unknown} value */
function words(value) {
  const text =
    typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value);
  return text.length > LONGEST
    ? `${text.slice(0, LONGEST)}… ${text.length - LONGEST} more characters`
    : text.trimEnd();
}

/** Lines below a sign. @param {string} text */
function below(text) {
  return text === ""
    ? ""
    : text
        .split("\n")
        .map((line) => `  ${line}`)
        .join("\n");
}

/** @param {string} name @param {unknown} input */
function tool(name, input) {
  const { command, file_path, path, pattern, url, prompt, description } = /** @type {any} */ (input ?? {});
  const short = command ?? file_path ?? path ?? pattern ?? url ?? prompt ?? description;
  return `${cyan(`▸ ${name}`)} ${words(short ?? input)}`;
}

/** @param {string} text @param {boolean} bad */
function outcome(text, bad) {
  if (text === "") return bad ? red("  it failed") : "";
  return bad ? red(below(text)) : faint(below(text));
}

/** @param {any} block @returns {string} */
function block(block) {
  switch (block?.type) {
    case "text":
      return words(block.text);
    case "thinking":
      return faint(below(words(block.thinking)));
    case "tool_use":
      return tool(words(block.name), block.input);
    case "tool_result":
      return outcome(contents(block.content), block.is_error === true);
    default:
      return block?.type ? faint(`(${words(block.type)})`) : "";
  }
}

/** @param {any} content */
function contents(content) {
  if (!Array.isArray(content)) return words(content);
  return content
    .map((part) => (part?.type === "text" ? words(part.text) : faint(`(${words(part?.type)})`)))
    .join("\n");
}

/** @param {any} record @returns {string | undefined} */
function ofClaude(record) {
  switch (record.type) {
    case "system":
      return record.subtype === "init"
        ? faint(`session ${words(record.session_id)}, ${words(record.model)}`)
        : faint(`(${words(record.subtype)})`);
    case "assistant":
    case "user": {
      const { content } = record.message ?? {};
      if (typeof content === "string") return words(content);
      return Array.isArray(content) ? content.map(block).filter(Boolean).join("\n") : undefined;
    }
    case "stream_event": {
      const { delta, type } = record.event ?? {};
      return delta?.text !== undefined ? words(delta.text) : faint(`(${words(type)})`);
    }
    case "result": {
      if (record.num_turns === undefined && record.total_cost_usd === undefined) return undefined;
      const cost = typeof record.total_cost_usd === "number" ? `, $${record.total_cost_usd.toFixed(2)}` : "";
      const bad = record.is_error === true;
      return bad
        ? red(bold(`✗ ${words(record.subtype)}: ${words(record.result)}`))
        : green(bold(`✓ done after ${words(record.num_turns)} turns${cost}`));
    }
    default:
      return undefined;
  }
}

/** @param {any} record @returns {string | undefined} */
function ofCodex(record) {
  const { item } = record;
  switch (record.type) {
    case "thread.started":
      return faint(`session ${words(record.thread_id)}`);
    case "turn.started":
      return faint("(turn)");
    case "turn.completed":
      return green(
        `✓ turn completed, ${words((record.usage?.input_tokens ?? 0) + (record.usage?.output_tokens ?? 0))} tokens`,
      );
    case "turn.failed":
    case "error":
      return red(bold(`✗ ${words(record.error?.message ?? record.message)}`));
    case "item.started":
      return item?.type === "command_execution" ? tool("shell", item) : "";
    case "item.updated":
      return "";
    case "item.completed":
      switch (item?.type) {
        case "agent_message":
          return words(item.text);
        case "reasoning":
          return faint(below(words(item.text)));
        case "command_execution":
          return (
            outcome(words(item.aggregated_output), item.exit_code !== 0) ||
            (item.exit_code === 0 ? faint("  done") : red(`  exit code ${words(item.exit_code)}`))
          );
        case "error":
          return red(words(item.message));
        default:
          return tool(words(item?.type), item);
      }
    default:
      return undefined;
  }
}

/** @param {any} record @returns {string | undefined} */
function ofGemini(record) {
  switch (record.type) {
    case "init":
      return faint(`session ${words(record.session_id)}, ${words(record.model)}`);
    case "message":
      return record.role === "user" ? faint(below(words(record.content))) : words(record.content);
    case "tool_use":
      return tool(words(record.tool_name), record.parameters);
    case "tool_result":
      return outcome(words(record.output), record.status !== "success") || faint("  done");
    case "result":
      return record.status === "success"
        ? green(bold(`✓ done, ${words(record.stats?.total_tokens)} tokens`))
        : red(bold(`✗ ${words(record.error?.message ?? record.status)}`));
    default:
      return undefined;
  }
}
