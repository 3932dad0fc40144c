//! Listening, and sending what `app` answers, until the process is asked to end.

use super::app::App;
use super::around::Peer;
use super::limits;
use super::places::{Place, Places, Voice};
use super::routes;
use super::settings::{Effective, Wishes, settle};
use super::stream;
use crate::log;
use axum::Router;
use axum::http::Request;
use conductor_core::{Conductor, Error, ErrorKind, LogLevel, Result};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tower::ServiceExt as _;

/// Ports that are tried one after the other where none was asked for.
const PORTS: u16 = 100;
/// The pause after an error of accepting, as when the process is out of descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// A server that is about to answer.
#[derive(Debug)]
pub(crate) struct Serving {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Whether the token is the one that stands in the root.
    pub(crate) token_is_stored: bool,
}

/// Serves a root until SIGTERM or SIGINT. `told` hears where, once it listens.
///
/// # Errors
/// What keeps it from listening.
pub(crate) fn serve(
    conductor: Conductor,
    wishes: Wishes,
    told: impl FnOnce(&Serving),
) -> Result<()> {
    log::configure(conductor.config(), LogLevel::Info);
    let _log = log::aside::begin();
    raise_limit();
    let effective = settle(&conductor, wishes)?;
    let runtime = runtime()?;
    let answer = runtime.block_on(run(conductor, effective, told));
    // Calls that still run are left to their ends: what they began goes on without this process.
    runtime.shutdown_timeout(Duration::ZERO);
    answer
}

fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("server")
        .max_blocking_threads(limits::THREADS)
        .build()
        .map_err(|source| {
            Error::new(ErrorKind::Io, "server.no_threads", "cannot start threads")
                .with_source(source)
        })
}

async fn run(
    conductor: Conductor,
    effective: Effective,
    told: impl FnOnce(&Serving),
) -> Result<()> {
    let Effective { address, may_move, settings, token_is_stored } = effective;
    let (mut term, mut int) = (hear(SignalKind::terminate())?, hear(SignalKind::interrupt())?);
    let listener = listen(address, may_move).await?;
    let address = listener.local_addr().map_err(|e| cannot_listen(address, e))?;
    let app = App::new(conductor, settings)?;
    app.driver().resume()?;
    tokio::spawn(stream::keep_books(app.clone()));
    let router = routes::app(app.clone());
    told(&Serving { address, token_is_stored });
    tracing::info!(subsystem = "api", address = %address, "server_listening");
    let places = Places::new(places());
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            _ = term.recv() => break,
            _ = int.recv() => break,
        };
        let Some((stream, peer, mut place)) = accepted else { continue };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::HEAD_TIME)
            .max_header_size(limits::HEAD)
            .max_headers(limits::HEADERS)
            .serve_connection(
                TokioIo::new(stream),
                service_of(router.clone(), peer, place.voice()),
            );
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            tokio::select! {
                // A client that went away, or was too slow, is its own affair.
                _gone = connection => {}
                () = place.dismissed() => {}
            }
        });
    }
    drop(listener);
    tracing::info!(subsystem = "api", "server_shutdown_started");
    app.end_streams();
    if tokio::time::timeout(limits::FAREWELL, graceful.shutdown()).await.is_err() {
        tracing::warn!(subsystem = "api", "some answers were cut off");
    }
    tracing::info!(subsystem = "api", "server_stopped");
    Ok(())
}

/// What answers the requests of a connection.
fn service_of(
    router: Router,
    peer: SocketAddr,
    voice: Voice,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = axum::response::Response,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone {
    TowerToHyperService::new(router.map_request(move |mut request: Request<Incoming>| {
        voice.speaks();
        request.extensions_mut().insert(Peer(peer));
        request
    }))
}

/// The next connection, once there is a place for it; `None` after an error.
async fn accept(listener: &TcpListener, places: &Places) -> Option<(TcpStream, SocketAddr, Place)> {
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
fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX).min(limits::DESCRIPTORS);
    if limit.current.is_some_and(|current| current < most) {
        limit.current = Some(most);
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(subsystem = "api", %error, "cannot have more open files");
        }
    }
}

/// How many connections there may be: a part of the descriptors that the process may have.
fn places() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    let limit = usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    (limit / 2).clamp(16, limits::CONNECTIONS)
}

fn hear(kind: SignalKind) -> Result<tokio::signal::unix::Signal> {
    signal(kind).map_err(|source| {
        Error::new(ErrorKind::Io, "server.signals", "cannot listen for signals").with_source(source)
    })
}

/// Listens on the port, or on the next free one where none was asked for.
async fn listen(address: SocketAddr, may_move: bool) -> Result<TcpListener> {
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

fn cannot_listen(address: SocketAddr, source: io::Error) -> Error {
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
