//! Calling a service: asking, asking again, and handing the answer on while it comes.

use super::answer::{Answer, Unusable};
use super::client::{NoReply, Reply, is_timeout, post};
use super::retry::{Next, class_of, next};
use super::service::RestService;
use super::sse::{Events, TooLarge};
use super::told::Told;
use crate::cancel::Wait;
use crate::error::{Error, ErrorKind, Result};
use crate::mask::Secrets;
use crate::sys::{Os as _, RealOs};
use crate::time::format_duration;
use crate::usage::ErrorClass;
use crate::wait::rest;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{Read as _, Write};
use std::time::{Duration, Instant};

/// The largest answer that comes as one document, in bytes.
const LARGEST_DOCUMENT: u64 = 64 << 20;
/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// How long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestLimits {
    /// Until there is a connection, TLS included.
    pub connect: Duration,
    /// From the question to the head of the answer; `None` is no limit.
    pub first_byte: Option<Duration>,
    /// Without anything new; `None` is no limit.
    pub idle: Option<Duration>,
    /// In all, pauses between calls included; `None` is no limit.
    pub total: Option<Duration>,
}

impl Default for RestLimits {
    fn default() -> RestLimits {
        RestLimits {
            connect: Duration::from_secs(10),
            first_byte: Some(Duration::from_secs(120)),
            idle: Some(Duration::from_secs(120)),
            total: Some(Duration::from_secs(900)),
        }
    }
}

/// A call of a service. Whoever makes it blocks until the answer is whole.
#[derive(Clone)]
pub struct RestCall {
    service: RestService,
    token: String,
    /// The token, hidden wherever it would be told.
    secrets: Secrets,
    base_url: Option<String>,
    model: Option<String>,
    limits: RestLimits,
}

impl fmt::Debug for RestCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RestCall { service, base_url, model, limits, .. } = self;
        let mut debug = f.debug_struct("RestCall");
        debug.field("service", service).field("base_url", base_url);
        debug.field("model", model).field("limits", limits).finish_non_exhaustive()
    }
}

impl RestCall {
    /// A call with this token.
    ///
    /// # Errors
    /// `rest.no_token` for a token that is blank, or that no header can hold.
    pub fn new(service: RestService, token: &str) -> Result<RestCall> {
        let token = token.trim();
        if token.is_empty() || token.chars().any(|c| c.is_control()) {
            let name = service.kind().name();
            let what = format!("the token of {name} is empty, or holds what no header can hold");
            let variable = service.token_variable();
            return Err(Error::invalid("rest.no_token", "token", what).with_hint(format!(
                "set {variable}, or name a token or token_file for the agent"
            )));
        }
        let limits = RestLimits::default();
        let (token, secrets) = (token.to_owned(), Secrets::new([token]));
        Ok(RestCall { service, token, secrets, base_url: None, model: None, limits })
    }

    /// Another address than the service's own.
    #[must_use]
    pub fn base_url(mut self, url: Option<String>) -> RestCall {
        self.base_url = url.filter(|url| !url.trim().is_empty());
        self
    }

    /// Another model than the service's usual one.
    #[must_use]
    pub fn model(mut self, model: Option<String>) -> RestCall {
        self.model = model.filter(|model| !model.trim().is_empty());
        self
    }

    /// How long it may take.
    #[must_use]
    pub fn limits(mut self, limits: RestLimits) -> RestCall {
        self.limits = limits;
        self
    }

    /// Asks `prompt`, and writes the answer to `out` while it comes, its sources behind it. What is told
    /// about the call goes to `log`: a line for each call that is made again, and one for the record.
    ///
    /// The switch of `wait` is looked at between two calls, which it ends the pause of, and between two
    /// parts of an answer; its deadline bounds the whole as [`RestLimits::total`] does.
    ///
    /// # Errors
    /// `wait.cancelled` and `wait.timeout` where the wait was over first;
    /// `rest.timeout`, `rest.refused` (the service's status and words), `rest.unreachable`, `rest.cut`,
    /// `rest.malformed`, `rest.failed`, `rest.too_long`. What came before stands in `out`. None of them,
    /// and nothing in `log`, holds the token.
    pub fn run(
        &self,
        prompt: &str,
        out: &mut dyn Write,
        log: &mut dyn Write,
        wait: impl Into<Wait>,
    ) -> Result<()> {
        let model = self.model.as_deref().unwrap_or(self.service.model());
        let mut told = Told { model: Some(model.to_owned()), ..Told::default() };
        let body = self.service.body(model, prompt);
        let result = self.ask(&body, out, log, &mut told, &wait.into());
        self.say(log, &told.line())?;
        result
    }

    fn ask(
        &self,
        body: &str,
        out: &mut dyn Write,
        log: &mut dyn Write,
        told: &mut Told,
        wait: &Wait,
    ) -> Result<()> {
        let began = Instant::now();
        let own = self.service.kind().service().map(|service| service.address);
        let base = self.base_url.as_deref().or(own).unwrap_or_default();
        let url = self.service.endpoint(base);
        let mut call = 1;
        loop {
            wait.check()?;
            let left = self.limits.total.map(|total| total.saturating_sub(began.elapsed()));
            if left.is_some_and(|left| left.is_zero()) {
                told.error_class = Some(ErrorClass::Transient);
                return Err(self.timeout("the call took too long"));
            }
            let bound = [left, wait.remaining()].into_iter().flatten().min();
            let failed = match post(&url, &self.token, body, &self.limits, bound) {
                Ok(reply) => return self.read(reply, out, told, wait),
                Err(failed) => failed,
            };
            let after = match failed.status {
                Some(status) => format!("status {status}"),
                None => format!("error: {}", failed.why),
            };
            match next(call, failed.status, failed.asked, chance()) {
                Next::Again(pause) if left.is_none_or(|left| pause < left) => {
                    let name = self.service.kind().name();
                    let pause_text = format_duration(pause);
                    self.say(log, &format!("{name} retry in {pause_text} after {after}"))?;
                    rest(wait, pause)?;
                    call += 1;
                }
                _ => return Err(self.gave_up(failed, told)),
            }
        }
    }

    fn gave_up(&self, failed: NoReply, told: &mut Told) -> Error {
        let NoReply { status, asked, why, timed_out } = failed;
        told.error_class = Some(status.map_or(ErrorClass::Transient, class_of));
        if told.error_class == Some(ErrorClass::UsageLimit) {
            told.limit_reset = asked.map(|pause| RealOs.now().plus(pause));
        }
        let name = self.service.kind().name();
        match status {
            Some(401 | 403) => self.error(
                ErrorKind::PermissionDenied,
                "rest.refused",
                format!("{name} does not accept the token: {why}"),
            ),
            Some(_) => {
                self.error(ErrorKind::Io, "rest.refused", format!("{name} does not answer: {why}"))
            }
            None if timed_out => self.timeout(&why),
            None => self.error(
                ErrorKind::Io,
                "rest.unreachable",
                format!("{name} cannot be reached: {why}"),
            ),
        }
    }

    fn read(&self, reply: Reply, out: &mut dyn Write, told: &mut Told, wait: &Wait) -> Result<()> {
        let mut answer = Answer::default();
        let read = match reply.is_stream {
            true => self.stream(reply, &mut answer, out, wait),
            false => self.document(reply, &mut answer, out),
        };
        told.model = answer.model.clone().or(told.model.take());
        told.usage = answer.usage;
        told.cost_usd = answer.cost_usd;
        let failed = |stop: Stop| {
            let class = match &stop {
                Stop::Cut(_) | Stop::Idle | Stop::Over(_) => ErrorClass::Transient,
                Stop::Unusable(_) | Stop::Deaf(_) => ErrorClass::Other,
            };
            (self.stopped(stop, answer.has_text()), class)
        };
        let done = read.and_then(|()| match answer.complete {
            true => Ok(hand_on(out, &answer.sources())?),
            false => Err(Stop::Cut("the connection ended before the answer did".to_owned())),
        });
        done.map_err(failed).map_err(|(error, class)| {
            told.error_class = Some(class);
            error
        })
    }

    fn stream(
        &self,
        mut reply: Reply,
        answer: &mut Answer,
        out: &mut dyn Write,
        wait: &Wait,
    ) -> Result<(), Stop> {
        let mut events = Events::default();
        let mut buffer = vec![0; CHUNK];
        let mut take = |answer: &mut Answer, data: &[u8]| {
            // Whatever follows the end is not part of it.
            let text = if answer.complete { tail(answer, data)? } else { answer.event(data)? };
            Ok::<(), Stop>(hand_on(out, &text)?)
        };
        loop {
            wait.check().map_err(Stop::Over)?;
            let read = match reply.body.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                // What is complete needs no more; a service may leave the connection open.
                Err(_) if answer.complete => break,
                Err(error) if is_timeout(&error) => return Err(Stop::Idle),
                Err(error) => return Err(Stop::Cut(error.to_string())),
            };
            if read == 0 {
                events.finish(&mut |data: &[u8]| take(answer, data))?;
                break;
            }
            events.push(&buffer[..read], &mut |data: &[u8]| take(answer, data))?;
        }
        Ok(())
    }

    fn document(&self, reply: Reply, answer: &mut Answer, out: &mut dyn Write) -> Result<(), Stop> {
        let mut body = Vec::new();
        match reply.body.take(LARGEST_DOCUMENT + 1).read_to_end(&mut body) {
            Ok(_) if body.len() as u64 > LARGEST_DOCUMENT => {
                return Err(Stop::Unusable(Unusable::TooLong));
            }
            Ok(_) => {}
            Err(error) if is_timeout(&error) => return Err(Stop::Idle),
            Err(error) => return Err(Stop::Cut(error.to_string())),
        }
        Ok(hand_on(out, &answer.document(&body)?)?)
    }

    fn stopped(&self, stop: Stop, has_text: bool) -> Error {
        let name = self.service.kind().name();
        let part = if has_text { ", in the middle of its answer" } else { "" };
        match stop {
            Stop::Over(error) => error,
            Stop::Idle => {
                self.timeout(&format!("nothing came for too long, or the call took too long{part}"))
            }
            Stop::Cut(why) => self.error(
                ErrorKind::Io,
                "rest.cut",
                format!("the answer of {name} was cut off{part}: {why}"),
            ),
            Stop::Unusable(Unusable::Malformed(what)) => self.error(
                ErrorKind::Io,
                "rest.malformed",
                format!("the answer of {name} makes no sense{part}: {what}"),
            ),
            Stop::Unusable(Unusable::Failed(words)) => {
                self.error(ErrorKind::Io, "rest.failed", format!("{name} failed{part}: {words}"))
            }
            Stop::Unusable(Unusable::TooLong) => self.error(
                ErrorKind::Io,
                "rest.too_long",
                format!("the answer of {name} is longer than anybody can want"),
            ),
            Stop::Deaf(source) => {
                Error::new(ErrorKind::Io, "rest.not_written", "the answer cannot be written")
                    .with_source(source)
            }
        }
    }

    fn timeout(&self, why: &str) -> Error {
        let name = self.service.kind().name();
        self.error(ErrorKind::Timeout, "rest.timeout", format!("{name} did not answer: {why}"))
    }

    fn error(&self, kind: ErrorKind, code: &'static str, message: String) -> Error {
        Error::new(kind, code, self.masked(&message)).with_field("agent")
    }

    /// What a service says may repeat the token that it was given.
    fn masked(&self, text: &str) -> String {
        self.secrets.hide(text).into_owned()
    }

    fn say(&self, log: &mut dyn Write, line: &str) -> Result<()> {
        let line = self.masked(line);
        writeln!(log, "{line}").and_then(|()| log.flush()).map_err(|source| {
            Error::new(ErrorKind::Io, "rest.not_written", "the log cannot be written")
                .with_source(source)
        })
    }
}

/// What comes behind the end of an answer: tokens, sources, or a repetition; no text.
fn tail(answer: &mut Answer, data: &[u8]) -> Result<String, Unusable> {
    match answer.event(data) {
        // A service may end with words of its own.
        Err(Unusable::Malformed(_)) | Ok(_) => Ok(String::new()),
        Err(failed) => Err(failed),
    }
}

fn hand_on(out: &mut dyn Write, text: &str) -> std::io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Why reading an answer stopped.
enum Stop {
    /// The connection ended, or broke.
    Cut(String),
    /// A time limit was over.
    Idle,
    /// The caller's wait was over.
    Over(Error),
    Unusable(Unusable),
    /// Whoever wants the answer cannot be written to.
    Deaf(std::io::Error),
}

impl From<Unusable> for Stop {
    fn from(unusable: Unusable) -> Stop {
        Stop::Unusable(unusable)
    }
}

impl From<TooLarge> for Stop {
    fn from(TooLarge: TooLarge) -> Stop {
        Stop::Unusable(Unusable::TooLong)
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Stop {
        Stop::Deaf(error)
    }
}

/// A number between 0 and 1 that differs from call to call.
fn chance() -> f64 {
    let random = RandomState::new().build_hasher().finish() >> 11;
    random as f64 / (1u64 << 53) as f64
}
