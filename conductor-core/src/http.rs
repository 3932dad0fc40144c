//! Calling services over HTTP and TLS; the only file that names the HTTP library.
//!
//! The roots of trust are the system's. No redirect is followed: an address says whom it means.

use crate::cancel::Wait;
use crate::sys::{EventFd, Poller};
use parking_lot::Mutex;
use std::error::Error as _;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{Method, Request};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Timeout};

/// What this program calls itself.
const USER_AGENT: &str = concat!("conductor/", env!("CARGO_PKG_VERSION"));
/// The most that is read of an answer, in bytes.
const ANSWER: u64 = 64 << 10;

/// The answer of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// What the code means, in its usual words.
    pub(crate) reason: &'static str,
}

impl Answer {
    /// Whether the service did what it was asked for.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A client that keeps connections between two calls.
#[derive(Debug)]
pub(crate) struct Client(Agent);

impl Client {
    pub(crate) fn new() -> Client {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .user_agent(USER_AGENT)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build();
        Client(config.new_agent())
    }

    /// Posts `body` with these headers.
    ///
    /// # Errors
    /// Why there is no answer, without the address, which may be a secret.
    pub(crate) fn post(
        &self,
        url: &str,
        headers: Vec<(&'static str, String)>,
        body: String,
        limit: Duration,
        wait: &Wait,
    ) -> Result<Answer, String> {
        let mut request = Request::builder().method(Method::POST).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(body).map_err(|error| in_words(&error.into()))?;
        self.call(move |agent, limit| send(&agent, request, limit), limit, wait)
    }

    /// Asks for the headers of what lies at `url`.
    ///
    /// # Errors
    /// As [`post`](Client::post).
    pub(crate) fn head(&self, url: &str, limit: Duration, wait: &Wait) -> Result<Answer, String> {
        let request = Request::builder().method(Method::HEAD).uri(url).body(());
        let request = request.map_err(|error| in_words(&error.into()))?;
        self.call(move |agent, limit| send(&agent, request, limit), limit, wait)
    }

    /// Makes a call of at most `limit` that the wait ends early. Where it has a switch, the call is made
    /// in a thread of its own, which ends with the call.
    fn call(
        &self,
        call: impl FnOnce(Agent, Duration) -> Result<Answer, String> + Send + 'static,
        limit: Duration,
        wait: &Wait,
    ) -> Result<Answer, String> {
        let limit = wait.remaining().map_or(limit, |left| left.min(limit));
        // No time at all would be none to the library.
        let limit = limit.max(Duration::from_millis(1));
        let agent = self.0.clone();
        let Some(cancel) = wait.cancel().and_then(crate::Cancel::fd) else {
            return call(agent, limit);
        };
        let failed = |error: io::Error| format!("cannot wait for an answer: {error}");
        let shared = Arc::new((EventFd::new().map_err(failed)?, Mutex::new(None)));
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name("conductor-call".to_owned());
        let body = move || {
            let answer = call(agent, limit);
            *theirs.1.lock() = Some(answer);
            theirs.0.raise();
        };
        thread.spawn(body).map_err(failed)?;
        let poller = Poller::new().map_err(failed)?;
        poller.add(shared.0.as_fd(), 1).map_err(failed)?;
        poller.add(cancel, 2).map_err(failed)?;
        // The call has its own limit; a second more is for a name server that answers nothing.
        let ready = poller.wait(Some(limit + Duration::from_secs(1))).map_err(failed)?;
        match shared.1.lock().take() {
            Some(answer) => answer,
            None => {
                // Ends a call that is under way.
                self.0.clone().shutdown();
                Err(if ready.has(2) { "cancelled" } else { "no answer in time" }.to_owned())
            }
        }
    }
}

fn send<B: ureq::AsSendBody>(
    agent: &Agent,
    request: Request<B>,
    limit: Duration,
) -> Result<Answer, String> {
    let request = agent.configure_request(request).timeout_global(Some(limit)).build();
    let mut response = agent.run(request).map_err(|error| in_words(&error))?;
    let status = response.status();
    // Read, so that the connection can serve the next call; what it says does not matter.
    let _enough = response.body_mut().with_config().limit(ANSWER).read_to_vec();
    Ok(Answer { status: status.as_u16(), reason: status.canonical_reason().unwrap_or_default() })
}

/// Why there is no answer, for a person.
fn in_words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => "the address makes no sense".to_owned(),
        ureq::Error::Timeout(Timeout::Resolve) => "the name server does not answer".to_owned(),
        ureq::Error::Timeout(Timeout::Connect) => "no connection in time".to_owned(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::HostNotFound => "the name stands for no address".to_owned(),
        ureq::Error::Protocol(_) => "it does not answer as HTTP does".to_owned(),
        ureq::Error::Io(error) => match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
        ureq::Error::Rustls(error) => format!("TLS: {error}"),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cancel;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::time::Instant;

    const LIMIT: Duration = Duration::from_secs(60);

    /// A server for one connection, which `serve` gets when its request was read.
    fn server(serve: impl FnOnce(TcpStream, String) + Send + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            let end: &[u8] = b"\r\n\r\n";
            while !(request.ends_with(b"}")
                || request.starts_with(b"HEAD") && request.ends_with(end))
            {
                let read = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..read]);
            }
            serve(stream, String::from_utf8(request).unwrap());
        });
        url
    }

    #[test]
    fn a_call_is_posted_and_its_status_is_the_answer() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let url = server(move |mut stream, request| {
            sender.send(request).unwrap();
            stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno").unwrap();
        });
        let headers = vec![("X-Test", "yes".to_owned())];
        let client = Client::new();
        let answer = client.post(&url, headers, "{}".into(), LIMIT, &Wait::FOREVER).unwrap();
        assert_eq!((answer.status, answer.reason), (503, "Service Unavailable"));
        assert!(!answer.is_success());
        let request = receiver.recv().unwrap().to_lowercase();
        for part in ["post /hook http/1.1", "x-test: yes", "user-agent: conductor/", "\r\n\r\n{}"] {
            assert!(request.contains(part), "{part} in {request}");
        }
    }

    #[test]
    fn no_redirect_is_followed() {
        let url = server(|mut stream, _| {
            let answer = "HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let answer = Client::new().post(&url, vec![], "{}".into(), LIMIT, &Wait::FOREVER).unwrap();
        assert_eq!(answer.status, 302);
    }

    #[test]
    fn another_tongue_and_a_closed_port_are_no_answer() {
        let url = server(|mut stream, _| stream.write_all(b"220 smtp\r\n").unwrap());
        let call = |url: &str| Client::new().head(url, LIMIT, &Wait::FOREVER);
        assert_eq!(call(&url).unwrap_err(), "it does not answer as HTTP does");
        // One that the system gives to nobody. The port of a listener that is closed may be had by the test
        // beside this one, or live on in a child that was forked meanwhile.
        let why = call("https://127.0.0.1:1/secret-path").unwrap_err();
        assert!(why.contains("refused") && !why.contains("secret-path"), "{why}");
        assert_eq!(call("http://[").unwrap_err(), "the address makes no sense");
    }

    #[test]
    fn what_wants_tls_is_spoken_to_in_tls() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut first = [0; 3];
            stream.read_exact(&mut first).unwrap();
            first
        });
        assert!(Client::new().head(&url, LIMIT, &Wait::FOREVER).is_err());
        // A handshake record of TLS, and no request in the clear.
        assert_eq!(server.join().unwrap()[..2], [0x16, 0x03]);
    }

    #[test]
    fn a_switch_ends_a_call_that_nobody_answers() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let url = server(move |mut stream, _| {
            sender.send(()).unwrap();
            let mut end = [0];
            // Until the other side goes.
            let _gone = stream.read(&mut end);
        });
        let cancel = Cancel::new();
        let switch = cancel.clone();
        std::thread::spawn(move || {
            receiver.recv().unwrap();
            switch.set();
        });
        let begun = Instant::now();
        let limit = Duration::from_secs(600);
        let why = Client::new().post(&url, vec![], "{}".into(), limit, &Wait::from(&cancel));
        assert_eq!(why.unwrap_err(), "cancelled");
        assert!(begun.elapsed() < limit);
    }
}
