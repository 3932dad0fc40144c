//! The compose file, as the tool reads it: there is no Docker in it, and none is needed.

use conductor_tests::process::{Finished, Program};
use conductor_tests::sandbox::Sandbox;
use conductor_tests::{tools, workspace};
use std::path::PathBuf;

/// What the reference's compose file could be told, and so can this one.
const VARIABLES: [&str; 5] = [
    "CONDUCTOR_IMAGE",
    "CONDUCTOR_HOST_PORT",
    "CONDUCTOR_DATA_DIR",
    "CONDUCTOR_CONFIG_PATH",
    "CONDUCTOR_FRONTEND_PORT",
];

struct Compose {
    tool: PathBuf,
    sandbox: Sandbox,
}

impl Compose {
    fn find() -> Option<Compose> {
        Some(Compose { tool: tools::find("docker-compose")?, sandbox: Sandbox::new() })
    }

    /// What the file says with these variables set, and the others not.
    fn config(&self, profile: Option<&str>, set: &[(&str, &str)]) -> Finished {
        let mut program = Program::new(&self.tool).cwd(workspace());
        for name in VARIABLES.iter().chain(&["COMPOSE_FILE", "COMPOSE_PROFILES"]) {
            program = program.env_remove(name);
        }
        for (name, value) in set {
            program = program.env(name, value);
        }
        program = program.env("HOME", self.sandbox.home());
        if let Some(profile) = profile {
            program = program.args(["--profile", profile]);
        }
        program.arg("config").run()
    }

    #[track_caller]
    fn says(&self, profile: Option<&str>, set: &[(&str, &str)]) -> String {
        let said = self.config(profile, set).expect_code(0);
        assert!(!said.stderr.to_lowercase().contains("warn"), "{}", said.stderr);
        said.stdout
    }
}

/// Whether a port of this machine alone leads to one of the container, in the words of either version.
fn leads(text: &str, host: &str, container: &str) -> bool {
    let long = ["host_ip: 127.0.0.1".to_owned(), format!("target: {container}")];
    text.contains(&format!("127.0.0.1:{host}:{container}"))
        || (long.iter().all(|line| text.contains(line)) && text.contains(&format!("\"{host}\"")))
}

fn mounts(text: &str, from: &str, to: &str) -> bool {
    text.contains(&format!("{from}:{to}"))
        || (text.contains(&format!("source: {from}\n"))
            && text.contains(&format!("target: {to}\n")))
}

/// The part of what was said that is about one service.
fn service(text: &str, name: &str) -> String {
    let start = text.find(&format!("\n  {name}:\n")).unwrap_or_else(|| panic!("{name}: {text}"));
    let lines = text[start..].lines().skip(2).take_while(|line| line.starts_with("   "));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_compose_file_is_taken_with_and_without_its_variables_and_profile() {
    let Some(compose) = Compose::find() else { return };
    let here = workspace().display().to_string();
    for profile in [None, Some("frontend")] {
        let said = compose.says(profile, &[]);
        let own = service(&said, "conductor");
        assert!(own.contains("image: conductor:local") && own.contains(&here), "{own}");
        assert!(leads(&own, "14355", "14355"), "{own}");
        assert!(mounts(&own, &format!("{here}/data/runs"), "/data/runs"), "{own}");
        assert!(mounts(&own, &format!("{here}/data/config"), "/data/config"), "{own}");
        assert!(!own.contains("profiles"), "it is always started: {own}");
    }
    let said = compose.says(Some("frontend"), &[]);
    let front = service(&said, "frontend");
    assert!(leads(&front, "3000", "8080") && front.contains("- frontend"), "{front}");
    // The configuration that is tested is the one that is mounted, where nginx fills its variables in.
    let template = format!("{here}/run-agent/ui/frontend.conf.template");
    let place = "/etc/nginx/templates/default.conf.template";
    assert!(mounts(&front, &template, place), "{front}");
    assert!(std::path::Path::new(&template).is_file());
    assert!(mounts(&front, &format!("{here}/run-agent/ui"), "/srv/ui"), "{front}");
    assert!(front.contains("FRONTEND_FILES: /srv/ui"), "{front}");

    let set = [
        ("CONDUCTOR_IMAGE", "registry.example/conductor:2"),
        ("CONDUCTOR_HOST_PORT", "15001"),
        ("CONDUCTOR_DATA_DIR", "/srv/runs"),
        ("CONDUCTOR_CONFIG_PATH", "/etc/conductor"),
        ("CONDUCTOR_FRONTEND_PORT", "15002"),
    ];
    assert_eq!(set.map(|(name, _)| name), VARIABLES);
    let said = compose.says(Some("frontend"), &set);
    let own = service(&said, "conductor");
    assert!(own.contains("image: registry.example/conductor:2"), "{own}");
    assert!(leads(&own, "15001", "14355"), "{own}");
    assert!(mounts(&own, "/srv/runs", "/data/runs"), "{own}");
    assert!(mounts(&own, "/etc/conductor", "/data/config"), "{own}");
    assert!(leads(&service(&said, "frontend"), "15002", "8080"));
    // It would say so.
    assert!(!compose.config(None, &[("CONDUCTOR_HOST_PORT", "no port")]).status.success());
}
