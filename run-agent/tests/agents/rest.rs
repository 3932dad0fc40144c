//! Agents that are services, against a stand-in on the loopback.

use super::config;
use crate::support::run_agent;
use crate::workshop::{LONG, info, messages, runs};
use conductor_core::{Cancel, ErrorClass, Outcome, RestCall, RestService};
use conductor_tests::http::{Nobody, Request, Server, events, head, whole};
use conductor_tests::process::Program;
use conductor_tests::sandbox::Sandbox;
use serde_json::json;
use std::fs;
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const TOKEN: &str = "pplx-0123456789abcdef0123456789";

/// A service that answers its n-th call, counted from 1, with `answer`.
pub(crate) fn service(
    answer: impl Fn(usize, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> Server {
    let calls = AtomicUsize::new(0);
    Server::start(move |_: &Request, stream| {
        answer(calls.fetch_add(1, Ordering::SeqCst) + 1, stream)
    })
}

fn piece(text: &str) -> (&'static str, String) {
    ("", json!({"model": "sonar-x", "choices": [{"delta": {"content": text}}]}).to_string())
}

fn last() -> [(&'static str, String); 2] {
    let usage = json!({"choices": [{"delta": {}, "finish_reason": "stop"}],
        "citations": ["https://a.example", "https://b.example", "https://a.example"],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "cost": {"total_cost": 0.25}}});
    [("", usage.to_string()), ("", "[DONE]".to_owned())]
}

pub(crate) fn good(stream: &mut TcpStream) -> io::Result<()> {
    let all: Vec<_> = [piece("The answer "), piece("is 42.")].into_iter().chain(last()).collect();
    events(stream, &all)
}

/// `run-agent job p/t` with the agent `kind` at the service.
pub(crate) fn ask(sandbox: &Sandbox, server: &Server, kind: &str) -> Program {
    let url = server.url();
    let text = format!("agents:\n  {kind}:\n    token: {TOKEN}\n    base_url: {url}/call\n");
    let config = config(sandbox, &text);
    run_agent(sandbox, ["--config".as_ref(), config.as_os_str()])
        .args(["job", "--project", "p", "--task", "t", "--agent", kind, "-q"])
        .args(["--prompt", "What is \"it\"?"])
}

/// `run-agent task p/t` with the agent `kind` at the service.
fn task(sandbox: &Sandbox, server: &Server, kind: &str) -> Program {
    let url = server.url();
    let text = format!("agents:\n  {kind}:\n    token: {TOKEN}\n    base_url: {url}/call\n");
    let config = config(sandbox, &text);
    run_agent(sandbox, ["--config".as_ref(), config.as_os_str()])
        .args(["task", "--project", "p", "--task", "t", "--agent", kind, "--prompt", "x"])
        .args(["--restart-delay", "10ms", "--max-attempts", "4"])
}

/// Nothing below the root, and nothing that was said, holds the token.
fn no_token_in(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            no_token_in(&path);
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap();
            let found = bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
            assert!(!found, "{} holds the token", path.display());
        }
    }
}

#[test]
fn an_answer_streams_into_the_output_and_its_cost_into_the_record() {
    let sandbox = Sandbox::new();
    let server = service(|_, stream| good(stream));
    let finished = ask(&sandbox, &server, "perplexity").succeed();
    let text = "The answer is 42.\n\nSources:\n[1] https://a.example\n[2] https://b.example\n";
    assert_eq!(finished.stdout, text);
    let run = &runs(&sandbox)[0];
    let record = &run.record;
    assert_eq!(run.outcome(), Some(Outcome::Completed));
    assert_eq!((record.agent.as_str(), record.model.as_deref()), ("perplexity", Some("sonar-x")));
    let usage = record.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens, record.cost_usd), (11, 7, Some(0.25)));
    let asked = &server.requests()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/call"));
    assert_eq!(asked.header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(asked.header("accept"), Some("text/event-stream"));
    let body = asked.json();
    assert_eq!((&body["model"], &body["stream"]), (&"sonar-reasoning".into(), &true.into()));
    assert_eq!(body["messages"][0]["content"], "What is \"it\"?");
    no_token_in(&sandbox.root());
}

#[test]
fn xai_is_asked_at_its_own_path_and_may_answer_in_one_document() {
    let sandbox = Sandbox::new();
    let server = service(|_, stream| {
        let body = json!({"choices": [{"message": {"content": "Whole."}}], "model": "grok-5"});
        whole(stream, 200, "application/json", body.to_string().as_bytes())
    });
    let finished = ask(&sandbox, &server, "xai").env("XAI_MODEL", "grok-9").succeed();
    assert_eq!(finished.stdout, "Whole.");
    let asked = &server.requests()[0];
    assert_eq!(asked.path, "/call/v1/chat/completions");
    assert_eq!(asked.json()["model"], "grok-9");
    assert_eq!(runs(&sandbox)[0].record.model.as_deref(), Some("grok-5"));
}

#[test]
fn a_service_that_asks_for_a_pause_is_asked_again_after_it() {
    let sandbox = Sandbox::new();
    let server = service(|call, stream| match call {
        1 => head(stream, 429, &[("retry-after", "0"), ("content-length", "0")]),
        2 => whole(stream, 503, "text/plain", b"busy"),
        _ => good(stream),
    });
    ask(&sandbox, &server, "perplexity").succeed();
    assert_eq!(server.requests().len(), 3);
    let run = &runs(&sandbox)[0];
    let stderr = fs::read_to_string(run.folder.join("agent-stderr.txt")).unwrap();
    assert!(stderr.contains("perplexity retry in 0s after status 429\n"), "{stderr}");
    assert!(stderr.contains(" after status 503\n"), "{stderr}");
    assert_eq!(run.record.error_class, None, "it went well in the end");
}

#[test]
fn a_limit_that_lasts_is_told_with_its_end_and_not_waited_for() {
    let sandbox = Sandbox::new();
    let server = service(|_, stream| {
        let body = format!("{{\"error\": \"no more for {TOKEN}\"}}");
        let length = body.len().to_string();
        head(stream, 429, &[("retry-after", "7200"), ("content-length", &length)])?;
        stream.write_all(body.as_bytes())
    });
    let finished = ask(&sandbox, &server, "perplexity").exits(1);
    assert!(!finished.stderr.contains(TOKEN));
    assert_eq!(server.requests().len(), 1);
    let record = &runs(&sandbox)[0].record;
    assert_eq!(record.error_class, Some(ErrorClass::UsageLimit));
    let left = record.limit_reset.unwrap().since(record.end_time);
    assert!(left > Duration::from_secs(7100) && left <= Duration::from_secs(7200), "{left:?}");
    let stderr = fs::read_to_string(runs(&sandbox)[0].folder.join("agent-stderr.txt")).unwrap();
    assert!(stderr.contains("status 429: {\"error\": \"no more for (secret)\"}"), "{stderr}");
    no_token_in(&sandbox.root());
}

#[test]
fn a_service_that_stays_out_of_order_is_given_up() {
    let sandbox = Sandbox::new();
    let server = service(|call, stream| {
        // Five calls; the pauses between them are asked to be short.
        let headers = [("retry-after", "0.01"), ("content-length", "4")];
        head(stream, 500 + u16::try_from(call).unwrap(), &headers)?;
        stream.write_all(b"oops")
    });
    ask(&sandbox, &server, "perplexity").exits(1);
    assert_eq!(server.requests().len(), 5);
    let run = &runs(&sandbox)[0];
    assert_eq!((run.outcome(), run.record.exit_code), (Some(Outcome::Failed), 24));
    assert_eq!(run.record.error_class, Some(ErrorClass::Transient));
    let crash = messages(&sandbox).pop().unwrap();
    assert_eq!(crash.msg_type, "RUN_CRASH");
    assert!(crash.body.contains("perplexity does not answer: status 505: oops"), "{}", crash.body);
}

#[test]
fn a_token_that_is_refused_is_bad_credentials() {
    let sandbox = Sandbox::new();
    let server = service(|_, stream| {
        whole(stream, 401, "text/plain", format!("bad key {TOKEN}").as_bytes())
    });
    ask(&sandbox, &server, "perplexity").exits(1);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(runs(&sandbox)[0].record.error_class, Some(ErrorClass::BadCredentials));
    no_token_in(&sandbox.root());
}

/// What became of a call, made by the hidden command itself so that its own time limits can be short.
fn call(sandbox: &Sandbox, server: &Server, limits: &[&str]) -> (i32, String, String) {
    let finished = run_agent(sandbox, ["__rest", "perplexity"])
        .args(limits)
        .env("PERPLEXITY_API_KEY", TOKEN)
        .env("PERPLEXITY_BASE_URL", server.url())
        .stdin("question")
        .run();
    (finished.status.code().unwrap(), finished.stdout, finished.stderr)
}

#[test]
fn every_wait_has_an_end() {
    let sandbox = Sandbox::new();
    // Holds the connection open; the test's end ends it.
    let silent = service(|_, _| {
        std::thread::sleep(Duration::from_secs(600));
        Ok(())
    });
    let (code, _, stderr) =
        call(&sandbox, &silent, &["--first-byte-timeout", "50ms", "--total-timeout", "500ms"]);
    assert_eq!(code, 124, "{stderr}");
    assert!(stderr.contains("perplexity did not answer"), "{stderr}");
    assert!(stderr.contains("\"error_class\":\"transient\""), "{stderr}");

    let stalls = service(|_, stream| {
        events(stream, &[piece("half ")])?;
        stream.flush()?;
        std::thread::sleep(Duration::from_secs(600));
        Ok(())
    });
    let (code, stdout, stderr) = call(&sandbox, &stalls, &["--idle-timeout", "1s"]);
    assert_eq!((code, stdout.as_str()), (124, "half "), "{stderr}");
    assert!(stderr.contains("in the middle of its answer"), "{stderr}");
    assert_eq!(stalls.requests().len(), 1, "text that was handed on is not asked for again");
}

#[test]
fn a_service_that_cannot_be_reached_is_told_after_five_calls() {
    let sandbox = Sandbox::new();
    let nobody = Nobody::new();
    let finished = run_agent(&sandbox, ["__rest", "xai"])
        .env("XAI_API_KEY", TOKEN)
        .env("XAI_BASE_URL", nobody.url())
        .exits(24);
    assert_eq!(finished.stderr.matches("xai retry in ").count(), 4, "{}", finished.stderr);
    assert!(finished.stderr.contains("xai cannot be reached"), "{}", finished.stderr);
}

#[test]
fn an_answer_that_is_cut_off_or_makes_no_sense_is_no_answer() {
    let sandbox = Sandbox::new();
    let cut = service(|_, stream| events(stream, &[piece("half")]));
    let (code, stdout, stderr) = call(&sandbox, &cut, &[]);
    assert_eq!((code, stdout.as_str()), (24, "half"));
    assert!(stderr.contains("was cut off"), "{stderr}");
    assert!(stderr.contains("\"error_class\":\"transient\""), "{stderr}");

    let short = service(|_, stream| {
        head(stream, 200, &[("content-type", "text/event-stream"), ("content-length", "99999")])?;
        write!(stream, "data: {}\n\n", piece("half").1)
    });
    let (code, stdout, _) = call(&sandbox, &short, &[]);
    assert_eq!((code, stdout.as_str()), (24, "half"));

    for nonsense in ["data: {\"choices\": [\n\n", "data: <html>\n\n"] {
        let bad = service(move |_, stream| {
            head(stream, 200, &[("content-type", "text/event-stream")])?;
            stream.write_all(nonsense.as_bytes())
        });
        let (code, stdout, stderr) = call(&sandbox, &bad, &[]);
        assert_eq!((code, stdout.as_str()), (24, ""), "{stderr}");
        assert!(stderr.contains("makes no sense"), "{stderr}");
        assert!(stderr.contains("\"error_class\":\"other\""), "{stderr}");
    }

    let failing = service(|_, stream| {
        events(stream, &[("", json!({"error": {"message": "overloaded\nrest: {}"}}).to_string())])
    });
    let (code, _, stderr) = call(&sandbox, &failing, &[]);
    assert_eq!(code, 24);
    assert!(stderr.contains("perplexity failed: overloaded rest: {}\n"), "one line: {stderr}");
}

#[test]
fn a_long_answer_comes_whole() {
    let sandbox = Sandbox::new();
    let server = service(|_, stream| {
        head(stream, 200, &[("content-type", "text/event-stream")])?;
        let block = "0123456789abcde\n".repeat(64);
        let data = format!("data: {}\n\n", piece(&block).1);
        for _ in 0..10 * 1024 {
            stream.write_all(data.as_bytes())?;
        }
        stream.write_all(b"data: [DONE]\n\n")
    });
    ask(&sandbox, &server, "perplexity").succeed();
    let output = fs::read(runs(&sandbox)[0].folder.join("output.md")).unwrap();
    assert_eq!(output.len(), 10 << 20);
    assert!(output.chunks(16).all(|line| line == b"0123456789abcde\n"));
}

#[test]
fn a_service_finishes_its_task_when_its_answer_is_whole() {
    let sandbox = Sandbox::new();
    let server = service(|call, stream| match call {
        1 => events(stream, &[piece("cut")]),
        _ => good(stream),
    });
    let text =
        format!("agents:\n  perplexity:\n    token: {TOKEN}\n    base_url: {}\n", server.url());
    let config = config(&sandbox, &text);
    run_agent(&sandbox, ["--config".as_ref(), config.as_os_str()])
        .args(["task", "--project", "p", "--task", "t", "--agent", "perplexity"])
        .args(["--prompt", "Ask.", "--restart-delay", "10ms"])
        .succeed();
    assert!(info(&sandbox).done);
    let runs = runs(&sandbox);
    assert_eq!(runs.len(), 2, "the first answer was cut off");
    assert_eq!(server.requests()[0].json()["messages"][0]["content"], "Ask.", "no preamble");
}

#[test]
fn a_service_has_the_same_limits_whoever_drives() {
    let sandbox = Sandbox::new();
    let server = service(|call, stream| match call {
        1 => events(stream, &[piece("cut")]),
        _ => good(stream),
    });
    let text =
        format!("agents:\n  perplexity:\n    token: {TOKEN}\n    base_url: {}\n", server.url());
    let config = config(&sandbox, &text);
    let program = |command: &str| {
        run_agent(&sandbox, ["--config".as_ref(), config.as_os_str()]).args([
            command,
            "--project",
            "p",
            "--task",
            "t",
        ])
    };
    program("task")
        .args(["--detach", "--agent", "perplexity", "--prompt", "Ask.", "--restart-delay", "10ms"])
        .succeed();
    program("attach").args(["--timeout", "120s"]).succeed();
    let line = |run: conductor_core::RunInfo| {
        let line = run.record.commandline.unwrap();
        line.split_once(" < ").map(|(command, _)| command.to_owned())
    };
    let lines: Vec<_> = runs(&sandbox).into_iter().map(line).collect();
    assert_eq!((lines.len(), &lines[0]), (2, &lines[1]), "the second attempt is the background's");
}

#[test]
fn a_pause_between_two_calls_ends_when_the_wait_does() {
    /// A log that gives up when it is told of a pause.
    struct Impatient(Cancel);
    impl io::Write for Impatient {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            if line.windows(5).any(|word| word == b"retry") {
                self.0.set();
            }
            Ok(line.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let server =
        service(|_, stream| head(stream, 503, &[("retry-after", "20"), ("content-length", "0")]));
    let call = RestCall::new(RestService::parse("perplexity").unwrap(), TOKEN).unwrap();
    let call = call.base_url(Some(server.url()));
    let cancel = Cancel::new();
    let error =
        call.run("x", &mut io::sink(), &mut Impatient(cancel.clone()), &cancel).unwrap_err();
    assert_eq!((error.code(), server.requests().len()), ("wait.cancelled", 1));
}

#[test]
fn stopping_a_call_ends_it_and_nothing_else() {
    let sandbox = Sandbox::new();
    let server = service(|_, stream| {
        events(stream, &[piece("begun")])?;
        stream.flush()?;
        std::thread::sleep(Duration::from_secs(600));
        Ok(())
    });
    let mut running = ask(&sandbox, &server, "perplexity").arg("--follow").start();
    running.wait_for("the beginning", |text| text == "begun");
    run_agent(&sandbox, ["stop", "--project", "p", "--task", "t"]).succeed();
    let finished = running.finish();
    assert_eq!(finished.status.code(), Some(1), "{}", finished.stderr);
    let run = &runs(&sandbox)[0];
    assert_eq!(run.outcome(), Some(Outcome::Stopped));
    sandbox.wait_until_empty(LONG);
}

#[test]
fn what_a_service_needs_is_told_before_there_is_a_run() {
    let sandbox = Sandbox::new();
    let args = ["job", "--project", "p", "--task", "t", "--agent", "xai", "--prompt", "x"];
    let refused = run_agent(&sandbox, args).env_remove("XAI_API_KEY").exits(2);
    assert!(refused.stderr.contains("there is no token for xai"), "{}", refused.stderr);
    assert!(refused.stderr.contains("XAI_API_KEY"), "{}", refused.stderr);
    assert!(!sandbox.root().exists());
}

#[test]
fn a_model_that_the_service_does_not_know_ends_the_task_at_once() {
    for status in [400, 404, 422] {
        let sandbox = Sandbox::new();
        let server = service(move |_, stream| {
            whole(stream, status, "application/json", b"{\"error\": \"no such model\"}")
        });
        let finished = task(&sandbox, &server, "xai").exits(1);
        assert_eq!(server.requests().len(), 1, "{status}: {}", finished.stdout);
        let run = &runs(&sandbox)[0];
        assert_eq!(run.record.error_class, Some(ErrorClass::BadRequest));
        let told = messages(&sandbox).into_iter().find(|m| m.msg_type == "ERROR").unwrap();
        assert!(told.body.contains("bad request"), "{}", told.body);
    }
}
