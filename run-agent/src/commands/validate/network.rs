//! Whether services answer. A service that takes plain HTTP is asked for its headers; of one that wants
//! TLS only the connection is made, which is what a wrong name, a closed port or a firewall would stop.

use conductor_core::{Error, ErrorKind, Problem, Service, Severity};
use serde_json::{Value, json};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a service may take, with the search for its name.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most that is read of an answer, in bytes.
const ANSWER: usize = 1024;

/// What became of the call of one service.
pub(super) struct Reached {
    service: Service,
    answer: Result<String, String>,
}

/// Calls all services at once.
pub(super) fn call(services: &[Service]) -> Vec<Reached> {
    let begun = Instant::now();
    let calls: Vec<_> = services
        .iter()
        .map(|service| {
            let (sender, receiver) = mpsc::channel();
            let origin = service.origin.clone();
            // A search for a name cannot be given a deadline; the thread is left behind then.
            std::thread::spawn(move || {
                let _nobody_waits = sender.send(reach(&origin));
            });
            (service.clone(), receiver)
        })
        .collect();
    calls
        .into_iter()
        .map(|(service, receiver)| {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let answer = match receiver.recv_timeout(left) {
                Ok(answer) => answer.map_err(|error| error.to_string()),
                Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
            };
            Reached { service, answer }
        })
        .collect()
}

fn reach(origin: &str) -> io::Result<String> {
    let (scheme, host) = origin.split_once("://").unwrap_or(("http", origin));
    let tls = scheme == "https";
    let address = match has_port(host) {
        true => host.to_owned(),
        false => format!("{host}:{}", if tls { 443 } else { 80 }),
    };
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name stands for no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) if tls => return Ok("takes connections".to_owned()),
            Ok(stream) => return ask(stream, host),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn has_port(host: &str) -> bool {
    match host.rsplit_once(':') {
        // The colons of an address in brackets are its own.
        Some((_, port)) => !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()),
        None => false,
    }
}

fn ask(mut stream: TcpStream, host: &str) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; ANSWER];
    while answer.len() < ANSWER && !answer.contains(&b'\n') {
        match stream.read(&mut buffer)? {
            0 => break,
            read => answer.extend_from_slice(&buffer[..read]),
        }
    }
    let line = String::from_utf8_lossy(&answer);
    let line = line.lines().next().unwrap_or_default();
    match line.strip_prefix("HTTP/").and_then(|rest| rest.split_once(' ')) {
        // Whatever the status: something that speaks HTTP lives there.
        Some((_, status)) => Ok(format!("answers {}", status.trim_end())),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "it does not answer as HTTP does")),
    }
}

impl Reached {
    pub(super) fn caller(&self) -> &str {
        &self.service.caller
    }

    pub(super) fn severity(&self) -> Option<Severity> {
        self.answer.is_err().then_some(Severity::Warning)
    }

    pub(super) fn detail(&self) -> String {
        let (Ok(answer) | Err(answer)) = &self.answer;
        format!("{} {answer}", self.service.origin)
    }

    pub(super) fn problem(&self) -> Option<Problem> {
        let why = self.answer.as_ref().err()?;
        let message = format!("{} cannot be reached: {why}", self.service.origin);
        let error = Error::new(ErrorKind::Io, "network.unreachable", message)
            .with_field(self.service.caller.clone())
            .with_hint("look at the address, the network and the firewall");
        Some(Problem::of_error(Severity::Warning, &error))
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "caller": self.service.caller,
            "origin": self.service.origin,
            "ok": self.answer.is_ok(),
            "answer": self.answer.as_ref().unwrap_or_else(|why| why),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn listener() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        (listener, address)
    }

    #[test]
    fn what_speaks_http_is_reached_whatever_it_says() {
        let (listener, address) = listener();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        assert_eq!(reach(&format!("http://{address}")).unwrap(), "answers 404 Not Found");
        assert!(server.join().unwrap().contains(&format!("Host: {address}\r\n")));
    }

    #[test]
    fn another_tongue_and_a_closed_port_are_no_answer() {
        let (listener, address) = listener();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"220 smtp\r\n").unwrap();
            // The listener goes here: nothing answers any more.
        });
        assert_eq!(
            reach(&format!("http://{address}")).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        server.join().unwrap();
        let refused = reach(&format!("https://{address}")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_connection_is_enough_of_what_wants_tls() {
        let (_listener, address) = listener();
        assert_eq!(reach(&format!("https://{address}")).unwrap(), "takes connections");
    }

    #[test]
    fn ports_are_told_from_addresses() {
        assert!(has_port("h:80") && has_port("[::1]:80"));
        assert!(!has_port("h") && !has_port("[::1]") && !has_port("h:"));
    }
}
