//! The real programs of Claude Code, Codex, Gemini CLI, Qwen Code and opencode, as the npm registry has
//! them, driven by `run-agent task` against a stand-in for their models. The last two are agents of the
//! configuration alone, as `examples/config/agents.yaml` has them.
//!
//! Nobody runs them unasked: `CONDUCTOR_REAL_AGENTS=claude,codex,gemini,qwen,opencode` names those that
//! are meant.
//! Each is installed into a folder of its own (below `CONDUCTOR_REAL_AGENTS_FOLDER`, if that is set, to
//! be there the next time). What runs afterwards has a network of its own, with a loopback and nothing
//! else: it can call neither its maker nor anybody.

use conductor_tests::http::Server;
use conductor_tests::process::Finished;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::{artifacts, model, tools};
use serde_json::json;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Names the agents that shall be tried, separated by commas.
const ASKED_FOR: &str = "CONDUCTOR_REAL_AGENTS";
/// The folder that keeps what was installed.
const KEPT: &str = "CONDUCTOR_REAL_AGENTS_FOLDER";
/// Which agent the test inside the namespace is about, and where its program is.
const INSIDE: &str = "CONDUCTOR_REAL_AGENT_INSIDE";
const PROGRAMS: &str = "CONDUCTOR_REAL_AGENT_PROGRAMS";

/// What the agent's own tool tells on the bus.
const TOLD: &str = "told by the agent's own shell tool";
/// A token that no file may hold.
const TOKEN: &str = "sk-standin-0123456789abcdef";

#[derive(Clone, Copy)]
struct Real {
    name: &'static str,
    package: &'static str,
    model: &'static str,
    /// What the configuration says of one that is not built in.
    entry: Option<&'static str>,
}

const REAL: [Real; 5] = [
    Real {
        name: "claude",
        package: "@anthropic-ai/claude-code",
        model: "claude-sonnet-4-5-20250929",
        entry: None,
    },
    Real { name: "codex", package: "@openai/codex", model: "gpt-5", entry: None },
    Real { name: "gemini", package: "@google/gemini-cli", model: "gemini-2.5-flash", entry: None },
    Real {
        name: "qwen",
        package: "@qwen-code/qwen-code",
        model: "qwen3-coder-plus",
        entry: Some(
            "type: command\n    command: [qwen, --approval-mode, yolo, --output-format, stream-json]\n    \
             parser: claude",
        ),
    },
    Real {
        name: "opencode",
        package: "opencode-ai",
        model: "a-model",
        entry: Some("type: command\n    command: [opencode, run, --auto]"),
    },
];

#[test]
fn claude() {
    from_outside(REAL[0]);
}

#[test]
fn codex() {
    from_outside(REAL[1]);
}

#[test]
fn gemini() {
    from_outside(REAL[2]);
}

#[test]
fn qwen() {
    from_outside(REAL[3]);
}

#[test]
fn opencode() {
    from_outside(REAL[4]);
}

/// Installs the agent and calls this program again, without a network.
fn from_outside(real: Real) {
    let asked = std::env::var(ASKED_FOR).unwrap_or_default();
    if !asked.split(',').any(|name| name.trim() == real.name) {
        println!("not run: {ASKED_FOR}={} asks for it", real.name);
        return;
    }
    let (Some(npm), Some(unshare), Some(ip)) =
        (tools::find("npm"), tools::find("unshare"), tools::find("ip"))
    else {
        return;
    };
    let fresh = tempfile::tempdir().expect("a folder");
    let folder = std::env::var_os(KEPT).map_or(fresh.path().to_owned(), PathBuf::from);
    let folder = folder.join(real.name);
    let programs = folder.join("node_modules/.bin");
    if !programs.join(real.name).exists() {
        fs::create_dir_all(&folder).expect("a folder for the agent");
        let mut install = Command::new(npm);
        install.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
        tools::check(install.arg(real.package));
    }
    // Built here: what runs inside may have no way to build.
    artifacts::binary("run-agent", "run-agent");

    let mut again = Command::new(unshare);
    if !rustix::process::geteuid().is_root() {
        again.arg("--map-root-user");
    }
    again.args(["--net", "--", "/bin/sh", "-c", "\"$0\" link set lo up && exec \"$@\""]);
    again.arg(ip).arg(std::env::current_exe().expect("this program"));
    again.args(["--exact", "inside", "--ignored", "--nocapture"]);
    again.env(INSIDE, real.name).env(PROGRAMS, &programs);
    let output = tools::check(&mut again);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "{said}");
    print!("{said}");
}

#[test]
#[ignore = "the other tests run it in a network namespace"]
fn inside() {
    let name = std::env::var(INSIDE).expect("the name of an agent");
    let programs = PathBuf::from(std::env::var_os(PROGRAMS).expect("a folder of programs"));
    let real = REAL.into_iter().find(|real| real.name == name).expect("a known agent");
    let links = fs::read_to_string("/proc/net/dev").expect("the links of this namespace");
    let links: Vec<&str> = links.lines().skip(2).filter_map(|l| l.split(':').next()).collect();
    assert_eq!(links.iter().map(|l| l.trim()).collect::<Vec<_>>(), ["lo"], "only the loopback");

    // The first attempt leaves the task unfinished.
    let command = format!(
        "run-agent bus post --type FACT --body \"{TOLD}\" && cd \"$JRUN_TASK_FOLDER\" && \
         if [ -e first ]; then touch DONE; else touch first; fi"
    );
    let server = model::start(&command);
    let sandbox = Sandbox::new();
    let config = configure(&sandbox, real, &server);
    let ended = run_task(&sandbox, real, &config, &programs);
    for request in server.requests() {
        println!("asked: {} {} ({} bytes)", request.method, request.path, request.body.len());
    }
    let ended = ended.expect_code(0);
    println!("{}", ended.stdout);
    check(&sandbox, real, &server);
}

fn run_task(sandbox: &Sandbox, real: Real, config: &Path, programs: &Path) -> Finished {
    let args: [&OsString; 2] = [&"--config".into(), &config.into()];
    sandbox
        .run_agent(args)
        .args(["task", "--project", "real", "--task", "one", "--agent", real.name])
        .args(["--prompt", "Report on the bus, then finish.", "--max-attempts", "2"])
        .args(["--idle-timeout", "3m", "--total-timeout", "5m"])
        .path_first(programs)
        .limit(Duration::from_secs(400))
        .run()
}

/// Writes what the agent needs to call the stand-in, and conductor's configuration; its path.
fn configure(sandbox: &Sandbox, real: Real, server: &Server) -> PathBuf {
    let url = server.url();
    let home = sandbox.home();
    let env = match real.name {
        "claude" => {
            // It refuses to work without prompts as root, unless it is told that this is a sandbox.
            format!(
                "ANTHROPIC_BASE_URL: \"{url}\", DISABLE_AUTOUPDATER: \"1\", IS_SANDBOX: \"1\", \
                 CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: \"1\""
            )
        }
        "codex" => {
            fs::create_dir_all(home.join(".codex")).expect("a folder");
            let text = format!(
                "model_provider = \"standin\"\n\n[model_providers.standin]\nname = \"standin\"\n\
                 base_url = \"{url}/v1\"\nenv_key = \"OPENAI_API_KEY\"\nwire_api = \"responses\"\n"
            );
            fs::write(home.join(".codex/config.toml"), text).expect("write a configuration");
            String::new()
        }
        "qwen" => {
            fs::create_dir_all(home.join(".qwen")).expect("a folder");
            let auth = json!({"selectedType": "openai", "apiKey": TOKEN,
                "baseUrl": format!("{url}/v1")});
            let settings = json!({"security": {"auth": auth}, "model": {"name": real.model},
                "privacy": {"usageStatisticsEnabled": false},
                "general": {"disableAutoUpdate": true}});
            fs::write(home.join(".qwen/settings.json"), settings.to_string())
                .expect("write a configuration");
            String::new()
        }
        "opencode" => {
            let folder = home.join(".config/opencode");
            fs::create_dir_all(&folder).expect("a folder");
            let options = json!({"baseURL": format!("{url}/v1"), "apiKey": TOKEN});
            let provider = json!({"npm": "@ai-sdk/openai-compatible", "name": "standin",
                "options": options, "models": {real.model: {"name": real.model}}});
            let model = format!("standin/{}", real.model);
            let settings = json!({"provider": {"standin": provider}, "model": model,
                "small_model": model, "autoupdate": false, "share": "disabled"});
            fs::write(folder.join("opencode.json"), settings.to_string())
                .expect("write a configuration");
            "OPENCODE_DISABLE_MODELS_FETCH: \"1\", OPENCODE_DISABLE_AUTOUPDATE: \"1\", \
             OPENCODE_DISABLE_LSP_DOWNLOAD: \"1\""
                .to_owned()
        }
        _ => {
            fs::create_dir_all(home.join(".gemini")).expect("a folder");
            let text = r#"{"security": {"auth": {"selectedType": "gemini-api-key"}},
                "privacy": {"usageStatisticsEnabled": false}, "general": {"disableAutoUpdate": true}}"#;
            fs::write(home.join(".gemini/settings.json"), text).expect("write a configuration");
            format!("GOOGLE_GEMINI_BASE_URL: \"{url}\", GEMINI_CLI_TRUST_WORKSPACE: \"true\"")
        }
    };
    let entry = match real.entry {
        Some(entry) => entry.to_owned(),
        None => format!("token: {TOKEN}\n    model: {}\n    resume_session: true", real.model),
    };
    let text = format!("agents:\n  {}:\n    {entry}\n    env: {{{env}}}\n", real.name);
    let path = sandbox.folder("config").join("config.yaml");
    fs::write(&path, text).expect("write a configuration");
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a private file");
    path
}

fn check(sandbox: &Sandbox, real: Real, server: &Server) {
    let task = sandbox.root().join("real/one");
    assert!(task.join("DONE").is_file());
    let bus = fs::read_to_string(task.join("TASK-MESSAGE-BUS.md")).expect("a bus");
    assert_eq!(bus.matches(TOLD).count(), 2, "{bus}");
    let runs = fs::read_dir(task.join("runs")).expect("runs").flatten();
    let mut runs: Vec<PathBuf> = runs.map(|run| run.path()).collect();
    runs.sort();
    assert_eq!(runs.len(), 2, "one attempt, and one that went on with its session");
    if real.entry.is_some() {
        runs.iter().for_each(|run| check_configured(run, real));
    } else {
        let first = check_run(&runs[0], real, None);
        check_run(&runs[1], real, Some(&first));
        // What was said in the first attempt is known in the second.
        let last = server.requests().pop().expect("a request").json().to_string();
        assert!(last.matches(TOLD).count() >= 2, "the conversation went on");
    }
    let with_token = server
        .requests()
        .iter()
        .filter(|request| request.headers.iter().any(|(_, value)| value.contains(TOKEN)))
        .count();
    assert!(with_token >= 4, "the agent got its token and used it");
}

/// Looks at what is recorded of a run of an agent that the configuration made: what its output is read as.
fn check_configured(run: &Path, real: Real) {
    let record = fs::read_to_string(run.join("run-info.yaml")).expect("a record");
    println!("{record}");
    let has = |line: &str| record.lines().any(|found| found.trim().starts_with(line));
    assert!(has("outcome: completed") && has(&format!("agent: {}", real.name)), "{record}");
    let output = fs::read_to_string(run.join("output.md")).expect("an output");
    assert!(output.contains(model::ANSWER), "{output}");
    if real.entry.is_some_and(|entry| entry.contains("parser: claude")) {
        assert_eq!(output.trim(), model::ANSWER, "the final text alone");
        let (_, _, tokens) = model::TOKENS;
        assert!(has("session_id: ") && has(&format!("model: {}", real.model)), "{record}");
        assert!(has(&format!("output_tokens: {}", 2 * tokens)), "{record}");
    }
}

/// Looks at what is recorded of a run that went on with the session `before`; its own session.
fn check_run(run: &Path, real: Real, before: Option<&str>) -> String {
    let record = fs::read_to_string(run.join("run-info.yaml")).expect("a record");
    println!("{record}");
    let found = |key: &str| {
        let lines = record.lines().map(str::trim);
        lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).next()
    };
    let value = |key: &str| {
        found(key).unwrap_or_else(|| panic!("the record has no {key}\n{record}")).to_owned()
    };
    assert_eq!(value("outcome"), "completed");
    assert!(value("agent_version").contains('.'), "{}", value("agent_version"));
    assert!(value("session_id").len() >= 8);
    assert_eq!(found("resumed_session"), before);
    assert!(value("model").contains(real.model), "{}", value("model"));
    let tokens = |key: &str| value(key).parse::<u64>().expect("a number");
    let (input, cached, output) = model::TOKENS;
    // Two turns in each attempt, whatever the agent counts: its session or its run.
    assert_eq!(tokens("input_tokens"), 2 * (input - cached), "{record}");
    assert_eq!(tokens("output_tokens"), 2 * output, "{record}");
    assert_eq!(tokens("cache_read_tokens"), 2 * cached, "{record}");
    let output = fs::read_to_string(run.join("output.md")).expect("an output");
    assert!(output.contains(model::ANSWER), "{output}");
    value("session_id")
}
