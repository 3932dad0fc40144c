//! A receiver of webhook calls on loopback, which answers as a test wants.

use conductor_core::{Timestamp, sign};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Inbox, Sender, channel};
use std::time::Duration;

/// A call that was made.
pub(crate) struct Call {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
    text: String,
    /// The status that it was answered with.
    pub(crate) status: u16,
}

impl Call {
    pub(crate) fn event(&self) -> &str {
        self.body["event"].as_str().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}: {:?}", self.headers))
    }

    /// Fails unless it is signed as the documentation says.
    pub(crate) fn assert_signed(&self, secret: &str) {
        let seconds: u64 = self.header("x-conductor-timestamp").parse().unwrap();
        let then = Timestamp::from_unix_nanos(i128::from(seconds) * 1_000_000_000);
        for (name, value) in sign(secret, self.text.as_bytes(), then) {
            assert_eq!(self.header(&name.to_ascii_lowercase()), value, "{name}");
        }
        assert_eq!(self.header("idempotency-key"), self.body["event_id"].as_str().unwrap());
        assert_eq!(self.header("x-conductor-event"), self.event());
    }
}

/// The receiver. It ends with the test's process.
pub(crate) struct Receiver {
    pub(crate) url: String,
    calls: Inbox<Call>,
}

impl Receiver {
    /// A receiver that answers each call with what `answer` says of its number, from 0.
    pub(crate) fn start(answer: impl Fn(u64) -> u16 + Send + Sync + 'static) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook/secret-path", listener.local_addr().unwrap());
        let (sender, calls) = channel();
        let answer = std::sync::Arc::new((answer, std::sync::atomic::AtomicU64::new(0)));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (sender, answer) = (sender.clone(), answer.clone());
                std::thread::spawn(move || {
                    let next = || {
                        let number = answer.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        (answer.0)(number)
                    };
                    // A caller that goes away in the middle is no failure of the test.
                    let _gone = serve(&stream.unwrap(), &sender, &next);
                });
            }
        });
        Receiver { url, calls }
    }

    /// The next call.
    pub(crate) fn next(&self) -> Call {
        self.calls.recv_timeout(Duration::from_secs(120)).expect("a call")
    }

    /// Everything that was told so far.
    pub(crate) fn so_far(&self) -> Vec<Call> {
        self.calls.try_iter().collect()
    }
}

/// Serves the calls of one connection.
fn serve(
    mut stream: &TcpStream,
    calls: &Sender<Call>,
    answer: &dyn Fn() -> u16,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        assert!(line.starts_with("POST /hook/secret-path HTTP/1.1"), "{line}");
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        reader.read_exact(&mut body)?;
        let text = String::from_utf8(body).unwrap();
        let status = answer();
        let call = Call { headers, body: serde_json::from_str(&text).unwrap(), text, status };
        let _test_is_over = calls.send(call);
        write!(stream, "HTTP/1.1 {status} Whatever\r\nContent-Length: 2\r\n\r\nok")?;
    }
}
