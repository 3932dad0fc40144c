//! The messages of a bus.

use super::super::wire::texts;
use super::frame::Frames;
use super::hub::{BATCH, Found, Source};
use conductor_core::{
    Bus, Conductor, Cursor, Event, Follower, Message, ReadOptions, Result, Scope, Step, Wait,
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::os::fd::BorrowedFd;

/// Messages that a client gets that comes without an id.
const FIRST: usize = 20;

/// A message as streams tell it: parents are ids alone.
#[derive(Serialize)]
struct Told<'a> {
    msg_id: &'a str,
    timestamp: String,
    r#type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    project_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    task_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    run_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issue_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parents: Vec<&'a str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    meta: Map<String, Value>,
    body: &'a str,
}

fn tell(event: &Event, frames: &mut Frames) {
    match event {
        Event::Message(message) => tell_message(message, frames),
        Event::Gap { from, to } => {
            let data = serde_json::json!({"from_seq": from, "to_seq": to});
            frames.json(None, "gap", data.to_string().as_bytes());
        }
        Event::Corrupt(damage) | Event::Foreign(damage) => {
            let (offset, len, after) = (damage.offset, damage.len, damage.after_seq);
            let data = serde_json::json!({"offset": offset, "len": len, "after_seq": after});
            frames.json(None, "damage", data.to_string().as_bytes());
        }
        // The file was replaced; whatever else may stand in the place of a message one day.
        _ => frames.json(None, "resync", b"{\"reason\":\"replaced\"}"),
    }
}

fn tell_message(message: &Message, frames: &mut Frames) {
    let told = Told {
        msg_id: message.msg_id.as_str(),
        timestamp: message.time.to_string(),
        r#type: &message.msg_type,
        project_id: &message.project_id,
        task_id: &message.task_id,
        run_id: &message.run_id,
        issue_id: message.issue_id.as_deref(),
        parents: message.parents.iter().map(|parent| parent.msg_id.as_str()).collect(),
        meta: texts(&message.meta),
        body: &message.body,
    };
    // Texts and lists always have a JSON form, which is one line.
    let data = serde_json::to_vec(&told).unwrap_or_default();
    frames.json(Some(message.msg_id.as_str()), "message", &data);
}

/// A bus that is followed.
pub(super) struct BusSource {
    follower: Follower,
    place: Cursor,
}

impl BusSource {
    /// Follows a bus from its present end.
    pub(super) fn open(conductor: &Conductor, scope: Scope) -> Result<BusSource> {
        let bus = conductor.bus(scope)?;
        let place = bus.end()?.unwrap_or(Cursor::START);
        let follower = bus.follow(&place, Wait::FOREVER)?;
        Ok(BusSource { follower, place })
    }
}

impl Source for BusSource {
    fn fd(&self) -> BorrowedFd<'_> {
        self.follower.fd()
    }

    fn look(&mut self, frames: &mut Frames) -> Result<Found> {
        let mut bytes = 0;
        while bytes < BATCH {
            let Step::Ready(event) = self.follower.step()? else { return Ok(Found::AllForNow) };
            if let Event::Message(message) = &event {
                self.place.clone_from(&message.cursor);
                bytes += message.body.len() + 256;
            }
            tell(&event, frames);
        }
        Ok(Found::More)
    }

    fn place(&self) -> String {
        self.place.to_string()
    }
}

/// What a client missed of a bus.
#[derive(Debug)]
pub(super) struct Missed {
    scope: Scope,
    /// Where to read on; `None` for the last few.
    from: Option<Cursor>,
    /// Whether the client must be told that its id leads nowhere.
    lost: bool,
}

impl Missed {
    pub(super) fn new(scope: Scope, from: Option<&str>) -> Missed {
        let parsed = from.map(str::parse::<Cursor>);
        let lost = matches!(parsed, Some(Err(_)));
        Missed { scope, from: parsed.and_then(Result::ok), lost }
    }

    /// Reads on up to the place `to`; whether that was reached.
    pub(super) fn read(
        &mut self,
        conductor: &Conductor,
        to: &str,
        frames: &mut Frames,
    ) -> Result<bool> {
        let to: Cursor = to.parse()?;
        let bus = conductor.bus(self.scope.clone())?;
        if std::mem::take(&mut self.lost) {
            frames.json(None, "resync", b"{\"reason\":\"unknown_id\"}");
        }
        match self.read_from(&bus, &to, frames) {
            // Its id is of no message that is kept.
            Err(error) if error.code().starts_with("bus.cursor_") && self.from.is_some() => {
                (self.from, self.lost) = (None, true);
                Ok(false)
            }
            answer => answer,
        }
    }

    fn read_from(&mut self, bus: &Bus, to: &Cursor, frames: &mut Frames) -> Result<bool> {
        if self.from.as_ref() == Some(to) || *to == Cursor::START {
            return Ok(true);
        }
        let options = match &self.from {
            Some(from) => ReadOptions::default().after(from),
            None => ReadOptions::default().tail(FIRST),
        };
        for event in bus.read(options)? {
            let event = event?;
            let Event::Message(message) = &event else {
                tell(&event, frames);
                continue;
            };
            // Comes as what is new.
            if message.seq.zip(to.seq()).is_some_and(|(seq, to)| seq > to) {
                return Ok(true);
            }
            tell(&event, frames);
            if message.cursor == *to {
                return Ok(true);
            }
            self.from = Some(message.cursor.clone());
            if frames.len() >= BATCH {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The place behind what was read.
    pub(super) fn place(&self) -> Option<String> {
        self.from.as_ref().map(Cursor::to_string)
    }
}
