//! One look-out for each thing that is followed, however many clients follow it.
//!
//! What it finds is encoded once, and handed to all clients as one batch for each tick. A client that
//! cannot keep up is told to come again and holds up nobody.

use super::super::pollable::Pollable;
use super::frame::{Encoded, Frames};
use conductor_core::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::Hash;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, oneshot};
use tokio::time::Instant;

/// The shortest time between two batches.
const TICK: Duration = Duration::from_millis(20);
/// The size from which a batch is sent although there is more, in bytes.
pub(crate) const BATCH: usize = 256 << 10;
/// Batches that a client may be behind.
const BEHIND: usize = 64;
/// How soon to look again after an error.
const AGAIN: Duration = Duration::from_secs(1);

/// What one look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// All that there is for now.
    AllForNow,
    /// A batch full, and there is more.
    More,
    /// All that there will ever be.
    All,
}

/// Something that can be followed.
pub(crate) trait Source: Send + 'static {
    /// Becomes readable when another look may find something new.
    fn fd(&self) -> BorrowedFd<'_>;
    /// Looks, and encodes what is new.
    fn look(&mut self, frames: &mut Frames) -> Result<Found>;
    /// The place behind all that was found so far, in the form of an event's id.
    fn place(&self) -> String;
    /// What a client is told first that comes with this id, or with none.
    fn opening(&mut self, _from: Option<&str>, _frames: &mut Frames) -> Result<()> {
        Ok(())
    }
    /// How long it stays open when the last client has left.
    fn linger(&self) -> Duration {
        Duration::ZERO
    }
    /// What a client is told last that comes when all was found.
    fn closing(&mut self, _frames: &mut Frames) {}
}

/// What was found at one tick.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) encoded: Encoded,
    /// The place behind it.
    pub(crate) place: Arc<str>,
    /// Whether nothing comes any more.
    pub(crate) is_last: bool,
}

/// A client's place among those that follow something. Dropping it leaves.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) batches: broadcast::Receiver<Batch>,
    /// The place from which batches come.
    pub(crate) place: Arc<str>,
    /// What is told first.
    pub(crate) opening: Encoded,
    /// What is told last, where nothing comes any more.
    pub(crate) closing: Option<Encoded>,
    _seat: Seat,
}

#[derive(Debug)]
struct Seat {
    hub: mpsc::UnboundedSender<Wish>,
    shared: bool,
}

impl Drop for Seat {
    fn drop(&mut self) {
        // A look-out that has ended needs no telling.
        let _ended = self.hub.send(Wish::Leave { shared: self.shared });
    }
}

/// How a client joins.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    /// The id that it comes with.
    pub(crate) from: Option<String>,
    /// Whether it follows other things, too.
    pub(crate) shared: bool,
}

#[derive(Debug)]
enum Wish {
    Join(Join, oneshot::Sender<Result<Member>>),
    Leave { shared: bool },
}

/// The look-outs of one kind, by what they look at.
#[derive(Debug)]
pub(crate) struct Hubs<K> {
    open: Arc<Mutex<HashMap<K, Open>>>,
    /// How many more may be opened, of all kinds that share it; `None` for one that need not be asked.
    free: Option<Arc<Semaphore>>,
}

#[derive(Debug)]
struct Open {
    wishes: mpsc::UnboundedSender<Wish>,
    members: usize,
}

impl<K> Clone for Hubs<K> {
    fn clone(&self) -> Self {
        Hubs { open: self.open.clone(), free: self.free.clone() }
    }
}

/// Why a client could not join.
#[derive(Debug)]
pub(crate) enum Refused {
    /// As many follow it as may.
    Full,
    /// As many things are followed as may be.
    TooMany,
    /// What it wants to follow cannot be.
    Error(Error),
}

impl<K: Clone + Eq + Hash + Send + fmt::Display + 'static> Hubs<K> {
    /// Look-outs, of which there may be as many as `free` has room for.
    pub(crate) fn new(free: Option<Arc<Semaphore>>) -> Hubs<K> {
        Hubs { open: Arc::default(), free }
    }

    /// How many clients there are.
    pub(crate) fn members(&self) -> usize {
        self.open.lock().values().map(|open| open.members).sum()
    }

    /// Joins those that follow `key`, at most `most`. Where nobody does yet, `open` opens it.
    pub(crate) async fn join<S: Source>(
        &self,
        key: K,
        join: Join,
        most: usize,
        open: impl FnOnce() -> Result<S> + Send + 'static,
    ) -> Result<Member, Refused> {
        let (answer, answered) = oneshot::channel();
        {
            let mut hubs = self.open.lock();
            let hub = match hubs.entry(key.clone()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(vacant) => {
                    let room = self.free.clone().map(Semaphore::try_acquire_owned).transpose();
                    let room = room.map_err(|_| Refused::TooMany)?;
                    let (wishes, heard) = mpsc::unbounded_channel();
                    let own = wishes.clone();
                    let look_out = LookOut::new(self.clone(), key.clone(), own, heard, room);
                    tokio::spawn(look_out.run(open));
                    vacant.insert(Open { wishes, members: 0 })
                }
            };
            if hub.members >= most {
                return Err(Refused::Full);
            }
            hub.members += 1;
            // Ends only after it was taken off the list, which is locked.
            let _heard = hub.wishes.send(Wish::Join(join, answer));
        }
        match answered.await {
            Ok(member) => member.map_err(Refused::Error),
            Err(_) => Err(Refused::Error(ended())),
        }
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Internal, "stream.ended", "what should be followed is not looked at")
}

struct LookOut<K> {
    hubs: Hubs<K>,
    key: K,
    topic: String,
    wishes: mpsc::UnboundedSender<Wish>,
    heard: mpsc::UnboundedReceiver<Wish>,
    batches: broadcast::Sender<Batch>,
    /// Members that follow this alone, and those that follow other things, too.
    own: usize,
    shared: usize,
    place: Arc<str>,
    is_over: bool,
    /// Its room among all look-outs.
    _room: Option<OwnedSemaphorePermit>,
}

impl<K: Clone + Eq + Hash + Send + fmt::Display + 'static> LookOut<K> {
    fn new(
        hubs: Hubs<K>,
        key: K,
        wishes: mpsc::UnboundedSender<Wish>,
        heard: mpsc::UnboundedReceiver<Wish>,
        room: Option<OwnedSemaphorePermit>,
    ) -> LookOut<K> {
        let (batches, _) = broadcast::channel(BEHIND);
        let topic = key.to_string();
        let place = Arc::from("");
        LookOut {
            hubs,
            key,
            topic,
            wishes,
            heard,
            batches,
            own: 0,
            shared: 0,
            place,
            is_over: false,
            _room: room,
        }
    }

    async fn run<S: Source>(mut self, open: impl FnOnce() -> Result<S> + Send + 'static) {
        let opened = blocking(move || {
            let source = open()?;
            let news = Pollable::new(source.fd()).map_err(cannot_wait)?;
            Ok((source, news))
        });
        match opened.await {
            Ok((source, news)) => self.look_out(source, news).await,
            Err(error) => self.refuse_all(&error),
        }
    }

    /// Nobody can follow what cannot be opened; the next client tries anew.
    fn refuse_all(&mut self, error: &Error) {
        self.hubs.open.lock().remove(&self.key);
        while let Ok(wish) = self.heard.try_recv() {
            if let Wish::Join(_, answer) = wish {
                let _gone = answer.send(Err(again(error)));
            }
        }
    }

    async fn look_out<S: Source>(&mut self, source: S, news: Pollable) {
        let mut source = Some(source);
        let mut next = Instant::now();
        let mut look = true;
        let linger = source.as_ref().map_or(Duration::ZERO, S::linger);
        loop {
            let mut joins = Vec::new();
            // What came meanwhile; then, where nothing is to be looked at, what comes.
            while let Ok(wish) = self.heard.try_recv() {
                self.hear(wish, &mut joins);
            }
            if joins.is_empty() && self.own + self.shared == 0 {
                match tokio::time::timeout(linger, self.heard.recv()).await {
                    Ok(Some(wish)) => self.hear(wish, &mut joins),
                    _ if self.close() => return,
                    _ => continue,
                }
            }
            if joins.is_empty() && !look {
                tokio::select! {
                    wish = self.heard.recv() => {
                        if let Some(wish) = wish {
                            self.hear(wish, &mut joins);
                        }
                    }
                    _ = news.news(), if !self.is_over => look = true,
                }
                if joins.is_empty() && !look {
                    continue;
                }
            }
            if joins.is_empty() {
                tokio::time::sleep_until(next).await;
            }
            let Some(looked) = self.look(&mut source, joins).await else {
                // A defect ended it. The next client tries anew.
                self.hubs.open.lock().remove(&self.key);
                return;
            };
            next = Instant::now() + TICK;
            look = match looked {
                Ok(Found::More) => true,
                Ok(Found::AllForNow) => false,
                Ok(Found::All) => {
                    self.is_over = true;
                    false
                }
                Err(error) => {
                    tracing::warn!(subsystem = "api", topic = self.topic, %error, "cannot look");
                    next = Instant::now() + AGAIN;
                    true
                }
            };
        }
    }

    fn hear(&mut self, wish: Wish, joins: &mut Vec<(Join, oneshot::Sender<Result<Member>>)>) {
        match wish {
            Wish::Join(join, answer) => {
                *if join.shared { &mut self.shared } else { &mut self.own } += 1;
                joins.push((join, answer));
            }
            Wish::Leave { shared } => {
                *if shared { &mut self.shared } else { &mut self.own } -= 1;
                if let Some(open) = self.hubs.open.lock().get_mut(&self.key) {
                    open.members = open.members.saturating_sub(1);
                }
            }
        }
    }

    /// Takes itself off the list, unless somebody comes at this moment.
    fn close(&mut self) -> bool {
        let mut hubs = self.hubs.open.lock();
        if !self.heard.is_empty() {
            return false;
        }
        hubs.remove(&self.key);
        true
    }

    /// Looks once, tells all members what was found, and lets new ones in behind it.
    async fn look<S: Source>(
        &mut self,
        source: &mut Option<S>,
        joins: Vec<(Join, oneshot::Sender<Result<Member>>)>,
    ) -> Option<Result<Found>> {
        let mut looking = source.take()?;
        let topic = self.topic.clone();
        let (own, shared, is_over) = (self.own > 0, self.shared > 0, self.is_over);
        let froms: Vec<Join> = joins.iter().map(|(join, _)| join.clone()).collect();
        let looked = tokio::task::spawn_blocking(move || {
            let mut frames = Frames::new(&topic, own, shared);
            let found = match is_over {
                true => Ok(Found::All),
                false => looking.look(&mut frames),
            };
            let place = looking.place();
            let openings = froms.into_iter().map(|join| {
                let mut frames = Frames::new(&topic, !join.shared, join.shared);
                looking.opening(join.from.as_deref(), &mut frames)?;
                let closing = matches!(found, Ok(Found::All)).then(|| {
                    let mut frames = Frames::new(&topic, !join.shared, join.shared);
                    looking.closing(&mut frames);
                    frames.finish()
                });
                Ok((frames.finish(), closing))
            });
            let openings: Vec<Result<(Encoded, Option<Encoded>)>> = openings.collect();
            (looking, frames.finish(), found, place, openings)
        });
        // Where it was ended by a defect, or with the server, nobody is told any more.
        let (looking, encoded, found, place, openings) = looked.await.ok()?;
        *source = Some(looking);
        self.place = place.into();
        let is_last = matches!(found, Ok(Found::All)) && !self.is_over;
        if !encoded.is_empty() || is_last {
            let place = self.place.clone();
            let _nobody_yet = self.batches.send(Batch { encoded, place, is_last });
        }
        for ((join, answer), opening) in joins.into_iter().zip(openings) {
            // Made in any case: dropping it counts the client out again.
            let seat = Seat { hub: self.wishes.clone(), shared: join.shared };
            let member = opening.map(|(opening, closing)| Member {
                batches: self.batches.subscribe(),
                place: self.place.clone(),
                opening,
                closing,
                _seat: seat,
            });
            let _gone = answer.send(member);
        }
        Some(found)
    }
}

async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(call).await {
        Ok(answer) => answer,
        Err(_) => Err(ended()),
    }
}

fn cannot_wait(source: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "wait.failed", "cannot make a wait").with_source(source)
}

/// The error once more, for another client.
fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.code(), error.to_string())
}
