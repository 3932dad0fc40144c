//! What an agent's own stream says: its answer, its session, what it used, why it failed.
//!
//! A parser takes the bytes of a run's standard output, in any pieces, and gives a [`StreamSummary`]
//! in the end. It holds at most one line and 16 MiB of text, and never more than that of a line that
//! is too long. Lines that are no JSON, and events that are not known, are passed over: an agent that
//! changes its stream costs knowledge about the run, never the run.

mod claude;
mod codex;
mod gemini;
mod limit;
mod lines;
mod loose;
mod messages;
mod peek;
mod rest;
mod text;

use crate::time::Timestamp;
pub use crate::time::Zone;
use crate::usage::{ErrorClass, Usage};
use claude::Claude;
use codex::Codex;
use gemini::{Gemini, GeminiErrors};
use limit::Reset;
use lines::{LONGEST_LINE, Lines};
use rest::Rest;
use text::Text;

/// The longest line of standard error that is looked at, in bytes.
const LONGEST_ERROR: usize = 64 << 10;

/// The streams that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamKind {
    /// Claude Code's `stream-json`.
    Claude,
    /// `codex exec --json`.
    Codex,
    /// Gemini CLI's `stream-json`.
    Gemini,
    /// The plain text of an agent that is a service; what it used stands on standard error.
    Rest,
}

impl StreamKind {
    /// All of them.
    pub const ALL: [StreamKind; 4] =
        [StreamKind::Claude, StreamKind::Codex, StreamKind::Gemini, StreamKind::Rest];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            StreamKind::Claude => "claude",
            StreamKind::Codex => "codex",
            StreamKind::Gemini => "gemini",
            StreamKind::Rest => "rest",
        }
    }

    /// Whether the tokens that it tells are those of the whole session, earlier runs included.
    pub(crate) const fn counts_sessions(self) -> bool {
        matches!(self, StreamKind::Codex)
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<StreamKind> {
        StreamKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How an agent's turn ended, as its stream tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TurnEnd {
    /// It told a result.
    Success,
    /// It told what kept it from one.
    Failure,
}

impl TurnEnd {
    const fn of(went_well: bool) -> TurnEnd {
        if went_well { TurnEnd::Success } else { TurnEnd::Failure }
    }
}

/// What a stream said. What it did not say is `None`, and never zero.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StreamSummary {
    /// The final text.
    pub text: Option<String>,
    /// How many bytes of the beginning of the final text were too many to be kept.
    pub text_omitted: u64,
    /// The session, as the agent's own command line takes it to go on with it.
    pub session_id: Option<String>,
    /// The model that answered; the one that was asked for where the answers name none.
    pub model: Option<String>,
    /// The tokens of the whole session.
    pub usage: Option<Usage>,
    /// What they cost, in US dollars.
    pub cost_usd: Option<f64>,
    /// What kept the agent from its work; `None` where nothing did.
    pub error_class: Option<ErrorClass>,
    /// When the limit ends that kept it from its work.
    pub limit_reset: Option<Timestamp>,
    /// How the last turn ended; `None` where it goes on, or no end of one was told.
    pub turn_end: Option<TurnEnd>,
    /// Events that were understood. None means that this was no such stream.
    pub events: u64,
    /// Lines that may have mattered and were too long to be read.
    pub too_long: u64,
}

/// How often an agent told of a usage limit that it waits out by itself, and behind how many of these it went
/// on with its work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    pub(crate) told: u64,
    pub(crate) over: u64,
}

/// Reads one run's stream.
#[derive(Debug)]
pub struct StreamParser {
    lines: Lines,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    Claude(Box<Claude>),
    Codex(Box<Codex>),
    Gemini(Box<Gemini>, Box<(Lines, GeminiErrors)>),
    Rest(Box<(Lines, Rest)>),
}

/// What a reader knows in the end.
#[derive(Debug)]
struct Facts {
    events: u64,
    text: Option<Text>,
    session_id: Option<String>,
    model: Option<String>,
    usage: Option<Usage>,
    cost_usd: Option<f64>,
    failure: Option<Failure>,
    turn_end: Option<TurnEnd>,
}

/// Why a run failed, before it is known when that was said.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Failure {
    class: ErrorClass,
    reset: Option<Reset>,
}

impl From<ErrorClass> for Failure {
    fn from(class: ErrorClass) -> Failure {
        Failure { class, reset: None }
    }
}

impl Failure {
    /// The failure of an agent that had worked by then: what it asked for was no bad request from the start,
    /// and the next attempt, which asks for something else, may do better.
    fn after_work(self, worked: bool) -> Failure {
        match self.class {
            ErrorClass::BadRequest if worked => ErrorClass::Other.into(),
            _ => self,
        }
    }
}

impl StreamParser {
    /// A parser of this kind of stream.
    pub fn new(kind: StreamKind) -> StreamParser {
        let reader = match kind {
            StreamKind::Claude => Reader::Claude(Box::default()),
            StreamKind::Codex => Reader::Codex(Box::default()),
            StreamKind::Gemini => {
                let errors = (Lines::new(LONGEST_ERROR), GeminiErrors::default());
                Reader::Gemini(Box::default(), Box::new(errors))
            }
            StreamKind::Rest => {
                Reader::Rest(Box::new((Lines::new(LONGEST_ERROR), Rest::default())))
            }
        };
        StreamParser { lines: Lines::new(LONGEST_LINE), reader }
    }

    /// Takes the next bytes of standard output. They are taken to have been written behind all of standard
    /// error that was given before.
    pub fn push(&mut self, bytes: &[u8]) {
        match &mut self.reader {
            Reader::Claude(reader) => self.lines.push(bytes, &mut **reader),
            Reader::Codex(reader) => self.lines.push(bytes, &mut **reader),
            Reader::Gemini(reader, errors) => {
                let before = reader.moves();
                self.lines.push(bytes, &mut **reader);
                if reader.moves() > before {
                    errors.1.went_on();
                }
            }
            // All of it is the answer.
            Reader::Rest(_) => {}
        }
    }

    /// Whether this kind of agent says anything in its standard output.
    pub fn wants_stdout(&self) -> bool {
        !matches!(self.reader, Reader::Rest(_))
    }

    /// Whether this kind of agent says on standard error what it does not say in its stream.
    pub fn wants_stderr(&self) -> bool {
        matches!(self.reader, Reader::Gemini(..) | Reader::Rest(_))
    }

    /// Takes the next bytes of standard error. They are taken to have been written behind all of standard
    /// output that was given before.
    pub fn push_stderr(&mut self, bytes: &[u8]) {
        match &mut self.reader {
            Reader::Gemini(_, errors) => {
                let (lines, errors) = &mut **errors;
                lines.push(bytes, errors);
            }
            Reader::Rest(told) => {
                let (lines, told) = &mut **told;
                lines.push(bytes, told);
            }
            Reader::Claude(_) | Reader::Codex(_) => {}
        }
    }

    /// The tokens and the cost in US dollars that the stream told of so far.
    pub fn used(&self) -> (Option<Usage>, Option<f64>) {
        match &self.reader {
            Reader::Claude(reader) => reader.used(),
            Reader::Codex(reader) => (reader.used(), None),
            Reader::Gemini(reader, _) => (reader.used(), None),
            Reader::Rest(told) => told.1.used(),
        }
    }

    /// How the last turn ended, as told so far; `None` while one goes on, or where no end was told.
    pub fn turn_end(&self) -> Option<TurnEnd> {
        match &self.reader {
            Reader::Claude(reader) => reader.turn_end(),
            Reader::Codex(reader) => reader.turn_end(),
            Reader::Gemini(reader, _) => reader.turn_end(),
            Reader::Rest(_) => None,
        }
    }

    /// Whether this kind of agent tells where a turn ends.
    pub(crate) fn tells_turns(&self) -> bool {
        !matches!(self.reader, Reader::Rest(_))
    }

    /// Whether this kind of agent waits a usage limit out by itself, and tells of it meanwhile.
    pub(crate) fn tells_of_limits(&self) -> bool {
        matches!(self.reader, Reader::Gemini(..))
    }

    /// What was told so far of a usage limit that the agent waits out by itself.
    pub(crate) fn waits(&self) -> Waits {
        match &self.reader {
            Reader::Gemini(_, errors) => errors.1.waits(),
            Reader::Claude(_) | Reader::Codex(_) | Reader::Rest(_) => Waits::default(),
        }
    }

    /// Whether the last whole line of its stream shows it at work, for an agent that waits limits out.
    pub(crate) fn is_at_work(&self) -> bool {
        matches!(&self.reader, Reader::Gemini(reader, _) if reader.is_at_work())
    }

    /// Takes back all that was told so far of limits that the agent waits out: it is known to have gone on
    /// since.
    pub(crate) fn limits_are_over(&mut self) {
        if let Reader::Gemini(_, errors) = &mut self.reader {
            errors.1.went_on();
        }
    }

    /// When the limit ends that was told of last, at `said`.
    pub(crate) fn limit_reset(&self, said: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let Reader::Gemini(_, errors) = &self.reader else { return None };
        errors.1.reset()?.resolve(said, zone)
    }

    /// What the stream said, the run having ended at `ended`: agents name the end of a limit by a
    /// length from then on, or by what clocks here show.
    pub fn finish(self, ended: Timestamp, zone: &Zone) -> StreamSummary {
        let mut lines = self.lines;
        let facts = match self.reader {
            Reader::Claude(mut reader) => {
                lines.finish(&mut *reader);
                reader.finish()
            }
            Reader::Codex(mut reader) => {
                lines.finish(&mut *reader);
                reader.finish()
            }
            Reader::Gemini(mut reader, errors) => {
                lines.finish(&mut *reader);
                let (mut error_lines, mut errors) = *errors;
                error_lines.finish(&mut errors);
                reader.finish(errors)
            }
            Reader::Rest(told) => {
                let (mut told_lines, mut told) = *told;
                told_lines.finish(&mut told);
                told.finish()
            }
        };
        let (text, text_omitted) = facts.text.map_or((None, 0), |text| {
            let (text, omitted) = text.into_parts();
            (Some(text), omitted)
        });
        let reset = facts.failure.and_then(|failure| failure.reset);
        StreamSummary {
            text,
            text_omitted,
            session_id: facts.session_id,
            model: facts.model,
            usage: facts.usage,
            cost_usd: facts.cost_usd,
            error_class: facts.failure.map(|failure| failure.class),
            limit_reset: reset.and_then(|reset| reset.resolve(ended, zone)),
            turn_end: facts.turn_end,
            events: facts.events,
            too_long: lines.too_long,
        }
    }
}
