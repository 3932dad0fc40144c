//! How the server behaves: flags over the environment over the configuration.

use super::app::Settings;
use super::guard::{Auth, Guard};
use conductor_core::{Conductor, Error, ErrorKind, Result, Secret};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

/// Words for what wants the token.
pub(crate) const AUTH_WORDS: [&str; 3] = ["token", "all", "off"];
/// Where the server listens unless it is said.
pub(crate) const HOST: &str = "127.0.0.1";
/// The port unless it is said.
pub(crate) const PORT: u16 = 14355;

/// The pause between two signs of life of a stream unless it is said, in seconds.
const HEARTBEAT: u64 = 30;
/// The most clients that follow one thing unless it is said.
const CLIENTS: u64 = 1000;

/// What the command line and the environment ask for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) auth: Option<String>,
    pub(crate) api_key: Option<String>,
    pub(crate) starts_no_tasks: bool,
}

/// Where to listen, and how to behave.
#[derive(Debug)]
pub(crate) struct Effective {
    pub(crate) address: SocketAddr,
    /// Whether another port may be taken where this one is taken.
    pub(crate) may_move: bool,
    pub(crate) settings: Settings,
    /// The token, where it is the one that stands in the root.
    pub(crate) stored_token: Option<Secret>,
}

/// Settles everything, and makes the token where there is none.
///
/// # Errors
/// `server.host`; `server.open_to_all` for `auth: off` on an address that others reach; those of the
/// token.
pub(crate) fn settle(conductor: &Conductor, wishes: Wishes) -> Result<Effective> {
    let api = &conductor.config().api;
    let host = wishes.host.or_else(|| api.host.clone()).unwrap_or_else(|| HOST.to_owned());
    let port = wishes.port.or(api.port).unwrap_or(PORT);
    let address = resolve(&host, port)?;
    let local = address.ip().is_loopback();
    let word = match (&wishes.auth, &api.auth, api.auth_enabled) {
        (Some(word), ..) => word.as_str(),
        (None, Some(word), _) => word.as_str(),
        (None, None, Some(true)) => "all",
        (None, None, _) => "token",
    };
    let auth = match (word, local) {
        ("off", true) => Auth::Off,
        ("off", false) => return Err(open_to_all(&host)),
        ("all", _) | (_, false) => Auth::All,
        _ => Auth::Changes,
    };
    let key = wishes.api_key.map(Secret::new).or_else(|| api.api_key.clone());
    let key = key.filter(|key| !key.reveal().trim().is_empty());
    let (token, stored_token) = match key {
        Some(key) => (Secret::new(key.reveal().trim()), None),
        None => {
            let token = conductor.ensure_server_token()?;
            (token.clone(), Some(token))
        }
    };
    let named = (!is_address(&host)).then(|| host.clone());
    let hosts = api.allowed_hosts.iter().flatten().cloned().chain(named);
    let origins = api.cors_origins.iter().flatten().cloned();
    let heartbeat = api.sse.heartbeat_interval_s.unwrap_or(HEARTBEAT).max(1);
    let clients = api.sse.max_clients_per_run.filter(|count| *count > 0).unwrap_or(CLIENTS);
    Ok(Effective {
        address,
        may_move: wishes.port.is_none(),
        settings: Settings {
            guard: Guard::new(auth, &token, hosts, origins),
            starts_tasks: !wishes.starts_no_tasks,
            heartbeat: Duration::from_secs(heartbeat),
            clients: usize::try_from(clients).unwrap_or(usize::MAX),
        },
        stored_token,
    })
}

fn is_address(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr> {
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    let wrong = || {
        Error::invalid("server.host", "host", format!("{host:?} is no address of this machine"))
            .with_hint("give an address, as 127.0.0.1 or 0.0.0.0")
    };
    let mut addresses = (host, port).to_socket_addrs().map_err(|e| wrong().with_source(e))?;
    addresses.next().ok_or_else(wrong)
}

fn open_to_all(host: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        "server.open_to_all",
        format!("without a token, everybody who reaches {host} could run programs here"),
    )
    .with_field("auth")
    .with_hint("listen on 127.0.0.1, or take `--auth all`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_core::Options;

    fn settled(wishes: Wishes) -> std::result::Result<(SocketAddr, Auth), String> {
        let dir = tempfile::tempdir().unwrap();
        let conductor = Conductor::open(dir.path().join("root"), Options::default()).unwrap();
        let settled = settle(&conductor, wishes).map_err(|error| error.code().to_owned())?;
        Ok((settled.address, settled.settings.guard.auth))
    }

    #[test]
    fn the_default_is_this_machine_and_a_token_for_changes() {
        let at = |text: &str| text.parse().unwrap();
        let wish = |host: &str, auth: Option<&str>| {
            let (host, auth) = (Some(host.to_owned()), auth.map(str::to_owned));
            settled(Wishes { host, auth, ..Wishes::default() })
        };
        assert_eq!(settled(Wishes::default()), Ok((at("127.0.0.1:14355"), Auth::Changes)));
        assert_eq!(wish("127.0.0.1", Some("off")), Ok((at("127.0.0.1:14355"), Auth::Off)));
        assert_eq!(wish("0.0.0.0", None), Ok((at("0.0.0.0:14355"), Auth::All)));
        assert_eq!(wish("[::]", Some("token")), Ok((at("[::]:14355"), Auth::All)));
        assert_eq!(wish("0.0.0.0", Some("off")), Err("server.open_to_all".to_owned()));
        assert_eq!(wish("not a host", None), Err("server.host".to_owned()));
    }
}
