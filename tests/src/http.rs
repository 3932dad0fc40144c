//! A small HTTP server on the loopback, whose answers a test writes byte by byte.
//!
//! One connection carries one request. What is wrong with a connection is the test's affair: a client
//! that goes away ends its connection and nothing else.

use parking_lot::Mutex;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// The largest body that is taken, in bytes.
const LARGEST_BODY: usize = 64 << 20;

/// What a client asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `POST`.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header; `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn read(stream: &mut BufReader<&TcpStream>) -> io::Result<Request> {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            // A connection that asked for nothing is no request.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut words = line.split_whitespace();
        let mut word = || words.next().unwrap_or_default().to_owned();
        let mut request = Request { method: word(), path: word(), ..Request::default() };
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            request.headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = request.header("content-length").and_then(|length| length.parse().ok());
        request.body = match length {
            Some(length) if length <= LARGEST_BODY => {
                let mut body = vec![0; length];
                stream.read_exact(&mut body)?;
                body
            }
            Some(_) => return Err(io::ErrorKind::InvalidData.into()),
            None if request.header("transfer-encoding") == Some("chunked") => chunked(stream)?,
            None => Vec::new(),
        };
        Ok(request)
    }
}

fn chunked(stream: &mut BufReader<&TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
        if body.len() + size > LARGEST_BODY {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let start = body.len();
        body.resize(start + size, 0);
        stream.read_exact(&mut body[start..])?;
        stream.read_line(&mut line)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// A server; it lives as long as its process.
#[derive(Clone, Debug)]
pub struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Listens on a free port and lets `answer` write what each request gets.
    pub fn start(
        answer: impl Fn(&Request, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on the loopback");
        let address = listener.local_addr().expect("the address of a listener");
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (answer, log) = (Arc::new(answer), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                std::thread::spawn(move || {
                    let mut writer = &stream;
                    let Ok(request) = Request::read(&mut BufReader::new(&stream)) else { return };
                    log.lock().push(request.clone());
                    let Ok(mut copy) = writer.try_clone() else { return };
                    // A client that went away hears nothing.
                    let _gone = answer(&request, &mut copy).and_then(|()| writer.flush());
                });
            }
        });
        Server { address, requests }
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked for so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().clone()
    }
}

/// An address on the loopback where calls are refused, for as long as this lives.
///
/// Its port is that of a connection, which the system gives to no listener. One that was only free a
/// moment ago may be another test's by now.
#[derive(Debug)]
pub struct Nobody {
    address: SocketAddr,
    _connection: [TcpStream; 2],
}

impl Default for Nobody {
    fn default() -> Nobody {
        Nobody::new()
    }
}

impl Nobody {
    /// Takes a port.
    pub fn new() -> Nobody {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on the loopback");
        let there = listener.local_addr().expect("the address of a listener");
        let caller = TcpStream::connect(there).expect("a connection on the loopback");
        let (called, _) = listener.accept().expect("a connection on the loopback");
        let address = caller.local_addr().expect("the address of a connection");
        Nobody { address, _connection: [caller, called] }
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Writes the head of an answer whose body ends with the connection.
pub fn head(stream: &mut TcpStream, status: u16, headers: &[(&str, &str)]) -> io::Result<()> {
    stream.write_all(head_text(status, headers).as_bytes())
}

fn head_text(status: u16, headers: &[(&str, &str)]) -> String {
    let mut head = format!("HTTP/1.1 {status} Stand-In\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head
}

/// Writes a whole answer.
pub fn whole(stream: &mut TcpStream, status: u16, kind: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len().to_string();
    head(stream, status, &[("content-type", kind), ("content-length", &length)])?;
    stream.write_all(body)
}

/// Writes events of a stream: each a name, which may be empty, and its data. They come at once, whatever
/// keeps the server from going on: a client may be about to lose its patience.
pub fn events(stream: &mut TcpStream, events: &[(&str, String)]) -> io::Result<()> {
    let headers = [("content-type", "text/event-stream"), ("cache-control", "no-cache")];
    let mut text = head_text(200, &headers);
    for (name, data) in events {
        if !name.is_empty() {
            text.push_str(&format!("event: {name}\n"));
        }
        text.push_str(&format!("data: {data}\n\n"));
    }
    stream.write_all(text.as_bytes())
}
