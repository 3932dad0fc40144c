//! One connection that follows: what it missed comes from the files, what comes from the hubs.

use super::super::app::App;
use super::super::failure::Failure;
use super::frame::{self, Encoded, Form, Frames};
use super::hub::{Batch, Join, Member, Refused};
use super::topic::{ChangesKey, RunKey, RunsKey, SizeKey, Topic};
use super::{bus, changes, file, log, runs, size};
use axum::http::StatusCode;
use bytes::Bytes;
use conductor_core::{Conductor, Result};
use futures_util::future::select_all;
use futures_util::stream::{Stream, unfold};
use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

/// What parts the ids of several things in one.
const BETWEEN: char = ',';

/// One thing that a client follows.
struct Channel {
    member: Member,
    /// What it missed and did not read yet.
    missed: Option<Missed>,
    /// The place behind what it got.
    place: Arc<str>,
    topic: String,
    /// Whether it was told that nothing comes any more.
    is_over: bool,
    /// Which of the places in the client's id is this one's; `None` for one that has none.
    slot: Option<usize>,
}

/// What a client missed, to be read from the files.
enum Missed {
    Bus(bus::Missed),
    Log(log::Missed),
    File(file::Missed),
}

impl Missed {
    fn of(topic: &Topic, from: Option<&str>) -> Option<Missed> {
        match topic {
            Topic::Messages(key) => Some(Missed::Bus(bus::Missed::new(key.0.clone(), from))),
            Topic::Log(key) => log::Missed::new(key.clone(), from).map(Missed::Log),
            Topic::File(key) => Some(Missed::File(file::Missed::new(key.clone(), from))),
            // What is kept of these is told when a client joins.
            Topic::Runs | Topic::Changes | Topic::Size(_) => None,
        }
    }

    fn read(&mut self, conductor: &Conductor, to: &str, frames: &mut Frames) -> Result<bool> {
        match self {
            Missed::Bus(missed) => missed.read(conductor, to, frames),
            Missed::Log(missed) => missed.read(conductor, to, frames),
            Missed::File(missed) => missed.read(conductor, to, frames),
        }
    }

    /// The place behind what was read.
    fn place(&self) -> Option<String> {
        match self {
            Missed::Bus(missed) => missed.place(),
            Missed::Log(missed) => Some(missed.place()),
            Missed::File(missed) => Some(missed.place()),
        }
    }
}

/// When a client's stream ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// With what it follows.
    WithIt,
    /// Not before the client or the server does.
    Never,
}

/// A connection that follows one or several things.
pub(crate) struct Client {
    app: App,
    form: Form,
    ends: Ends,
    channels: Vec<Channel>,
    /// The places of the things that were asked for, in their order.
    places: Vec<Arc<str>>,
    /// Follows what runs print as they begin, where it does.
    fan: Option<Fan>,
    ready: VecDeque<Bytes>,
    heartbeat: Interval,
    ending: watch::Receiver<bool>,
    over: bool,
}

/// Runs whose output is followed besides.
struct Fan {
    /// Whether a run is one of those.
    wanted: Box<dyn Fn(&RunKey) -> bool + Send + Sync>,
    followed: HashSet<RunKey>,
    /// Runs that began before the client came are followed from now on, later ones from their beginning.
    from: Option<&'static str>,
}

impl Fan {
    /// The runs that live, are wanted and are not followed yet.
    fn new_among(&mut self, encoded: &Encoded) -> Vec<RunKey> {
        let Fan { wanted, followed, .. } = self;
        let living =
            encoded.runs.iter().filter(|note| note.outcome.is_none()).map(|note| &note.run);
        living.filter(|run| wanted(run) && followed.insert((*run).clone())).cloned().collect()
    }
}

impl Client {
    /// Follows one thing, from behind `from`, the id of the last event that the client got.
    pub(crate) async fn of_one(
        app: &App,
        topic: Topic,
        from: Option<String>,
        ends: Ends,
    ) -> Result<Client, Failure> {
        let mut client = Client::new(app, Form::Own, ends);
        client.follow(topic, from, 0).await?;
        Ok(client)
    }

    /// Follows several things at once. Its ids hold the place of each.
    pub(crate) async fn of_many(
        app: &App,
        topics: Vec<Topic>,
        from: Option<String>,
    ) -> Result<Client, Failure> {
        let mut client = Client::new(app, Form::Shared, Ends::Never);
        let from: Vec<String> =
            from.map(|from| from.split(BETWEEN).map(str::to_owned).collect()).unwrap_or_default();
        let fits = from.len() == topics.len();
        if !fits && !from.is_empty() {
            client.resync_from_now();
        }
        let from = if fits { from } else { Vec::new() };
        for (slot, topic) in topics.into_iter().enumerate() {
            let from = from.get(slot).filter(|from| !from.is_empty()).cloned();
            client.follow(topic, from, slot).await?;
        }
        Ok(client)
    }

    /// Follows where runs stand and what they print, of all runs that are `wanted`.
    pub(crate) async fn of_runs(
        app: &App,
        from: Option<String>,
        wanted: impl Fn(&RunKey) -> bool + Send + Sync + 'static,
    ) -> Result<Client, Failure> {
        let mut client = Client::new(app, Form::Shared, Ends::Never);
        let wanted = Box::new(wanted);
        client.fan = Some(Fan { wanted, followed: HashSet::new(), from: None });
        client.follow(Topic::Runs, from, 0).await?;
        if let Some(fan) = &mut client.fan {
            fan.from = Some("-1");
        }
        Ok(client)
    }

    fn new(app: &App, form: Form, ends: Ends) -> Client {
        let mut heartbeat = tokio::time::interval(app.settings().heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        // Sent at once: the client knows that it is heard, also by a proxy in between.
        let ready = VecDeque::from([Bytes::from_static(b": follows\n\n")]);
        Client {
            app: app.clone(),
            form,
            ends,
            channels: Vec::new(),
            places: Vec::new(),
            fan: None,
            ready,
            heartbeat,
            ending: app.ending(),
            over: false,
        }
    }

    /// Follows something that was asked for.
    async fn follow(
        &mut self,
        topic: Topic,
        from: Option<String>,
        slot: usize,
    ) -> Result<(), Failure> {
        let opening = self.join(topic, from, Some(slot)).await?;
        self.give(&opening, self.channels.len() - 1);
        self.fan_out(&opening).await;
        Ok(())
    }

    /// Joins those that follow something; what they are told first.
    async fn join(
        &mut self,
        topic: Topic,
        from: Option<String>,
        slot: Option<usize>,
    ) -> Result<Encoded, Failure> {
        let missed = Missed::of(&topic, from.as_deref());
        let join = Join { from: from.clone(), shared: self.form == Form::Shared };
        let (name, member) = join_hub(&self.app, topic, join).await?;
        let place: Arc<str> = match (&missed, from) {
            (Some(_), Some(from)) => from.into(),
            (Some(_), None) => "".into(),
            (None, _) => member.place.clone(),
        };
        if slot.is_some() {
            self.places.push(place.clone());
        }
        let opening = member.opening.clone();
        self.channels.push(Channel { member, missed, place, topic: name, is_over: false, slot });
        Ok(opening)
    }

    /// Makes events ready to be sent, and the id behind them.
    fn give(&mut self, encoded: &Encoded, channel: usize) {
        let channel = &self.channels[channel];
        if let Some(slot) = channel.slot {
            self.places[slot] = channel.place.clone();
        }
        let given = self.ready.len();
        match &self.fan {
            // Of all runs only those that are wanted.
            Some(fan) if channel.slot.is_some() => {
                let wanted = encoded.runs.iter().filter(|note| (fan.wanted)(&note.run));
                self.ready.extend(wanted.map(|note| note.event.clone()).filter(|e| !e.is_empty()));
            }
            _ => {
                let bytes = encoded.bytes(self.form);
                self.ready.extend((!bytes.is_empty()).then_some(bytes));
            }
        }
        let has_id = self.form == Form::Shared && channel.slot.is_some();
        if has_id && self.ready.len() > given {
            let places: Vec<&str> = self.places.iter().map(|place| &**place).collect();
            self.ready.push_back(frame::mark(&places.join(&BETWEEN.to_string())));
        }
    }

    /// Also follows what the runs print that began.
    async fn fan_out(&mut self, encoded: &Encoded) {
        let Some(fan) = &mut self.fan else { return };
        let (new, from) = (fan.new_among(encoded), fan.from.map(str::to_owned));
        for run in new {
            // One that is gone already, or that too many follow, is told by its status alone. Where a run
            // stands was told when it was found: its opening says nothing new.
            if let Err(failure) = self.join(Topic::Log(run), from.clone(), None).await {
                let (code, error) = (failure.code(), failure.message());
                tracing::debug!(subsystem = "api", code, error, "cannot follow a run");
            }
        }
    }

    /// The next bytes to be sent; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(bytes);
            }
            if self.over {
                return None;
            }
            let missed = self.channels.iter().position(|channel| channel.missed.is_some());
            let ends = |channel: &Channel| channel.member.closing.is_some() && !channel.is_over;
            match (missed, self.channels.iter().position(ends)) {
                (Some(at), _) => self.read_missed(at).await,
                (None, Some(at)) => self.close(at),
                (None, None) => self.wait().await,
            }
        }
    }

    /// Reads a piece of what the client missed.
    async fn read_missed(&mut self, at: usize) {
        let channel = &mut self.channels[at];
        let Some(mut missed) = channel.missed.take() else { return };
        let (to, topic, form) = (channel.member.place.clone(), channel.topic.clone(), self.form);
        let read = self.app.call(move |conductor| {
            let mut frames = Frames::of(&topic, form);
            let done = missed.read(conductor, &to, &mut frames)?;
            Ok((missed, frames.finish(), done))
        });
        match read.await {
            Ok((missed, encoded, done)) => {
                let channel = &mut self.channels[at];
                channel.place = match missed.place() {
                    _ if done => channel.member.place.clone(),
                    Some(place) => place.into(),
                    None => channel.place.clone(),
                };
                channel.missed = (!done).then_some(missed);
                self.give(&encoded, at);
            }
            Err(failure) => self.fail(&failure),
        }
    }

    /// Waits for what comes.
    async fn wait(&mut self) {
        let Client { channels, heartbeat, ending, ready, over, .. } = self;
        let living: Vec<usize> = (0..channels.len()).filter(|at| !channels[*at].is_over).collect();
        let members = channels.iter_mut().filter(|channel| !channel.is_over);
        let comes: Vec<_> =
            members.map(|channel| Box::pin(channel.member.batches.recv())).collect();
        let comes = async {
            match comes.is_empty() {
                true => std::future::pending().await,
                false => select_all(comes).await,
            }
        };
        let (batch, at, _) = tokio::select! {
            come = comes => come,
            _ = heartbeat.tick() => {
                ready.push_back(Bytes::from_static(b"event: heartbeat\ndata: {}\n\n"));
                return;
            }
            _ = ending.changed() => {
                // The next server answers soon.
                ready.push_back(Bytes::from_static(b"retry: 1000\n\n"));
                *over = true;
                return;
            }
        };
        self.take(living[at], batch).await;
    }

    async fn take(&mut self, at: usize, batch: std::result::Result<Batch, RecvError>) {
        match batch {
            Ok(Batch { encoded, place, is_last }) => {
                self.channels[at].place = place;
                self.give(&encoded, at);
                self.fan_out(&encoded).await;
                if is_last {
                    self.end(at);
                }
            }
            // It comes back with the last id that it got, and reads the rest from the file.
            Err(RecvError::Lagged(_)) => self.resync("slow"),
            Err(RecvError::Closed) => self.resync("ended"),
        }
    }

    /// Tells the end of something that was over when the client came.
    fn close(&mut self, at: usize) {
        if let Some(closing) = self.channels[at].member.closing.take() {
            self.give(&closing, at);
        }
        self.end(at);
    }

    /// Nothing comes any more of one thing.
    fn end(&mut self, at: usize) {
        self.channels[at].is_over = true;
        if self.ends == Ends::WithIt {
            self.over = true;
        }
        if self.channels[at].slot.is_none() {
            self.channels.remove(at);
        }
    }

    /// The id that the client came with belongs to other things.
    fn resync_from_now(&mut self) {
        let event = frame::single(None, "resync", "{\"reason\":\"unknown_id\"}");
        self.ready.push_back(event);
    }

    fn resync(&mut self, reason: &str) {
        let data = serde_json::json!({"reason": reason}).to_string();
        self.ready.push_back(frame::single(None, "resync", &data));
        self.over = true;
    }

    fn fail(&mut self, failure: &Failure) {
        let data = serde_json::json!({"code": failure.code(), "message": failure.message()});
        self.ready.push_back(frame::single(None, "error", &data.to_string()));
        self.over = true;
    }

    /// The bytes of the connection, as they come.
    pub(crate) fn into_stream(self) -> impl Stream<Item = std::result::Result<Bytes, Infallible>> {
        unfold(self, |mut client| async move {
            let bytes = client.next().await?;
            Some((Ok(bytes), client))
        })
    }
}

pub(super) async fn join_hub(
    app: &App,
    topic: Topic,
    join: Join,
) -> Result<(String, Member), Failure> {
    let conductor = app.conductor().clone();
    let (streams, most) = (app.streams(), app.settings().clients);
    let (name, joined) = match topic {
        Topic::Messages(key) => {
            let scope = key.0.clone();
            let open = move || bus::BusSource::open(&conductor, scope);
            (key.to_string(), streams.buses.join(key, join, most, open).await)
        }
        Topic::Log(key) => {
            let run = key.clone();
            let open = move || log::LogSource::open(&conductor, run);
            (key.to_string(), streams.logs.join(key, join, most, open).await)
        }
        Topic::File(key) => {
            let file = key.clone();
            let open = move || file::FileSource::open(&conductor, &file);
            (key.to_string(), streams.files.join(key, join, most, open).await)
        }
        Topic::Size(key) => {
            let run = key.clone();
            let open = move || size::SizeSource::open(&conductor, run);
            let key = SizeKey(key);
            (key.to_string(), streams.sizes.join(key, join, most, open).await)
        }
        Topic::Changes => {
            let open = move || changes::ChangesSource::open(&conductor);
            let joined = streams.changes.join(ChangesKey, join, most, open).await;
            (ChangesKey.to_string(), joined)
        }
        Topic::Runs => {
            let open = move || runs::RunsSource::open(&conductor);
            (RunsKey.to_string(), streams.runs.join(RunsKey, join, usize::MAX, open).await)
        }
    };
    match joined {
        Ok(member) => Ok((name, member)),
        Err(Refused::Error(error)) => Err(app.failure(&error)),
        Err(Refused::Full) => {
            let what = match name.split(':').next() {
                Some("messages") => "bus",
                Some("changes") => "root",
                _ => "run",
            };
            let message = format!("max clients reached for {what}");
            Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, "stream.full", message))
        }
        Err(Refused::TooMany) => {
            let message = "this server follows as many things as it can";
            Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "stream.too_many", message).detail(
                "hint",
                "try again later, follow less, or let it open more files (ulimit -n)",
            ))
        }
    }
}
