//! A worker: it sends what `app` answers, until the process is asked to end or another worker takes over.

use super::app::App;
use super::around::Peer;
use super::launch::{self, Launcher, Order};
use super::limits;
use super::listen::{accept, cannot_listen, listen, places, raise_limit};
use super::places::{Place, Places, Voice};
use super::routes;
use super::settings::{Effective, Wishes, settle};
use super::stream;
use super::updates::Updates;
use crate::log;
use axum::Router;
use axum::http::Request;
use conductor_core::{Conductor, Error, ErrorKind, LogLevel, Result, Secret};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixStream};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;
use tower::ServiceExt as _;

/// A server that is about to answer.
#[derive(Debug)]
pub(crate) struct Serving {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The token, where it is the one that stands in the root.
    pub(crate) stored_token: Option<Secret>,
}

/// Serves a root, as a worker, until SIGTERM or SIGINT. `told` hears where, once it listens; nobody does
/// where another worker listened before.
///
/// # Errors
/// What keeps it from listening; `server.no_launcher`.
pub(crate) fn serve(
    conductor: Conductor,
    wishes: Wishes,
    told: impl FnOnce(&Serving),
) -> Result<()> {
    let (launcher, orders) = launch::join()?;
    log::configure(conductor.config(), LogLevel::Info);
    let _log = log::aside::begin();
    raise_limit();
    let effective = settle(&conductor, wishes)?;
    let runtime = runtime()?;
    let answer = runtime.block_on(async {
        let (term, int) = (hear(SignalKind::terminate())?, hear(SignalKind::interrupt())?);
        run(effective, conductor, Asked { launcher, orders, term, int }, told).await
    });
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

fn hear(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|source| {
        Error::new(ErrorKind::Io, "server.signals", "cannot listen for signals").with_source(source)
    })
}

/// What may be asked of a worker from outside.
struct Asked {
    launcher: Arc<Launcher>,
    orders: UnboundedReceiver<Order>,
    term: Signal,
    int: Signal,
}

impl Asked {
    /// The launcher's next order; `None` when this process has to end.
    async fn next(&mut self) -> Option<Order> {
        tokio::select! {
            order = self.orders.recv() => order,
            _ = self.term.recv() => None,
            _ = self.int.recv() => None,
        }
    }
}

async fn run(
    effective: Effective,
    conductor: Conductor,
    mut asked: Asked,
    told: impl FnOnce(&Serving),
) -> Result<()> {
    let Effective { address, may_move, settings, stored_token } = effective;
    let app = App::new(conductor, settings)?;
    let front = Front::new(routes::app(app.clone()));
    let (listener, mut updates) = match asked.next().await {
        Some(Order::First) => {
            let listener = listen(address, may_move).await?;
            app.driver().resume()?;
            // Whoever learns where it listens can ask for an update.
            let updates = Updates::begin(app.conductor().clone(), asked.launcher.clone())?;
            asked.launcher.listens(std::os::fd::AsFd::as_fd(&listener))?;
            let address = listener.local_addr().map_err(|e| cannot_listen(address, e))?;
            told(&Serving { address, stored_token });
            (listener, updates)
        }
        Some(Order::StandBy) => match stand_by(&app, &front, &mut asked).await? {
            Some(listener) => {
                let updates = Updates::begin(app.conductor().clone(), asked.launcher.clone())?;
                // Now the worker before may let go of it.
                asked.launcher.listens(std::os::fd::AsFd::as_fd(&listener))?;
                (listener, updates)
            }
            None => return Ok(()),
        },
        _ => return Ok(()),
    };
    let address = listener.local_addr().map_err(|e| cannot_listen(address, e))?;
    tracing::info!(subsystem = "api", address = %address, "server_listening");
    tokio::spawn(stream::keep_books(app.clone()));
    let hands_over = loop {
        tokio::select! {
            accepted = accept(&listener, &front.places) => {
                if let Some((stream, peer, place)) = accepted {
                    front.attend(stream, peer, Some(place));
                }
            }
            order = asked.next() => match order {
                Some(Order::Alone) => go_on(&app),
                Some(_) => {}
                None => break false,
            },
            () = updates.handed_over() => break true,
        }
    };
    drop(listener);
    tracing::info!(subsystem = "api", hands_over, "server_shutdown_started");
    app.end_streams();
    if hands_over {
        front.empty(limits::CHANGE_OVER).await;
    }
    updates.end().await;
    let farewell = if hands_over { limits::PARTING } else { limits::FAREWELL };
    if tokio::time::timeout(farewell, front.graceful.shutdown()).await.is_err() {
        tracing::warn!(subsystem = "api", "some answers were cut off");
    }
    tracing::info!(subsystem = "api", "server_stopped");
    Ok(())
}

/// Shows the launcher that this worker serves, while another one has the clients; the socket once they are
/// handed over, `None` where they are not.
async fn stand_by(app: &App, front: &Front, asked: &mut Asked) -> Result<Option<TcpListener>> {
    // What it will have to go on with can be read.
    app.conductor().served()?;
    asked.launcher.is_ready()?;
    loop {
        match asked.next().await {
            Some(Order::Question(stream)) => {
                let stream = stream
                    .set_nonblocking(true)
                    .and_then(|()| UnixStream::from_std(stream))
                    .map_err(|e| cannot_take_over("take a connection", e))?;
                front.attend(stream, (Ipv4Addr::LOCALHOST, 0).into(), None);
            }
            Some(Order::Serve(listener)) => {
                let listener = listener
                    .set_nonblocking(true)
                    .and_then(|()| TcpListener::from_std(listener))
                    .map_err(|e| cannot_take_over("take the socket over", e))?;
                return Ok(Some(listener));
            }
            Some(_) => {}
            None => return Ok(None),
        }
    }
}

fn cannot_take_over(what: &str, source: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "server.cannot_take_over", format!("cannot {what}"))
        .with_source(source)
}

/// The worker before is gone: its tasks are this one's.
fn go_on(app: &App) {
    if let Err(error) = app.driver().resume() {
        tracing::warn!(subsystem = "api", code = error.code(), %error, "cannot go on with its tasks");
    }
}

/// The connections of clients.
struct Front {
    router: Router,
    graceful: GracefulShutdown,
    places: Places,
}

impl Front {
    fn new(router: Router) -> Front {
        Front { router, graceful: GracefulShutdown::new(), places: Places::new(places()) }
    }

    /// Answers the requests of a connection.
    fn attend<S>(&self, stream: S, peer: SocketAddr, place: Option<Place>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let voice = place.as_ref().map(Place::voice);
        let service = service_of(self.router.clone(), peer, voice);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::HEAD_TIME)
            .max_header_size(limits::HEAD)
            .max_headers(limits::HEADERS)
            .serve_connection(TokioIo::new(stream), service);
        let connection = self.graceful.watch(connection);
        tokio::spawn(async move {
            let has_to_go = async {
                match place {
                    Some(mut place) => place.dismissed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // A client that went away, or was too slow, is its own affair.
                _gone = connection => {}
                () = has_to_go => {}
            }
        });
    }

    /// Waits until no client has a connection, no longer than `limit`.
    async fn empty(&self, limit: Duration) {
        let _late = tokio::time::timeout(limit, self.places.all_free()).await;
    }
}

/// What answers the requests of a connection.
fn service_of(
    router: Router,
    peer: SocketAddr,
    voice: Option<Voice>,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = axum::response::Response,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone {
    TowerToHyperService::new(router.map_request(move |mut request: Request<Incoming>| {
        if let Some(voice) = &voice {
            voice.speaks();
        }
        request.extensions_mut().insert(Peer(peer));
        request
    }))
}
