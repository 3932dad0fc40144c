//! A service that is reached through a proxy, as the environment says.

use crate::rest::{ask, good, service};
use crate::workshop::runs;
use conductor_core::Outcome;
use conductor_tests::http::{Server, whole};
use conductor_tests::sandbox::Sandbox;
use std::fs;
use std::io::{self, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;

const PASSWORD: &str = "open-sesame-42";

/// A proxy that tunnels to wherever it is asked.
fn proxy() -> Server {
    Server::start(|request, stream| {
        if request.method != "CONNECT" {
            return whole(stream, 405, "text/plain", b"");
        }
        let mut there = TcpStream::connect(&request.path)?;
        stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        let (mut from, mut to) = (stream.try_clone()?, there.try_clone()?);
        std::thread::spawn(move || io::copy(&mut from, &mut to));
        io::copy(&mut there, stream)?;
        // The end of the answer; the other direction may still be open.
        stream.shutdown(Shutdown::Write)
    })
}

/// The proxy's address with a name and a password.
fn address(proxy: &Server) -> String {
    proxy.url().replace("http://", &format!("http://me:{PASSWORD}@"))
}

/// Nothing below `folder` holds the password.
fn no_password_in(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            no_password_in(&path);
        } else {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains(PASSWORD), "{} holds the password", path.display());
        }
    }
}

#[test]
fn a_service_is_asked_through_the_proxy_of_the_environment() {
    for name in ["ALL_PROXY", "HTTPS_PROXY", "http_proxy"] {
        let sandbox = Sandbox::new();
        let (proxy, server) = (proxy(), service(|_, stream| good(stream)));
        let asked = ask(&sandbox, &server, "perplexity").env(name, address(&proxy)).succeed();
        assert!(asked.stdout.starts_with("The answer is 42."), "{name}: {}", asked.stdout);
        let through = &proxy.requests()[0];
        assert_eq!(through.method, "CONNECT", "{name}");
        assert_eq!(format!("http://{}", through.path), server.url());
        // The name and the password, in base64.
        assert_eq!(
            through.header("proxy-authorization"),
            Some("Basic bWU6b3Blbi1zZXNhbWUtNDI="),
            "{name}"
        );
        assert_eq!(server.requests().len(), 1);
        no_password_in(&sandbox.root());
    }
}

#[test]
fn a_service_that_no_proxy_names_is_asked_directly() {
    let sandbox = Sandbox::new();
    let (proxy, server) = (proxy(), service(|_, stream| good(stream)));
    let asked = ask(&sandbox, &server, "perplexity");
    asked.env("ALL_PROXY", address(&proxy)).env("NO_PROXY", "127.0.0.1").succeed();
    assert_eq!((proxy.requests().len(), server.requests().len()), (0, 1));
}

#[test]
fn a_proxy_that_refuses_is_told_without_its_password() {
    let sandbox = Sandbox::new();
    let proxy = Server::start(|_, stream| whole(stream, 407, "text/plain", b"who are you?"));
    let server = service(|_, stream| good(stream));
    let refused = ask(&sandbox, &server, "perplexity").env("ALL_PROXY", address(&proxy)).run();
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
    assert!(server.requests().is_empty());
    let run = &runs(&sandbox)[0];
    assert_eq!(run.outcome(), Some(Outcome::Failed));
    let stderr = fs::read_to_string(run.folder.join("agent-stderr.txt")).unwrap();
    assert!(stderr.contains("proxy") && stderr.contains("407"), "{stderr}");
    assert!(!refused.stderr.contains(PASSWORD));
    no_password_in(&sandbox.root());
}
