//! What the tests of the server share: a server on a free port, and clients of it.

use conductor_tests::process::{Program, Running};
use conductor_tests::sandbox::Sandbox;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longer than anything here takes; it ends a hang and measures nothing.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A script that is done at once.
pub(crate) const DONE: &str = "echo working; touch \"$JRUN_TASK_FOLDER/DONE\"";

/// A script that is done once the file `gate` stands.
pub(crate) fn waits_for(gate: &Path) -> String {
    // Each look is a process: twenty of these at once must not keep the machine busy.
    format!("until [ -e '{}' ]; do sleep 0.1; done; {DONE}", gate.display())
}

/// Waits until something is so.
pub(crate) fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < LONG, "still not: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the server has let go of every task: it does so a moment after a task is over, and refuses
/// until then what would change it.
pub(crate) fn until_nothing_is_driven(sandbox: &Sandbox) {
    let served = sandbox.root().join(".conductor/served");
    until("every task is let go of", || {
        std::fs::read_dir(&served).is_ok_and(|mut noted| noted.next().is_none())
    });
}

/// A running server.
pub(crate) struct Server {
    pub(crate) running: Running,
    pub(crate) address: String,
    agent: ureq::Agent,
    token: Option<String>,
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) text: String,
}

/// `run-agent serve` on a free port.
pub(crate) fn program(sandbox: &Sandbox) -> Program {
    let program = sandbox.program(env!("CARGO_BIN_EXE_run-agent"));
    program.env("TZ", "UTC").args(["serve", "--port", "0"])
}

impl Server {
    /// A server that lets everybody on this machine change what it serves.
    pub(crate) fn open(sandbox: &Sandbox) -> Server {
        Server::of(sandbox, program(sandbox).args(["--auth", "off"]))
    }

    /// A server as it is by default, and the token that stands in its root.
    pub(crate) fn with_token(sandbox: &Sandbox) -> Server {
        let mut server = Server::of(sandbox, program(sandbox));
        server.token = Some(token(sandbox));
        server
    }

    pub(crate) fn of(_: &Sandbox, program: Program) -> Server {
        let mut running = program.start();
        let told = running.wait_for("its address", |text| text.contains('\n'));
        let address = told.trim().strip_prefix("API listening on http://").unwrap();
        let address = address.trim_end_matches('/').to_owned();
        // A stream may last longer than any wait for what comes next in it.
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_per_read(Some(LONG))
            .timeout_global(Some(10 * LONG))
            // Well before the server closes a connection that idles.
            .max_idle_age(Duration::from_secs(5))
            .build();
        Server { running, address, agent: config.into(), token: None }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.agent.get(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.call())
    }

    /// The status of an answer whose body is not read.
    pub(crate) fn get_head(&self, path: &str) -> u16 {
        self.agent.get(self.url(path)).call().unwrap().status().as_u16()
    }

    /// The JSON of an answer that is a success.
    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_text(path, &body.to_string())
    }

    pub(crate) fn post_text(&self, path: &str, body: &str) -> Answer {
        let request = self.agent.post(self.url(path)).header("content-type", "application/json");
        answer(match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")).send(body),
            None => request.send(body),
        })
    }

    /// A change without a body.
    pub(crate) fn push(&self, path: &str) -> Answer {
        let request = self.agent.post(self.url(path));
        answer(match &self.token {
            Some(token) => request.header("x-api-key", token).send_empty(),
            None => request.send_empty(),
        })
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.delete_with(path, &[])
    }

    pub(crate) fn delete_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.agent.delete(self.url(path));
        if let Some(token) = &self.token {
            request = request.header("x-api-key", token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.call())
    }

    /// Follows a stream, from behind the event with this id where one is given.
    pub(crate) fn follow(&self, path: &str, last_id: Option<&str>) -> Events {
        let mut request = self.agent.get(self.url(path));
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.call().unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { lines: BufReader::new(response.into_body().into_reader()), last_id: None }
    }

    /// Sends bytes as they are, and reads the answer until the server closes the connection.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // A server that has refused reads no further.
        let _refused = stream.write_all(bytes);
        let mut text = Vec::new();
        let _closed_hard = stream.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    /// Starts a task with the agent `shell`, and gives the answer.
    pub(crate) fn start_task(&self, task: &str, script: &str) -> Value {
        let body = serde_json::json!({
            "project_id": "p", "task_id": task, "agent_type": "shell", "prompt": script,
        });
        let answer = self.post("/api/v1/tasks", &body);
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()
    }

    /// Looks at something until it is as wanted.
    pub(crate) fn await_json(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = std::time::Instant::now() + LONG;
        loop {
            let answer = self.get(path);
            if answer.status == 200 && wanted(&answer.json()) {
                return answer.json();
            }
            assert!(std::time::Instant::now() < deadline, "{path}: {}", answer.text);
            // What is waited for is a state of the server, which only looking at it tells.
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The stable code of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["details"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Fails unless it has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

/// The status of an answer as it came.
pub(crate) fn status_of(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

fn answer(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    let mut response = response.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.body_mut().read_to_string().unwrap(),
    }
}

/// The token that stands in the sandbox's root.
pub(crate) fn token(sandbox: &Sandbox) -> String {
    let path = sandbox.root().join(".conductor/server.token");
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

/// An event of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: String,
    /// The id that the client would come back with.
    pub(crate) id: String,
}

impl Event {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// A stream that is followed, read as a browser reads it.
pub(crate) struct Events {
    lines: BufReader<ureq::BodyReader<'static>>,
    pub(crate) last_id: Option<String>,
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let (mut event, mut data) = (Event::default(), Vec::new());
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap_or(0) == 0 {
                return None;
            }
            // One that was cut off is no event.
            let line = line.strip_suffix('\n')?;
            match line.split_once(": ") {
                _ if line.is_empty() && data.is_empty() => event = Event::default(),
                _ if line.is_empty() => {
                    event.data = data.join("\n");
                    event.id = self.last_id.clone().unwrap_or_default();
                    return Some(event);
                }
                Some(("id", id)) => self.last_id = Some(id.to_owned()),
                Some(("event", name)) => event.name = name.to_owned(),
                Some(("data", text)) => data.push(text.to_owned()),
                _ => {}
            }
        }
    }
}

impl Events {
    /// The next event that is no sign of life.
    pub(crate) fn news(&mut self) -> Option<Event> {
        self.find(|event| event.name != "heartbeat")
    }

    /// The next event that has this name; others are passed over.
    pub(crate) fn named(&mut self, name: &str) -> Event {
        self.find(|event| event.name == name).unwrap_or_else(|| panic!("no event {name}"))
    }

    /// The next `count` events that have this name.
    pub(crate) fn several(&mut self, name: &str, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.named(name)).collect()
    }
}
