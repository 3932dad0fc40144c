//! The socket that clients connect to, and how many there may be.

use super::limits;
use super::places::{Place, Places};
use conductor_core::{Error, ErrorKind, Result};
use rustix::net::sockopt;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Ports that are tried one after the other where none was asked for.
const PORTS: u16 = 100;
/// The pause after an error of accepting, as when the process is out of descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// Listens on the port, or on the next free one where none was asked for.
pub(super) async fn listen(address: SocketAddr, may_move: bool) -> Result<TcpListener> {
    let mut tried = address;
    loop {
        match TcpListener::bind(tried).await {
            Ok(listener) => return Ok(listener),
            Err(error) if may_move && error.kind() == io::ErrorKind::AddrInUse => {
                let next = tried.port().checked_add(1);
                match next.filter(|port| port - address.port() < PORTS) {
                    Some(port) => tried.set_port(port),
                    None => return Err(cannot_listen(tried, error)),
                }
            }
            Err(error) => return Err(cannot_listen(tried, error)),
        }
    }
}

/// The error about an address that cannot be listened on.
pub(super) fn cannot_listen(address: SocketAddr, source: io::Error) -> Error {
    let busy = source.kind() == io::ErrorKind::AddrInUse;
    let error =
        Error::new(ErrorKind::Io, "server.cannot_listen", format!("cannot listen on {address}"))
            .with_field("port")
            .with_source(source);
    match busy {
        true => error.with_hint("another program listens there; name a port with --port"),
        false => error,
    }
}

/// The next connection, once there is a place for it; `None` after an error.
pub(super) async fn accept(
    listener: &TcpListener,
    places: &Places,
) -> Option<(TcpStream, SocketAddr, Place)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            prepare(&stream);
            Some((stream, peer, places.take().await?))
        }
        Err(error) => {
            tracing::warn!(subsystem = "api", %error, "cannot accept a connection");
            tokio::time::sleep(BREATH).await;
            None
        }
    }
}

/// Small frames are sent as they come; a client that is gone, or takes nothing any more, is let go.
fn prepare(stream: &TcpStream) {
    // Each is a comfort: a connection without them still works.
    let _comforts = stream
        .set_nodelay(true)
        .and_then(|()| Ok(sockopt::set_socket_keepalive(stream, true)?))
        .and_then(|()| Ok(sockopt::set_tcp_keepidle(stream, limits::SILENT_TIME)?))
        .and_then(|()| {
            let most = u32::try_from(limits::SILENT_TIME.as_millis()).unwrap_or(u32::MAX);
            Ok(sockopt::set_tcp_user_timeout(stream, most)?)
        });
}

/// Lets the process have as many descriptors as it may: each client is one.
pub(super) fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX).min(limits::DESCRIPTORS);
    if limit.current.is_some_and(|current| current < most) {
        limit.current = Some(most);
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(subsystem = "api", %error, "cannot have more open files");
        }
    }
}

/// How many things may be followed at a time: what they need is a part of the descriptors, too.
pub(super) fn look_outs() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    let limit = usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    (limit / 4 / limits::LOOK_OUT_DESCRIPTORS).clamp(2, limits::LOOK_OUTS)
}

/// How many connections there may be: a part of the descriptors that the process may have.
pub(super) fn places() -> u32 {
    let limit = getrlimit(Resource::Nofile).current;
    let limit = u32::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(u32::MAX);
    (limit / 2).clamp(16, limits::CONNECTIONS)
}
