//! What the library and the commands say of their own work, as lines on the standard error.
//!
//! Levels and form come from the command line, else the environment, else the configuration. The
//! configuration is read when the first lines may have been written already: it changes what comes.

#[cfg(feature = "server")]
pub(crate) mod aside;
mod form;

use anstream::stderr;
#[cfg(feature = "server")]
use conductor_core::LogValue;
use conductor_core::{Config, LogLevel, LogLevels, LogLine, Timestamp};
use form::Form;
use parking_lot::RwLock;
use std::io::{IsTerminal as _, Write as _};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

pub(crate) use form::LogForm;

static LOG: OnceLock<Log> = OnceLock::new();

/// What is written, and how.
struct Log {
    /// What the command line or the environment said.
    said: Said,
    now: RwLock<Now>,
}

/// What the command line or the environment said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) levels: Option<LogLevels>,
    pub(crate) form: Option<LogForm>,
}

#[derive(Clone)]
struct Now {
    levels: LogLevels,
    form: Form,
}

/// Begins to write. Does nothing where that was done before.
pub(crate) fn begin(said: Said) {
    let form = form_of(said.form);
    let levels = said.levels.clone().unwrap_or(LogLevels::all(LogLevel::Warn));
    let log = Log { said, now: RwLock::new(Now { levels, form }) };
    if LOG.set(log).is_err() {
        return;
    }
    let registry = tracing_subscriber::registry().with(Lines);
    // Nobody else in this program listens.
    let _installed = tracing::subscriber::set_global_default(registry);
}

/// Takes what the configuration says, where nothing else said it. `usual` is the level where it says
/// nothing either.
pub(crate) fn configure(config: &Config, usual: LogLevel) {
    let Some(log) = LOG.get() else { return };
    // They were checked when the configuration was read.
    let configured = config.log.levels.as_ref().and_then(|levels| levels.parse().ok());
    let levels = log.said.levels.clone().or(configured).unwrap_or(LogLevels::all(usual));
    let form = log.said.form.or_else(|| LogForm::named(config.log.format.as_deref()?));
    *log.now.write() = Now { levels, form: form_of(form) };
    tracing::callsite::rebuild_interest_cache();
}

fn form_of(said: Option<LogForm>) -> Form {
    Form::of(said.unwrap_or(LogForm::Auto), std::io::stderr().is_terminal())
}

/// Writes events as lines.
struct Lines;

impl Lines {
    fn wants(metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && LOG.get().is_some_and(|log| log.now.read().levels.wants(metadata))
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if Lines::wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        Lines::wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        LOG.get().map(|log| log.now.read().levels.lowest())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(log) = LOG.get() else { return };
        let form = log.now.read().form;
        let line = form.line(&LogLine::of(event, now()));
        #[cfg(feature = "server")]
        let Some(line) = aside::take(line) else { return };
        // In one piece: lines of several threads and processes do not mix.
        let _nobody_listens = stderr().lock().write_all(line.as_bytes());
    }
}

/// The line that tells of lines for which there was no room.
#[cfg(feature = "server")]
fn line_of_dropped(count: u64) -> Option<String> {
    let form = LOG.get()?.now.read().form;
    let text = "lines of the log were dropped: nobody read them fast enough";
    let mut line = LogLine::new(now(), LogLevel::Warn, "api", "log_lines_dropped", text);
    line.fields.push(("count".to_owned(), LogValue::Number(count.into())));
    Some(form.line(&line))
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_nanos(i128::try_from(since.as_nanos()).unwrap_or_default())
}
