//! `bus read`: the messages of a bus, and what stands in their place.

use crate::args::Place;
use crate::context::Context;
use crate::exit::{self, Failure};
use crate::interrupt;
use crate::out::Out;
use crate::render::text::{harmless, one_line};
use crate::render::{color, json};
use clap::Args;
use conductor_core::{
    Bus, Cursor, Error, ErrorKind, Event, Message, NamedCursor, ReadOptions, Record, Result, RunId,
    Timestamp, Wait,
};
use std::io::Write as _;
use std::time::{Duration, Instant};

/// How many messages are printed unless it is said.
const TAIL: usize = 20;
/// How long a follower goes on past messages that it does not print before it keeps its place.
const KEEP_AFTER: Duration = Duration::from_secs(1);

/// Prints the messages of a bus
///
/// The bus is the one that --project and --task name; else $JRUN_MESSAGE_BUS; else that of the current
/// folder. Damage is printed where it stands, and the exit code is then that of damage.
#[derive(Args, Debug)]
pub(crate) struct Read {
    #[command(flatten)]
    place: Place,
    /// Go on printing what comes
    #[arg(short, long)]
    follow: bool,
    /// Print the last messages, this many; 0 prints all [default: 20, with --after all]
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    tail: Option<usize>,
    /// Print what comes behind this place: a message's cursor or id, "start" or "end"
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Print what comes behind the place that is kept under this name, and keep the new one once it is
    /// printed; one reader at a time has a name. With --after it begins anew from there
    #[arg(long, value_name = "NAME", conflicts_with = "tail")]
    cursor: Option<String>,
    /// Print all, archives too, as with --tail 0
    #[arg(long, conflicts_with_all = ["after", "tail", "cursor"])]
    archives: bool,
    /// Print only messages posted at this time or later, as 2026-11-23T14:43:36Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Print only messages posted before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Print only messages of this type; may be given again
    #[arg(long = "type", value_name = "TYPE")]
    kind: Vec<String>,
    /// Print only messages of this run
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Print JSON, one object on a line
    #[arg(long)]
    json: bool,
}

impl Read {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let conductor = context.conductor()?;
        let after: Option<Cursor> = match &self.after {
            Some(text) => Some(text.parse().map_err(|e: Error| e.with_field("after"))?),
            None => None,
        };
        let filter = self.filter()?;
        let bus = conductor.find_bus(&Context::named(&self.place), &context.around())?.bus;
        let kept = match &self.cursor {
            Some(name) => Some(bus.cursor(name, Wait::NONE)?),
            None => None,
        };
        let mut printer = Printer::new(self.json);
        let (after, mut options) = match kept {
            // The place moves past what the filters leave out too, or each look would begin there.
            Some(kept) => {
                let place = match &after {
                    // From now on, whenever the next look is.
                    Some(end) if *end == Cursor::END => bus.end()?.unwrap_or(Cursor::START),
                    Some(place) => place.clone(),
                    None => kept.cursor().clone(),
                };
                printer.place = after.map(|_| place.clone());
                printer.kept = Some(Kept { cursor: kept, filter: filter.clone() });
                (Some(place), ReadOptions::default())
            }
            None => (after, filter.clone()),
        };
        if let Some(after) = &after {
            options = options.after(after);
        }
        if self.follow && self.tail.is_none() && after.is_some() {
            // What is there and what comes is one.
            follow(&bus, context, &mut printer, options)?;
        } else {
            let all = after.is_some() || self.archives;
            let tail = self.tail.unwrap_or(if all { 0 } else { TAIL });
            if tail > 0 {
                options = options.tail(tail);
            }
            for event in bus.read(options).map_err(|error| printer.explain(error))? {
                let _printed = printer.print(&mut context.out, event?)?;
            }
            printer.finish(&mut context.out)?;
            if self.follow {
                let place = printer.place.clone().or(after).unwrap_or(Cursor::START);
                follow(&bus, context, &mut printer, filter.after(&place))?;
            }
        }
        Ok(if printer.damaged { ErrorKind::Corrupt.row().exit_code } else { exit::OK })
    }

    /// Which messages are wanted.
    fn filter(&self) -> Result<ReadOptions> {
        let mut filter = ReadOptions::default();
        for kind in &self.kind {
            filter = filter.of_type(kind.to_ascii_uppercase());
        }
        if let Some(run) = self.run.as_deref().map(RunId::new).transpose()? {
            filter = filter.of_run(&run);
        }
        let time = |text: &Option<String>, field| {
            let time = text.as_deref().map(str::parse::<Timestamp>).transpose();
            time.map_err(|error| error.with_field(field))
        };
        if let Some(since) = time(&self.since, "since")? {
            filter = filter.since(since);
        }
        if let Some(until) = time(&self.until, "until")? {
            filter = filter.until(until);
        }
        Ok(filter)
    }
}

/// Prints what comes, until somebody stops us.
fn follow(
    bus: &Bus,
    context: &mut Context,
    printer: &mut Printer,
    options: ReadOptions,
) -> Result<(), Failure> {
    let cancel = interrupt::switch_of_follower()?;
    let mut known = std::mem::take(&mut printer.since).into_iter();
    let mut kept_at = Instant::now();
    let follower = bus.follow_with(options, Wait::from(&cancel));
    for event in follower.map_err(|error| printer.explain(error))? {
        let event = event?;
        // Damage behind the last message was printed with it, and has no place to go on from.
        if !is_message(&event) && known.next().is_some_and(|known| known == event) {
            continue;
        }
        if printer.print(&mut context.out, event)? || kept_at.elapsed() >= KEEP_AFTER {
            printer.finish(&mut context.out)?;
            kept_at = Instant::now();
        }
    }
    printer.finish(&mut context.out)
}

fn is_message(event: &Event) -> bool {
    matches!(event, Event::Message(_))
}

struct Printer {
    json: bool,
    damaged: bool,
    /// The place behind the last message that was printed, or passed over.
    place: Option<Cursor>,
    /// What was printed behind it.
    since: Vec<Event>,
    /// Where the place is kept.
    kept: Option<Kept>,
}

/// A reader with a name, which sees all messages and prints those that its filters choose.
struct Kept {
    cursor: NamedCursor,
    filter: ReadOptions,
}

impl Printer {
    fn new(json: bool) -> Printer {
        Printer { json, damaged: false, place: None, since: Vec::new(), kept: None }
    }

    /// The same error; where the place that is kept does not fit the bus, with the way out.
    fn explain(&self, error: Error) -> Error {
        let unfit = matches!(error.code(), "bus.cursor_diverged" | "bus.cursor_not_found");
        match &self.kept {
            // A place that was given does not fit.
            Some(kept) if unfit && self.place.is_none() => error.with_hint(format!(
                "the place is kept in {}; beside --cursor, `--after start` or --after with a message's id begins anew",
                kept.cursor.path().display()
            )),
            _ => error,
        }
    }

    /// Hands on what was printed, and only then keeps the place behind it.
    fn finish(&mut self, out: &mut Out) -> Result<(), Failure> {
        out.flush()?;
        if let (Some(kept), Some(place)) = (&mut self.kept, &self.place)
            && kept.cursor.cursor() != place
        {
            kept.cursor.commit(place)?;
        }
        Ok(())
    }

    /// Prints an event, unless it is a message that a reader with a name does not want; whether it did.
    fn print(&mut self, out: &mut Out, event: Event) -> Result<bool, Failure> {
        let chosen = match (&event, &self.kept) {
            (Event::Message(message), Some(kept)) => kept.filter.takes(message),
            _ => true,
        };
        if !chosen {
            // Nothing but its place is of use.
        } else if self.json {
            json::line(out, &Record::from(&event))?;
        } else {
            print_text(out, &event)?;
        }
        match event {
            Event::Message(message) => {
                self.place = Some(message.cursor);
                self.since.clear();
            }
            damage => {
                self.damaged |= matches!(damage, Event::Corrupt(_) | Event::Gap { .. });
                self.since.push(damage);
            }
        }
        Ok(chosen)
    }
}

fn print_text(out: &mut Out, event: &Event) -> std::io::Result<()> {
    match event {
        Event::Message(message) => print_message(out, message),
        Event::Gap { from, to } => {
            print_damage(out, "GAP", &format!("messages {from} to {to} are missing"))
        }
        Event::Corrupt(damage) | Event::Foreign(damage) => {
            let corrupt = matches!(event, Event::Corrupt(_));
            let what = format!(
                "{} bytes at {} of {} are no message: {}",
                damage.len,
                damage.offset,
                damage.path.display(),
                crate::render::text::preview(&damage.text, 96),
            );
            print_damage(out, if corrupt { "CORRUPT" } else { "FOREIGN" }, &what)
        }
        Event::Replaced { path, last_seq } => {
            let what = format!("{} was replaced after message {last_seq}", path.display());
            print_damage(out, "REPLACED", &what)
        }
        _ => print_damage(out, "UNKNOWN", &format!("{event:?}")),
    }
}

fn print_message(out: &mut Out, message: &Message) -> std::io::Result<()> {
    let time = match message.time.is_zero() {
        true => "-".to_owned(),
        false => message.time.human(),
    };
    let kind = one_line(&message.msg_type);
    // What an agent wrote goes as it is to a program, and without its control characters to a person.
    let body =
        if out.is_terminal() { harmless(&message.body) } else { message.body.as_str().into() };
    let line = if out.is_colored() {
        let (faint, style) = (color::FAINT, color::message_type(&message.msg_type));
        format!("{faint}[{time}]{faint:#} ({style}{kind}{style:#}) {body}")
    } else {
        format!("[{time}] ({kind}) {body}")
    };
    out.line(&line)
}

fn print_damage(out: &mut Out, kind: &str, what: &str) -> std::io::Result<()> {
    let what = one_line(what);
    let line = if out.is_colored() {
        let style = color::WARNING;
        format!("[-] ({style}{kind}{style:#}) {what}")
    } else {
        format!("[-] ({kind}) {what}")
    };
    out.line(&line)
}
