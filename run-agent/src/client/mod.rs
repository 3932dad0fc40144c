//! Calls of a server over HTTP, for the commands that work on one.

mod answer;
mod events;
mod path;

pub(crate) use answer::Answer;
pub(crate) use events::Events;
pub(crate) use path::Url;

use crate::args::duration;
use crate::context::Context;
use clap::Args;
use conductor_core::{Conductor, Error, ErrorKind, Result, Secret};
use serde_json::Value;
use std::io::Read as _;
use std::net::IpAddr;
use std::time::Duration;

/// Where a server is unless it is said.
const HOST: &str = "127.0.0.1";
const PORT: u16 = 14355;
/// How long an answer may take unless it is said.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const LONGEST: u64 = 256 << 20;

/// Which server, and how it is reached.
#[derive(Args, Clone, Debug)]
pub(crate) struct Reach {
    /// Server [default: http://127.0.0.1:14355, or where the configuration says]
    #[arg(long, env = "CONDUCTOR_SERVER", value_name = "URL", help_heading = "Server")]
    server: Option<String>,
    /// Token of the server [default: the one in the root, for a server of this machine]
    #[arg(
        long,
        env = "CONDUCTOR_API_KEY",
        hide_env_values = true,
        value_name = "TOKEN",
        help_heading = "Server"
    )]
    api_key: Option<String>,
    /// Wait no longer than this for an answer [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Server")]
    patience: Option<Duration>,
}

/// A server that is called.
#[derive(Debug)]
pub(crate) struct Client {
    base: String,
    agent: ureq::Agent,
    token: Option<Secret>,
}

impl Reach {
    /// The server that is meant. Nothing is called yet.
    ///
    /// # Errors
    /// `server.url`; those of the configuration.
    pub(crate) fn client(&self, context: &Context) -> Result<Client> {
        let conductor = context.conductor()?;
        let base = match &self.server {
            Some(url) => checked(url)?,
            None => configured(&conductor),
        };
        let given = self.api_key.clone().map(Secret::new);
        let token = match given.or_else(|| conductor.config().api.api_key.clone()) {
            Some(token) => Some(token),
            // The root's own token is nobody's business but this machine's.
            None if is_local(&base) => conductor.server_token()?,
            None => None,
        };
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(self.patience.unwrap_or(PATIENCE)))
            .timeout_recv_response(Some(self.patience.unwrap_or(PATIENCE)))
            .max_redirects(0)
            .proxy(None)
            .build();
        Ok(Client { base, agent: config.into(), token })
    }
}

impl Client {
    /// The address of the dashboard, with the token behind the `#`, which browsers send to nobody.
    pub(crate) fn page(&self) -> String {
        match &self.token {
            Some(token) => format!("{}/ui/#token={}", self.base, token.reveal()),
            None => format!("{}/ui/", self.base),
        }
    }
}

fn checked(url: &str) -> Result<String> {
    let url = url.trim().trim_end_matches('/');
    let named = url.strip_prefix("http://").filter(|rest| !rest.is_empty() && !rest.contains('/'));
    match named {
        Some(_) => Ok(url.to_owned()),
        None => {
            let message = format!("{url:?} is no address of a server");
            Err(Error::invalid("server.url", "server", message)
                .with_hint("give it as http://127.0.0.1:14355; behind TLS use a tunnel"))
        }
    }
}

/// Where the configuration and the environment say that the server is.
fn configured(conductor: &Conductor) -> String {
    let api = &conductor.config().api;
    let var = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let host = var("CONDUCTOR_HOST").or_else(|| api.host.clone());
    let host = host.unwrap_or_else(|| HOST.to_owned());
    // One that listens everywhere is reached here.
    let host = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => HOST.to_owned(),
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host,
    };
    let port = var("CONDUCTOR_PORT").and_then(|port| port.trim().parse().ok());
    format!("http://{host}:{}", port.or(api.port).unwrap_or(PORT))
}

fn is_local(base: &str) -> bool {
    let host = base.strip_prefix("http://").unwrap_or(base);
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl Client {
    /// Reads something.
    pub(crate) fn get(&self, url: Url) -> Result<Answer> {
        self.answer(self.signed(self.agent.get(self.at(&url))).call())
    }

    /// Makes a change.
    pub(crate) fn post(&self, url: Url, body: &Value) -> Result<Answer> {
        let request = self.agent.post(self.at(&url)).header("content-type", "application/json");
        self.answer(self.signed(request).send(body.to_string()))
    }

    /// Makes a change that needs no words.
    pub(crate) fn push(&self, url: Url) -> Result<Answer> {
        self.answer(self.signed(self.agent.post(self.at(&url))).send_empty())
    }

    /// Takes something away.
    pub(crate) fn delete(&self, url: Url) -> Result<Answer> {
        self.answer(self.signed(self.agent.delete(self.at(&url))).call())
    }

    /// Follows a stream, from behind the event with this id where one is given.
    pub(crate) fn follow(&self, url: Url, last_id: Option<&str>) -> Result<Events> {
        let mut request = self.signed(self.agent.get(self.at(&url)));
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.call().map_err(|error| self.unreachable(error))?;
        if !response.status().is_success() {
            return Err(self.read(response)?.refusal());
        }
        Ok(Events::new(Box::new(response.into_body().into_reader())))
    }

    fn at(&self, url: &Url) -> String {
        format!("{}{}", self.base, url.as_str())
    }

    fn signed<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {}", token.reveal())),
            None => request,
        }
    }

    fn answer(
        &self,
        response: std::result::Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Answer> {
        let response = response.map_err(|error| self.unreachable(error))?;
        let answer = self.read(response)?;
        if answer.is_success() { Ok(answer) } else { Err(answer.refusal()) }
    }

    fn read(&self, response: ureq::http::Response<ureq::Body>) -> Result<Answer> {
        let status = response.status().as_u16();
        let mut text = String::new();
        let mut reader = response.into_body().into_reader().take(LONGEST);
        reader.read_to_string(&mut text).map_err(|source| {
            Error::new(ErrorKind::Io, "server.broken_answer", "the answer of the server broke off")
                .with_source(source)
        })?;
        Ok(Answer::new(status, text))
    }

    fn unreachable(&self, source: ureq::Error) -> Error {
        let message = format!("cannot reach the server at {}", self.base);
        let error = match source {
            ureq::Error::Timeout(_) => Error::new(ErrorKind::Timeout, "server.no_answer", message),
            _ => Error::new(ErrorKind::Io, "server.unreachable", message),
        };
        error.with_source(source).with_hint("`run-agent serve` starts it; --server names another")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_checked_before_anything_is_sent() {
        assert_eq!(checked("http://127.0.0.1:1/").unwrap(), "http://127.0.0.1:1");
        for bad in ["127.0.0.1:1", "https://x", "http://", "http://x/api", "ftp://x"] {
            assert_eq!(checked(bad).unwrap_err().code(), "server.url", "{bad}");
        }
    }

    #[test]
    fn the_roots_token_goes_to_this_machine_alone() {
        for local in ["http://127.0.0.1:1", "http://localhost", "http://[::1]:14355"] {
            assert!(is_local(local), "{local}");
        }
        for other in ["http://10.0.0.1:1", "http://localhost.evil.example", "http://evil:80"] {
            assert!(!is_local(other), "{other}");
        }
    }
}
