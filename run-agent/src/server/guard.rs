//! Who may do what: the host that is asked for, the page that asks, the token, the form of a change.
//!
//! A decision over the head of a request; nothing is read or written here.

use super::failure::Failure;
use axum::http::header::{self, HeaderMap};
use axum::http::{Method, StatusCode, Uri};
use conductor_core::Secret;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What wants the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    /// Every change.
    Changes,
    /// Everything but what tells that the server lives.
    All,
    /// Nothing.
    Off,
}

impl Auth {
    /// Its word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Auth::Changes => "token",
            Auth::All => "all",
            Auth::Off => "off",
        }
    }
}

/// Who may do what.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) auth: Auth,
    /// The digest of the token: digests are compared, which are of one length.
    token: [u8; 32],
    /// Names, without ports, by which the server may be called besides its addresses.
    hosts: Vec<String>,
    /// Pages that may call it besides its own.
    origins: Vec<String>,
}

/// Paths that tell that the server lives, and those of the pages themselves, which hold no data.
const OPEN: &[&str] =
    &["/api/v1/health", "/api/v1/version", "/metrics", "/healthz", "/readyz", "/", "/ui"];
const OPEN_BELOW: &[&str] = &["/ui/", "/assets/"];

impl Guard {
    /// Allows the server's addresses, `localhost`, and `hosts`; its own pages and those of `origins`.
    pub(crate) fn new(
        auth: Auth,
        token: &Secret,
        hosts: impl IntoIterator<Item = String>,
        origins: impl IntoIterator<Item = String>,
    ) -> Guard {
        let lower = |text: String| text.trim().to_ascii_lowercase();
        let mut hosts: Vec<String> = hosts.into_iter().map(lower).collect();
        hosts.push("localhost".to_owned());
        let trim = |origin: String| lower(origin).trim_end_matches('/').to_owned();
        Guard {
            auth,
            token: Sha256::digest(token.reveal()).into(),
            hosts,
            origins: origins.into_iter().map(trim).collect(),
        }
    }

    /// Lets a request pass, or says why not.
    pub(crate) fn check(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), Failure> {
        let host = self.check_host(uri, headers)?;
        self.check_origin(&host, headers)?;
        if method == Method::OPTIONS {
            return Ok(());
        }
        self.check_token(method, uri.path(), headers)?;
        check_form(method, headers)
    }

    /// A page of a stranger whose name was made to point here is told apart by the name.
    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<String, Failure> {
        let mut named = headers.get_all(header::HOST).iter();
        let (host, more) = (named.next(), named.next());
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        let host = host.to_ascii_lowercase();
        if host.is_empty() || more.is_some() {
            return Err(Failure::bad_request("host.missing", "one Host header is wanted"));
        }
        let also = uri.authority().map(|authority| authority.as_str().to_ascii_lowercase());
        if !self.is_ours(&host) || also.is_some_and(|also| !self.is_ours(&also)) {
            let message = format!("the server is not called {host:?}");
            return Err(Failure::forbidden("host.forbidden", message)
                .detail("hint", "add the name to api.allowed_hosts if it is yours"));
        }
        Ok(host)
    }

    /// No name service stands behind an address.
    fn is_ours(&self, host: &str) -> bool {
        let name = without_port(host);
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        match address {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                name.parse::<std::net::Ipv4Addr>().is_ok()
                    || self.hosts.iter().any(|known| known == name)
            }
        }
    }

    fn check_origin(&self, host: &str, headers: &HeaderMap) -> Result<(), Failure> {
        for origin in headers.get_all(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
            let own = [format!("http://{host}"), format!("https://{host}")];
            if !own.contains(&origin) && !self.allows_origin(&origin) {
                let message = format!("pages of {origin:?} may not call the server");
                return Err(Failure::forbidden("origin.forbidden", message)
                    .detail("hint", "add the origin to api.cors_origins if it is yours"));
            }
        }
        Ok(())
    }

    /// Whether pages of this origin may call the server.
    pub(crate) fn allows_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|known| known == "*" || known == origin)
    }

    /// Whether pages of any origin may.
    pub(crate) fn allows_any_origin(&self) -> bool {
        self.origins.iter().any(|known| known == "*")
    }

    fn check_token(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Failure> {
        let safe = matches!(*method, Method::GET | Method::HEAD);
        let open = OPEN.contains(&path) || OPEN_BELOW.iter().any(|below| path.starts_with(below));
        let free = match self.auth {
            Auth::Off => true,
            Auth::Changes => safe,
            Auth::All => safe && open,
        };
        if free || self.has_token(headers) {
            return Ok(());
        }
        Err(Failure::new(StatusCode::UNAUTHORIZED, "token.wrong", "valid API key required"))
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        let key = headers.get("x-api-key").map(|value| value.as_bytes());
        [bearer, key].into_iter().flatten().any(|given| {
            let given: [u8; 32] = Sha256::digest(given.trim_ascii()).into();
            given.ct_eq(&self.token).into()
        })
    }
}

/// A form of a stranger's page cannot send JSON without being asked for its origin first.
fn check_form(method: &Method, headers: &HeaderMap) -> Result<(), Failure> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let length = headers.get(header::CONTENT_LENGTH).map(|length| length.as_bytes());
    let has_body = length.is_some_and(|length| length != b"0")
        || headers.contains_key(header::TRANSFER_ENCODING);
    let form = headers.get(header::CONTENT_TYPE).and_then(|form| form.to_str().ok());
    let form = form.map(|form| form.split(';').next().unwrap_or_default().trim());
    match form {
        None if !has_body => Ok(()),
        Some(form) if form.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(Failure::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "body.media_type",
            "a change is sent as application/json",
        )),
    }
}

/// The host without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn guard(auth: Auth) -> Guard {
        let hosts = ["agents.example.org".to_owned()];
        Guard::new(auth, &Secret::new("right"), hosts, ["http://localhost:5173/".to_owned()])
    }

    /// What becomes of a request: 200, or the status of the refusal.
    fn ask(auth: Auth, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        if !headers.iter().any(|(name, _)| *name == "host") {
            map.append(header::HOST, "127.0.0.1:14355".parse().unwrap());
        }
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let method = method.parse().unwrap();
        let answer = guard(auth).check(&method, &path.parse().unwrap(), &map);
        answer.map_or_else(|failure| failure.status.as_u16(), |()| 200)
    }

    #[test]
    fn only_our_own_names_are_heard() {
        let ask = |host: &str| ask(Auth::Off, "GET", "/api/v1/status", &[("host", host)]);
        for host in [
            "localhost",
            "LOCALHOST:14355",
            "127.0.0.1:1",
            "192.168.0.7",
            "[::1]:14355",
            "agents.example.org",
        ] {
            assert_eq!(ask(host), 200, "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "[evil]", "127.0.0.1.evil.example"] {
            assert_eq!(ask(host), 403, "{host}");
        }
        assert_eq!(ask(""), 400);
        let two = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(super::tests::ask(Auth::Off, "GET", "/", &two), 400);
        let other = super::tests::ask(Auth::Off, "GET", "http://evil.example/", &[]);
        assert_eq!(other, 403, "the absolute form names a host too");
    }

    #[test]
    fn only_our_own_pages_and_those_that_were_named_are_answered() {
        let ask = |origin: &str| ask(Auth::Off, "GET", "/api/v1/status", &[("origin", origin)]);
        assert_eq!(ask("http://127.0.0.1:14355"), 200);
        assert_eq!(ask("http://localhost:5173"), 200);
        for origin in ["http://evil.example", "null", "http://127.0.0.1:1", ""] {
            assert_eq!(ask(origin), 403, "{origin}");
        }
    }

    #[test]
    fn changes_want_the_token_unless_that_was_switched_off() {
        let bearer = [("authorization", "Bearer right")];
        let key = [("x-api-key", "right")];
        for (auth, method, path, headers, status) in [
            (Auth::Changes, "GET", "/api/v1/status", &[][..], 200),
            (Auth::Changes, "POST", "/api/v1/tasks", &[], 401),
            (Auth::Changes, "DELETE", "/api/v1/tasks/t", &[], 401),
            (Auth::Changes, "POST", "/healthz", &[], 401),
            (Auth::Changes, "POST", "/api/v1/tasks", &bearer, 200),
            (Auth::Changes, "POST", "/api/v1/tasks", &key, 200),
            (Auth::Changes, "POST", "/api/v1/tasks", &[("authorization", "Bearer wrong")], 401),
            (Auth::Changes, "POST", "/api/v1/tasks", &[("authorization", "right")], 401),
            (Auth::Changes, "POST", "/api/v1/tasks?token=right", &[], 401),
            (Auth::All, "GET", "/api/v1/status", &[], 401),
            (Auth::All, "GET", "/api/v1/status", &bearer, 200),
            (Auth::All, "GET", "/api/v1/health", &[], 200),
            (Auth::All, "GET", "/ui/app.js", &[], 200),
            (Auth::All, "OPTIONS", "/api/v1/tasks", &[], 200),
            (Auth::Off, "POST", "/api/v1/tasks", &[], 200),
        ] {
            assert_eq!(ask(auth, method, path, headers), status, "{auth:?} {method} {path}");
        }
    }

    #[test]
    fn a_change_is_json_or_has_no_body() {
        let ask = |headers: &[(&str, &str)]| ask(Auth::Off, "POST", "/api/v1/messages", headers);
        assert_eq!(ask(&[]), 200);
        assert_eq!(ask(&[("content-length", "0")]), 200);
        let json = ("content-type", "application/json; charset=utf-8");
        assert_eq!(ask(&[("content-length", "2"), json]), 200);
        assert_eq!(ask(&[("content-length", "2")]), 415);
        assert_eq!(ask(&[("transfer-encoding", "chunked")]), 415);
        assert_eq!(ask(&[("content-type", "text/plain"), ("content-length", "2")]), 415);
        assert_eq!(ask(&[("content-type", "text/plain")]), 415);
    }
}
