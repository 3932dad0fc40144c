//! `config` and `validate`, and what the configuration changes for the other commands.

use crate::support::*;
use conductor_tests::agents::put;
use conductor_tests::http::Nobody;
use conductor_tests::process::Program;
use conductor_tests::sandbox::Sandbox;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// Writes the configuration of the usual place.
fn configure(sandbox: &Sandbox, text: &str) -> PathBuf {
    let folder = sandbox.home().join(".config/conductor");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("config.yaml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

/// `run-agent` without a root in its environment: the configuration names it.
fn rootless(sandbox: &Sandbox, line: &str) -> Program {
    cli(sandbox, line).env_remove("CONDUCTOR_ROOT")
}

/// A program that prints what it has of some variables.
fn telltale(sandbox: &Sandbox, name: &str) -> PathBuf {
    let path = sandbox.folder("bin").join(name);
    let script = "#!/bin/sh\ncat > /dev/null\necho \"args $*\"\nenv | grep -E 'TOKEN|KEY|CONDUCTOR|MOOD' | sort\n";
    put(&path, script);
    path
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_places_are_told_with_the_ones_that_are_hidden() {
    let sandbox = Sandbox::new();
    let none = rootless(&sandbox, "config path").exits(1).stdout;
    assert!(none.lines().skip(1).all(|line| line.starts_with("missing")), "{none}");
    let used = configure(&sandbox, "");
    let older = sandbox.home().join(".run-agent/conductor-loop.hcl");
    fs::create_dir_all(older.parent().unwrap()).unwrap();
    fs::write(&older, "# nothing\n").unwrap();
    fs::write(sandbox.work().join("config.yaml"), "").unwrap();
    let places = json(&rootless(&sandbox, "config path --json").succeed().stdout);
    let told: Vec<(&str, &str)> = places
        .as_array()
        .unwrap()
        .iter()
        .filter(|place| place["exists"] == true)
        .map(|place| (place["use"].as_str().unwrap(), place["named_by"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [("used", "usual place"), ("shadowed", "older program"), ("ignored", "current folder")]
    );
    let named = rootless(&sandbox, "config path --json").env("CONDUCTOR_CONFIG", &older).succeed();
    let first = &json(&named.stdout)[0];
    assert_eq!((&first["use"], &first["named_by"]), (&"used".into(), &"CONDUCTOR_CONFIG".into()));
    assert_eq!(json(&named.stdout)[1]["path"], used.to_str().unwrap());
}

#[test]
fn a_configuration_that_cannot_be_used_stops_every_command_that_needs_it() {
    let sandbox = Sandbox::new();
    let path = configure(&sandbox, "defaults:\n  agnet: claude\n");
    for line in ["list", "status", "job --project p --agent shell --prompt true", "config show"] {
        let finished = rootless(&sandbox, line).exits(2);
        let place = format!("{}:2:3: defaults.agnet: unknown key \"agnet\"", path.display());
        assert!(finished.stderr.contains(&place), "{line}: {}", finished.stderr);
        assert!(finished.stderr.contains("hint: did you mean \"agent\"?"), "{}", finished.stderr);
    }
    rootless(&sandbox, "config schema").succeed();
    rootless(&sandbox, "--version").succeed();
    let gone = rootless(&sandbox, "list --config /nowhere/config.yaml").exits(10);
    assert!(gone.stderr.contains("there is no configuration /nowhere/config.yaml"));
    let folder = sandbox.work().display().to_string();
    rootless(&sandbox, &format!("list --config {folder}")).exits(24);
}

#[test]
fn a_repository_does_not_say_which_commands_are_run() {
    let sandbox = Sandbox::new();
    let trap = "agents:\n  shell: {command: [/bin/touch, trapped]}\n  claude: {command: [/bin/touch, x]}\n";
    fs::write(sandbox.work().join("config.yaml"), trap).unwrap();
    fs::write(sandbox.work().join("config.yml"), trap).unwrap();
    cli(&sandbox, "job --project p --agent shell --prompt true").succeed();
    assert!(!sandbox.work().join("trapped").exists());
    let told = cli(&sandbox, "validate").exits(1).stdout;
    assert!(told.contains("a folder must not say which commands are run"), "{told}");
}

#[test]
fn agents_bounds_and_root_are_those_of_the_configuration() {
    let sandbox = Sandbox::new();
    let program = telltale(&sandbox, "my-agent");
    let text = format!(
        "agents:\n  mine:\n    command: [{}, --print]\n    env: {{MOOD: fine}}\n    token: sk-0123\n    \
         token_env: MY_TOKEN\n\
         defaults: {{agent: mine}}\nlimits: {{idle_timeout: 77s}}\nstorage: {{runs_dir: ~/runs}}\n",
        program.display()
    );
    let path = configure(&sandbox, &text);
    let job = rootless(&sandbox, "job --project p --task t --prompt hello")
        .env("OPENAI_API_KEY", "other")
        .env("CONDUCTOR_AGENT_OTHER_TOKEN", "other")
        .succeed();
    assert!(job.stderr.contains("mine") || job.stdout.contains("mine"), "{job:?}");
    let task = sandbox.home().join("runs/p/t");
    let run = fs::read_dir(task.join("runs")).unwrap().next().unwrap().unwrap().path();
    let said = fs::read_to_string(run.join("agent-stdout.txt")).unwrap();
    assert_eq!(
        said,
        format!(
            "args --print\nCONDUCTOR_CONFIG={}\nCONDUCTOR_ROOT={}\nMOOD=fine\nMY_TOKEN=sk-0123\n",
            path.display(),
            sandbox.home().join("runs").display()
        )
    );
    // What the agent printed is its own; nothing else of the root holds the token.
    for entry in walk(&sandbox.home().join("runs")) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = fs::read(&entry).unwrap();
        let found = bytes.windows(7).any(|window| window == b"sk-0123");
        let output = ["agent-stdout.txt", "output.md"].contains(&name.as_str());
        assert!(output || !found, "{} holds the token", entry.display());
    }
    let record = fs::read_to_string(run.join("run-info.yaml")).unwrap();
    assert!(record.contains("\nagent: mine\n"), "{record}");
}

fn walk(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn a_task_goes_on_with_the_agent_that_the_configuration_names() {
    let sandbox = Sandbox::new();
    let program = sandbox.folder("bin").join("worker");
    let script = "#!/bin/sh\ncat > /dev/null\necho \"$WORKER_TOKEN\" >> \"$JRUN_TASK_FOLDER/tokens\"\n\
                  [ $(wc -l < \"$JRUN_TASK_FOLDER/tokens\") -lt 2 ] || touch \"$JRUN_TASK_FOLDER/DONE\"\n";
    put(&program, script);
    let text = format!(
        "agents:\n  worker:\n    command: [{}]\n    token: sk-9\n    token_env: WORKER_TOKEN\n\
         defaults: {{agent: worker}}\nlimits: {{max_attempts: 5}}\n",
        program.display()
    );
    configure(&sandbox, &text);
    cli(&sandbox, "task --project p --task t --prompt go").succeed();
    let task = sandbox.root().join("p/t");
    assert_eq!(fs::read_to_string(task.join("tokens")).unwrap(), "sk-9\nsk-9\n");
    let state = fs::read_to_string(task.join(".loop.yaml")).unwrap();
    assert!(state.contains("agent: worker\n") && state.contains("max_attempts: 5\n"), "{state}");
    assert!(!state.contains("sk-9") && !state.contains("WORKER_TOKEN"), "{state}");
}

#[test]
fn flags_win_over_the_tasks_own_configuration_and_that_over_the_general_one() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "defaults: {agent: shell}\nlimits: {max_attempts: 4, restart_delay: 1s}\n");
    cli(&sandbox, "task --project p --task t --prompt false").exits(2);
    configure(&sandbox, "defaults: {agent: shell}\nlimits: {max_attempts: 4}\n");
    let attempts = |line: &str| {
        cli(&sandbox, line).exits(1);
        let state = fs::read_to_string(sandbox.root().join("p/t/.loop.yaml")).unwrap();
        state.lines().find(|line| line.starts_with("max_attempts:")).unwrap().to_owned()
    };
    let start = "task --project p --task t --prompt false --restart-delay 1ms";
    assert_eq!(attempts(start), "max_attempts: 4");
    let task_config = sandbox.root().join("p/t/TASK-CONFIG.yaml");
    fs::write(&task_config, "limits: {max_attempts: 2}\n").unwrap();
    assert_eq!(attempts(start), "max_attempts: 2");
    assert_eq!(attempts(&format!("{start} --max-attempts 1")), "max_attempts: 1");
    fs::write(&task_config, "limits: {max_attempts: many}\n").unwrap();
    let wrong = cli(&sandbox, start).exits(2).stderr;
    assert!(wrong.contains("TASK-CONFIG.yaml:1:24: limits.max_attempts: expected"), "{wrong}");
}

#[test]
fn values_are_shown_with_where_they_are_from_and_secrets_are_not() {
    let sandbox = Sandbox::new();
    configure(
        &sandbox,
        "agents:\n  claude:\n    token: sk-hidden\n    env: {PASS: sk-hidden}\napi:\n  port: 99\n\
         webhook:\n  url: https://h/sk-hidden\n",
    );
    let shown = cli(&sandbox, "config show").env("CONDUCTOR_API_KEY", "sk-hidden").succeed();
    let all = format!("{}{}", shown.stdout, shown.stderr);
    assert!(!all.contains("sk-hidden"), "{all}");
    let line = |key: &str| {
        let line = shown.stdout.lines().find(|line| line.starts_with(&format!("{key} "))).unwrap();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("api.port"), "99 line 6");
    assert_eq!(line("api.host"), "127.0.0.1 default");
    assert_eq!(line("api.api_key"), "(secret) CONDUCTOR_API_KEY");
    assert_eq!(line("agents.claude.token"), "(secret) line 3");
    let json_text = cli(&sandbox, "config show --json").succeed().stdout;
    assert!(!json_text.contains("sk-hidden"));
    let values = json(&json_text)["values"].as_array().unwrap().clone();
    let port = values.iter().find(|value| value["key"] == "api.port").unwrap();
    assert_eq!((&port["value"], &port["from"]["line"]), (&99.into(), &6.into()));
}

#[test]
fn a_new_configuration_is_written_once_and_says_nothing() {
    let sandbox = Sandbox::new();
    let path = sandbox.work().join("new.yaml");
    let line = format!("config init --out {}", path.display());
    rootless(&sandbox, &line).succeed();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let template = fs::read_to_string(&path).unwrap();
    assert_eq!(rootless(&sandbox, "config init").succeed().stdout, template);
    fs::write(&path, "mine").unwrap();
    rootless(&sandbox, &line).exits(11);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    fs::write(&path, template).unwrap();
    rootless(&sandbox, &format!("validate --config {}", path.display())).succeed();
    // Nothing of the kind is ever made by itself.
    assert_eq!(fs::read_dir(sandbox.home()).unwrap().count(), 0);
}

#[test]
fn the_exit_code_of_validate_is_that_of_the_worst_finding() {
    let sandbox = Sandbox::new();
    telltale(&sandbox, "claude");
    let validate = |args: &str| {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", sandbox.folder("bin").display());
        cli(&sandbox, &format!("validate {args}")).env("PATH", path)
    };
    let tokens = sandbox.home().join("token");
    fs::write(&tokens, "sk-1\n").unwrap();
    fs::set_permissions(&tokens, Permissions::from_mode(0o600)).unwrap();
    configure(&sandbox, "agents:\n  claude: {token_file: ~/token}\n");
    validate("").succeed();
    configure(&sandbox, "agents:\n  claude: {}\n");
    validate("").succeed();
    let told = validate("--check-tokens").exits(1).stdout;
    assert!(told.contains("the agent \"claude\" has no token"), "{told}");
    validate("--check-tokens").env("CONDUCTOR_AGENT_CLAUDE_TOKEN", "x").succeed();
    configure(&sandbox, "agents:\n  claude: {token_file: ~/token}\n");
    fs::set_permissions(&tokens, Permissions::from_mode(0o644)).unwrap();
    let told = json(&validate("--json").exits(22).stdout);
    assert_eq!(told["problems"][0]["code"], "config.token_file_readable");
    assert_eq!((&told["errors"], &told["warnings"]), (&1.into(), &0.into()));
    configure(&sandbox, "agents:\n  gone: {command: [no-such-program]}\n");
    validate("").exits(1);
    configure(&sandbox, "agents:\n  gone: {command: [no-such-program]}\ndefaults: {agent: gone}\n");
    validate("").exits(25);
    configure(&sandbox, "agents: 7\n");
    let told = validate("--json").exits(2).stdout;
    assert_eq!(json(&told)["problems"][0]["line"], 1);
    configure(&sandbox, "");
    let file = sandbox.work().join("file");
    fs::write(&file, "").unwrap();
    validate(&format!("--root {}", file.display())).exits(2);
    validate("--agent clod").exits(2);
}

#[test]
fn validate_tells_versions_that_are_known_and_closes_with_a_count() {
    let sandbox = Sandbox::new();
    let program = sandbox.folder("bin").join("claude");
    put(
        &program,
        "#!/bin/sh\ncase \"$1\" in --version) echo '9.8.7 (Claude Code)' ;; *) cat > /dev/null ;; esac\n",
    );
    configure(&sandbox, "agents:\n  claude: {}\n  gone: {command: [no-such-program]}\n");
    let cli = |line: &str| {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", sandbox.folder("bin").display());
        cli(&sandbox, line).env("PATH", path)
    };
    let before = look(&sandbox, cli("validate"), 1).stdout;
    assert!(before.ends_with("\nValidation: 3 OK, 1 WARNING\n"), "{before}");
    assert!(!before.contains("version"), "nothing was started: {before}");
    let _ran = cli("job --project p --task t --agent claude --prompt x --cwd .").succeed();
    let after = look(&sandbox, cli("validate"), 1).stdout;
    assert!(after.contains("version 9.8.7"), "{after}");
    let told = json(&cli("validate --json").exits(1).stdout);
    assert_eq!((&told["ok"], &told["warnings"]), (&3.into(), &1.into()));
    let version = told["agents"][0]["version"].as_str().unwrap();
    assert!(version.contains("9.8.7"), "{told}");
    // Another program at the same place told nothing yet.
    fs::write(&program, "#!/bin/sh\n").unwrap();
    let other = look(&sandbox, cli("validate"), 1).stdout;
    assert!(!other.contains("9.8.7"), "{other}");
}

#[test]
fn a_root_of_a_newer_form_is_read_and_left_as_it_is() {
    let sandbox = Sandbox::new();
    write(&sandbox, "p/t/TASK.md", "do it\n");
    let bus = sandbox.root().join("p/PROJECT-MESSAGE-BUS.md");
    let _receipt = cli(&sandbox, "bus post --project p --type INFO --body first").succeed();
    write(&sandbox, ".conductor/root.yaml", "version: 99\n");
    for line in ["list", "list --project p", "gc --dry-run", "doctor", "bus read --project p"] {
        assert_eq!(look(&sandbox, cli(&sandbox, line), 0).stderr, "", "{line}");
    }
    assert!(look(&sandbox, cli(&sandbox, "bus read --project p"), 0).stdout.contains("first"));
    for line in [
        "gc",
        "bus post --project p --type INFO --body x",
        "job --project p --task t --agent shell --prompt true",
        "task --project p --task t --agent shell --prompt true",
        "stop --project p --task t",
    ] {
        let refused = look(&sandbox, cli(&sandbox, line), 21);
        assert!(
            refused.stderr.contains("has version 99, and 1 is known here"),
            "{line}: {refused:?}"
        );
        assert_eq!(refused.stderr.matches("Error: ").count(), 1, "{line}: {}", refused.stderr);
    }
    let told = json(&look(&sandbox, cli(&sandbox, "validate --json"), 21).stdout);
    assert_eq!(told["problems"][0]["code"], "root.too_new");
    write(&sandbox, ".conductor/root.yaml", "version: 1\n");
    let _receipt = cli(&sandbox, "bus post --project p --type INFO --body second").succeed();
    assert!(fs::read_to_string(&bus).unwrap().contains("second"));
    // Nor is another root changed that a path leads into.
    let other = sandbox.folder("other");
    fs::create_dir_all(other.join(".conductor")).unwrap();
    fs::create_dir_all(other.join("p/t/runs/r")).unwrap();
    fs::write(other.join(".conductor/root.yaml"), "version: 99\n").unwrap();
    let bus = other.join("p/t/TASK-MESSAGE-BUS.md");
    let post = cli(&sandbox, "bus post --type INFO --body x").env("JRUN_MESSAGE_BUS", &bus);
    assert!(post.exits(21).stderr.contains("has version 99"));
    assert!(!bus.exists());
}

#[test]
fn a_root_whose_version_nobody_can_tell_is_refused_and_left_as_it_is() {
    let sandbox = Sandbox::new();
    write(&sandbox, "p/t/TASK.md", "do it\n");
    write(&sandbox, ".conductor/root.yaml", "version: [\n");
    for line in ["list", "gc", "bus post --project p --type INFO --body x"] {
        let refused = look(&sandbox, cli(&sandbox, line), 20);
        assert!(refused.stderr.contains("/.conductor/root.yaml: "), "{line}: {refused:?}");
        assert!(refused.stderr.contains("let it say `version: 1`"), "{line}: {refused:?}");
        assert_eq!(refused.stderr.matches("Error: ").count(), 1, "{line}: {}", refused.stderr);
    }
    let told = json(&look(&sandbox, cli(&sandbox, "validate --json"), 20).stdout);
    assert_eq!(told["problems"][0]["code"], "yaml.corrupt");
}

#[test]
fn services_are_called_where_that_is_asked_for() {
    let sandbox = Sandbox::new();
    telltale(&sandbox, "claude");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let nobody = Nobody::new();
    let closed = nobody.url();
    let claude = sandbox.folder("bin").join("claude");
    configure(
        &sandbox,
        &format!(
            "agents:\n  claude:\n    command: [{}]\n    env: {{ANTHROPIC_BASE_URL: \"http://{address}/v1?k=sk-hidden\"}}\n\
             webhook: {{url: \"{closed}/sk-hidden\"}}\n",
            claude.display()
        ),
    );
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 512];
        let read = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\n\r\n").unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    let told = cli(&sandbox, "validate --check-network").exits(1).stdout;
    assert!(server.join().unwrap().starts_with("HEAD / HTTP/1.1\r\n"));
    assert!(told.contains(&format!("http://{address} answers 401 Unauthorized")), "{told}");
    assert!(told.contains(&format!("{closed} cannot be reached")), "{told}");
    assert!(!told.contains("sk-hidden"), "{told}");
}
