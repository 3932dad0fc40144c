/**
 * A night's work: a root with tasks in all states that the dashboard tells apart, made by real runs of small
 * scripts in the place of agents.
 */

import path from "node:path";
import { DONE, until, WORKSPACE } from "./sandbox.js";

const STREAMS = path.join(WORKSPACE, "tests/fixtures/agent-streams");
const COLOURS = "printf '\\033[1mRunning 12 tests\\033[0m\\n\\033[32mok\\033[0m 11 passed\\n\\033[31mFAILED\\033[0m 1 failed: \\033[4mcart::total\\033[0m\\n'";
const RESULT = `# Login by mail link

The form asks for an address and sends a link that is good for **15 minutes**.

| Part | State |
| --- | --- |
| form | done |
| mail | done, with a queue |
| limits | 5 links an hour |

- [x] tests pass
- [ ] translations

\`\`\`rust
fn expires(sent: Timestamp) -> Timestamp { sent + MINUTES * 15 }
\`\`\`

See <https://example.org/login> for the design.
`;

const PROMPT = `# Log in by mail

Build the **login form** without passwords:

1. the form, with one field
2. the mail, through the queue
3. limits: 5 links an hour for each address

> Keep the old form until all shops have moved.

Run \`make test\` before you call it done.
`;

/**
 * @param {import("./sandbox.js").Sandbox} sandbox
 * @param {import("./sandbox.js").Server} server
 */
export async function night(sandbox, server) {
  // A stand-in that prints a recorded session, with its tokens and cost, and then does what the prompt says.
  sandbox.agent("claude", `case "$1" in --version) echo '2.1.197 (Claude Code)'; exit;; --help) exit;; esac
cat >/dev/null
cat '${STREAMS}/synthetic-claude-turns.stdout'
cat >"$JRUN_RUN_FOLDER/output.md" <<'EOF'
${RESULT}EOF
run-agent bus post --type FACT --body 'Mails leave through the queue.'
run-agent bus post --type DECISION --body 'Links are good for 15 minutes.'
${DONE}`);
  await server.start("shop", "task-20261127-210000-search-index", `echo 'building the index'; echo 'no space for shard 7' >&2; exit 3`, { max_attempts: 2 });
  await server.start("shop", "task-20261127-211500-cart-totals", `${COLOURS}; for step in 1 2 3; do echo "step $step"; done; sleep 3600`);
  await server.start("shop", "cleanup", "echo cleaning; sleep 3600");
  const asks = `run-agent bus post --type QUESTION --body 'The old payment provider ends in March. **Shall I move all shops to the new one**, or only those that ask?'; exit 1`;
  await sandbox.cli("task", "--detach", "--project", "shop", "--task", "payments", "--agent", "shell", "--on-question", "wait", "--question-timeout", "8h", "--max-attempts", "5", "--prompt", asks);
  await sandbox.cli("task", "--detach", "--project", "shop", "--task", "login", "--agent", "claude", "--verify", "echo '42 tests, 42 passed'; test -e .", "--max-attempts", "10", "--max-cost-usd", "5", "--max-wall", "2h", "--prompt", PROMPT);
  await server.start("shop", "deploy", DONE, { depends_on: ["payments"] });
  const child = "run-agent job --agent shell --task split --prompt";
  await server.start("shop", "split", `${child} 'echo part one' ; ${child} 'echo part two; exit 1'; ${child} 'sleep 3600'`);
  await server.start("docs", "guide", `echo '# A guide' > "$JRUN_RUN_FOLDER/output.md"; ${DONE}`);
  await server.start("docs", "spelling", DONE);
  await server.stands("shop", "task-20261127-210000-search-index", "failed");
  await server.stands("shop", "payments", "question");
  await server.stands("shop", "login", "done");
  // What a run used is counted behind its end.
  await until("what login cost is known", async () => (await server.stands("shop", "login", "done")).runs.some((/** @type {{cost_usd?: number}} */ run) => run.cost_usd !== undefined));
  await server.stands("docs", "guide", "done");
  await server.stands("docs", "spelling", "done");
  for (const task of ["task-20261127-211500-cart-totals", "split", "cleanup"]) await server.stands("shop", task, "running");
  await server.post("/api/projects/shop/tasks/cleanup/stop", { reason: "the wrong branch" });
  await server.stands("shop", "cleanup", "stopped");
  const question = await server.say("shop", undefined, { type: "QUESTION", body: "Which shop goes first?" });
  await server.say("shop", undefined, { type: "ANSWER", body: "The smallest one.", parents: [question] });
  await server.say("shop", undefined, { type: "FACT", body: "The staging shop is `shop-7`." });
}
