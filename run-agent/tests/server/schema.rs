//! The document of the routes is true: schemathesis makes requests from it and holds the answers against it.

use crate::support::*;
use conductor_tests::process::Program;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::{python, workspace};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Requests for each route and part; `.ci/long server` makes more.
const FEW: &str = "3";
/// It ends a hang.
const LONGEST: Duration = Duration::from_secs(1800);

/// What an answer is held against. That a value which the document rules out was taken all the same is no
/// fault: what is no number in a query counts as not said, as it ever did.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,allow_header_conformance,\
    unsupported_method";

/// Streams do not end; `streams` has their tests.
const STREAMS: &str = "(stream|/stream/all|/events)$";

const AGENT: &str = "agents: {done: {type: command, command: [/bin/sh, -c, 'touch $JRUN_TASK_FOLDER/DONE']}}\n\
    defaults: {agent: done}\n";

struct Campaign {
    sandbox: Sandbox,
    tool: PathBuf,
}

impl Campaign {
    fn new() -> Option<Campaign> {
        let wanted = workspace().join("run-agent/tests/server/requirements.txt");
        let venv = python::environment_of("venv-schema", &wanted, "schemathesis")?;
        let sandbox = Sandbox::with_fixture("reference-root");
        std::fs::write(sandbox.work().join("config.yaml"), AGENT).unwrap();
        Some(Campaign { sandbox, tool: venv.join("bin/schemathesis") })
    }

    fn serve(&self, auth: &[&str]) -> Server {
        let config = self.sandbox.work().join("config.yaml");
        let program = program(&self.sandbox).arg("--config").arg(config).args(auth);
        Server::of(&self.sandbox, program.limit(LONGEST))
    }

    /// Makes requests, with `known` ids in the paths where some are given.
    fn ask(&self, server: &Server, known: Option<&str>, more: &[&str]) {
        let count = std::env::var("CONDUCTOR_TEST_REQUESTS").unwrap_or_else(|_| FEW.to_owned());
        let settings = self.sandbox.work().join("schemathesis.toml");
        std::fs::write(&settings, known.unwrap_or_default()).unwrap();
        let done = Program::new(&self.tool)
            .limit(LONGEST)
            .arg("--config-file")
            .arg(settings)
            .arg("run")
            .arg(server.url("/api/openapi.json"))
            .args(["--exclude-path-regex", STREAMS, "--checks", CHECKS, "--seed", "1"])
            .arg("--continue-on-failure")
            // A busy machine is no fault of the document.
            .args(["--suppress-health-check", "too_slow"])
            .args(["--max-examples", &count, "--request-timeout", "60", "--no-color"])
            .args(more)
            // It keeps what it found where it stands.
            .cwd(self.sandbox.work())
            .run();
        assert!(done.status.success(), "{}\n{}", done.stdout, done.stderr);
        server.get("/healthz").expect(200);
    }
}

/// Ids that stand in the root, each with the others that belong to it.
fn known(root: &Path, task: &str) -> String {
    let runs = std::fs::read_dir(root.join("shop").join(task).join("runs")).unwrap();
    let mut runs: Vec<String> =
        runs.map(|run| run.unwrap().file_name().into_string().unwrap()).collect();
    runs.sort();
    format!(
        "[parameters]\n\"path.project\" = \"shop\"\n\"path.task\" = {task:?}\n\"path.run\" = {:?}\n\
         \"query.project_id\" = \"shop\"\n",
        runs[0]
    )
}

#[test]
fn answers_are_as_the_document_says() {
    let Some(campaign) = Campaign::new() else { return };
    let root = campaign.sandbox.root();
    let fix = known(&root, "task-20260301-111500-fix-bug");
    let other = known(&root, "task-20261123-150121-lis7rv");
    let server = campaign.serve(&["--auth", "off"]);
    let all = ["--phases", "examples,coverage,fuzzing"];
    campaign.ask(&server, Some(&fix), &[&all[..], &["--exclude-method", "DELETE"]].concat());
    campaign.ask(&server, Some(&other), &[&all[..], &["--include-method", "DELETE"]].concat());
    // With ids that are made up, and mostly none.
    campaign.ask(&server, None, &["--phases", "fuzzing"]);
    server.running.signal(rustix::process::Signal::TERM);
    let log = server.running.finish().expect_code(0).stderr;
    assert!(!log.contains("panicked"), "{log}");
    // Without the token nothing but refusals.
    let server = campaign.serve(&["--auth", "all", "--api-key", "secret"]);
    let document = server.get_with("/api/openapi.json", &[("x-api-key", "secret")]).expect(200);
    assert!(document.json()["components"]["securitySchemes"].is_object());
    campaign.refused(&server, &document.json());
}

impl Campaign {
    /// Each route refuses who has no token, in the documented form.
    fn refused(&self, server: &Server, document: &Value) {
        let open = ["/healthz", "/readyz", "/metrics", "/api/v1/health", "/api/v1/version"];
        for (path, methods) in document["paths"].as_object().unwrap() {
            let place = path.replace(['{', '}'], "");
            for method in methods.as_object().unwrap().keys() {
                let answer = match method.as_str() {
                    "get" if open.contains(&path.as_str()) => continue,
                    "get" => server.get(&place),
                    "post" => server.push(&place),
                    _ => server.delete(&place),
                };
                assert_eq!(answer.status, 401, "{method} {path}");
                assert_eq!(answer.json()["error"], "unauthorized", "{method} {path}");
            }
        }
    }
}
