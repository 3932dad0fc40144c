//! One reader for all that comes one after the other: the form in which C, Go and Python read.

mod batch;
mod pieces;

use super::conductor::Conductor;
use super::events::TaskEvents;
use super::record::Record;
use super::runs::Run;
use super::settings::{ListPlan, OutputPlan, ReadPlan};
use crate::bus::{self, Bus, Cursor, Event, Follower, NamedCursor, ReadOptions};
use crate::cancel::{Cancel, Wait};
use crate::error::{Error, ErrorKind, Result};
use crate::gc::{GcItems, GcPlan, GcWork};
use crate::id::{ProjectId, RunId, TaskId};
use crate::log::LogReader;
use crate::supervise::RunInfo;
use crate::wait::{Step, block_on};
use pieces::Pieces;
use std::collections::VecDeque;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::vec::IntoIter;

/// Records one after the other, whatever gives them: a list, a bus, a task, an output.
///
/// Damage is a record too, in its place. [`step`](Records::step) until it says
/// [`Step::Pending`]; then [`fd`](Records::fd) tells when there may be more.
#[derive(Debug)]
pub struct Records {
    source: Source,
    /// The kept place that is read on from.
    kept: Option<Kept>,
    /// What went wrong behind messages that were given.
    failed: Option<Error>,
}

#[derive(Debug)]
enum Source {
    List(Box<List>),
    Runs(IntoIter<RunInfo>),
    Made(IntoIter<Record>),
    Read(Box<bus::Reader>),
    Follow { known: Known, follower: Box<Follower> },
    Task(Box<TaskEvents>),
    Output(Box<Pieces>),
    Log(LogReader),
    Items(Box<GcItems>),
    Work(Box<GcWork>),
}

impl Records {
    /// What a root holds: its projects, the tasks of one, or the runs of one of these.
    ///
    /// Each is looked at when it is asked for; one that cannot be read is a record with an `error`.
    ///
    /// # Errors
    /// `root.not_found`, `project.not_found`, `task.not_found`.
    pub fn list(conductor: &Conductor, plan: ListPlan) -> Result<Records> {
        let ids = match (plan.project, plan.task) {
            (None, _) => Ids::Projects(conductor.projects()?.ids.into_iter()),
            (Some(project), None) => {
                let tasks = conductor.tasks().ids(&project)?;
                Ids::Tasks(project, tasks.into_iter())
            }
            (Some(project), Some(task)) => {
                let runs = conductor.runs().ids(&project, &task)?;
                Ids::Runs(project, task, runs.into_iter())
            }
        };
        let list = List { conductor: conductor.clone(), ids, status: plan.status };
        Ok(Source::List(Box::new(list)).into())
    }

    /// What is on a bus and, where the plan says so, what comes; a tail and then what comes, too.
    ///
    /// With a kept place: what comes after it. The place is this reader's alone while it lives, and moves
    /// by [`commit`](Records::commit).
    ///
    /// # Errors
    /// As [`Bus::read`] and [`Bus::cursor`].
    pub fn read(bus: &Bus, plan: ReadPlan) -> Result<Records> {
        let ReadPlan { mut options, follow, cursor } = plan;
        let kept = match cursor {
            Some(name) => {
                let place = bus.cursor(&name, Wait::NONE)?;
                options = options.after(place.cursor());
                Some(Kept { place, last: None })
            }
            None => None,
        };
        Ok(Records { source: Source::of_bus(bus, options, follow)?, kept, failed: None })
    }

    /// Keeps the place behind the last message that was given: who takes the place up next reads what
    /// comes after it. What was given since the last commit is given to it again.
    ///
    /// # Errors
    /// `cursor.none` for a reader without a kept place; what keeps the place from being written.
    pub fn commit(&mut self) -> Result<()> {
        let Some(kept) = &mut self.kept else {
            let message = "this reader reads on from no kept place";
            return Err(Error::invalid("cursor.none", "cursor", message)
                .with_hint("name one with the option \"cursor\" when the bus is read"));
        };
        match &kept.last {
            Some(last) if last != kept.place.cursor() => kept.place.commit(&last.clone()),
            _ => Ok(()),
        }
    }

    /// What is wrong with a root.
    ///
    /// # Errors
    /// As [`Conductor::doctor`].
    pub fn doctor(conductor: &Conductor) -> Result<Records> {
        let found: Vec<Record> = conductor.doctor()?.iter().map(Record::from).collect();
        Ok(Source::Made(found.into_iter()).into())
    }

    /// The events that wait for the webhook.
    ///
    /// # Errors
    /// As [`Outbox::list`](super::Outbox::list).
    pub fn outbox(conductor: &Conductor) -> Result<Records> {
        let events: Vec<Record> = conductor.outbox().list()?.iter().map(Record::from).collect();
        Ok(Source::Made(events.into_iter()).into())
    }

    /// What the library says of its own work in this process, from now on: events of these levels, as
    /// [`LogLevels`](crate::LogLevels) reads them.
    ///
    /// # Errors
    /// `log.invalid`, `log.taken`.
    pub fn log(levels: &str) -> Result<Records> {
        Ok(Source::Log(LogReader::open(levels.parse()?)?).into())
    }

    /// What a run wrote and, where the plan says so, what it writes until it is over.
    ///
    /// # Errors
    /// `output.not_found`.
    pub fn output(run: &Run, plan: &OutputPlan) -> Result<Records> {
        Ok(Source::Output(Box::new(Pieces::of(run, plan)?)).into())
    }

    /// What a plan of garbage collection judges: what is to be done or, with `all`, what stays too. What
    /// cannot be looked at is a record with an `error`.
    pub fn gc_items(plan: &GcPlan, all: bool) -> Records {
        let items = if all { plan.items(Wait::FOREVER) } else { plan.actions(Wait::FOREVER) };
        Source::Items(Box::new(items)).into()
    }

    /// Carries a plan of garbage collection out as it is read: what became of each thing. What is not read
    /// is not done.
    ///
    /// # Errors
    /// As [`Gc::work`](super::Gc::work).
    pub fn gc_work(plan: &GcPlan) -> Result<Records> {
        Ok(Source::Work(Box::new(GcWork::new(plan, Wait::FOREVER)?)).into())
    }

    /// What garbage collection did so far, for a reader that carries a plan out.
    ///
    /// # Errors
    /// `reader.no_report` for any other.
    pub fn report(&self) -> Result<Record> {
        match &self.source {
            Source::Work(work) => Ok(work.report().into()),
            _ => Err(Error::invalid("reader.no_report", "reader", "this reader does no work")
                .with_hint("only a reader that carries a plan out has a report")),
        }
    }

    /// A descriptor that becomes readable when another step may find more, after one that found
    /// nothing yet. `None` for a reader that never waits, and for one that works: step again at once.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.source {
            Source::Follow { follower, .. } => Some(follower.fd()),
            Source::Task(events) => Some(events.fd()),
            Source::Output(pieces) => pieces.fd(),
            Source::Log(reader) => Some(reader.fd()),
            Source::List(_)
            | Source::Runs(_)
            | Source::Made(_)
            | Source::Read(_)
            | Source::Items(_)
            | Source::Work(_) => None,
        }
    }

    /// The next record that is there, without waiting: `Ready(None)` at the end. A reader that works does
    /// a part of it.
    pub fn step(&mut self) -> Result<Step<Option<Record>>> {
        self.step_until(None)
    }

    fn step_until(&mut self, switch: Option<&Cancel>) -> Result<Step<Option<Record>>> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        let step = self.source.step(switch)?;
        if let (Some(kept), Step::Ready(Some(record))) = (&mut self.kept, &step)
            && let Some(cursor) = record.text("cursor")
        {
            kept.last = Some(cursor.parse()?);
        }
        Ok(step)
    }

    /// Waits for the next record; `None` at the end.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] and [`ErrorKind::Cancelled`] when the wait is over first; one can ask
    /// again. The errors of what is read.
    pub fn next(&mut self, wait: impl Into<Wait>) -> Result<Option<Record>> {
        let wait = wait.into();
        self.wait_for(&wait, |records| records.step_until(wait.cancel()))
    }

    /// Waits until `step` has an answer.
    fn wait_for<T>(
        &mut self,
        wait: &Wait,
        mut step: impl FnMut(&mut Records) -> Result<Step<T>>,
    ) -> Result<T> {
        if let Step::Ready(answer) = step(self)? {
            return Ok(answer);
        }
        wait.check()?;
        if let Some(fd) = self.fd() {
            // A copy, so that what is read can be stepped meanwhile.
            let fd = fd.try_clone_to_owned().map_err(|source| {
                Error::new(ErrorKind::Io, "wait.failed", "cannot make a wait").with_source(source)
            })?;
            return block_on(fd.as_fd(), wait, || step(self));
        }
        // There is nothing to wait for, but work to do.
        loop {
            if let Step::Ready(answer) = step(self)? {
                return Ok(answer);
            }
            wait.check()?;
        }
    }
}

impl From<Source> for Records {
    fn from(source: Source) -> Records {
        Records { source, kept: None, failed: None }
    }
}

impl From<Vec<RunInfo>> for Records {
    fn from(runs: Vec<RunInfo>) -> Records {
        Source::Runs(runs.into_iter()).into()
    }
}

impl From<TaskEvents> for Records {
    fn from(events: TaskEvents) -> Records {
        Source::Task(Box::new(events)).into()
    }
}

impl Source {
    fn of_bus(bus: &Bus, options: ReadOptions, follow: bool) -> Result<Source> {
        if !follow {
            return Ok(Source::Read(Box::new(bus.read(options)?)));
        }
        let mut known = Known::default();
        let options = match options.without_tail() {
            (options, None) => options,
            (filter, Some(count)) => {
                let mut place = filter.after_or(&Cursor::START);
                for event in bus.read(filter.clone().tail(count))? {
                    known.add(event?, &mut place);
                }
                filter.after(&place)
            }
        };
        let follower = Box::new(bus.follow_with(options, Wait::FOREVER)?);
        Ok(Source::Follow { known, follower })
    }

    /// `switch` ends what waits within a part of work.
    fn step(&mut self, switch: Option<&Cancel>) -> Result<Step<Option<Record>>> {
        Ok(Step::Ready(match self {
            Source::List(list) => list.next(),
            Source::Runs(runs) => runs.next().map(|run| Record::from(&run)),
            Source::Made(records) => records.next(),
            Source::Read(reader) => reader.next().transpose()?.map(|event| Record::from(&event)),
            Source::Follow { known, follower } => match known.step(follower)? {
                Step::Ready(event) => Some(Record::from(&event)),
                Step::Pending => return Ok(Step::Pending),
            },
            Source::Task(events) => match events.step()? {
                Step::Ready(event) => event.map(|event| Record::from(&event)),
                Step::Pending => return Ok(Step::Pending),
            },
            Source::Output(pieces) => match pieces.step()? {
                Step::Ready(record) => record,
                Step::Pending => return Ok(Step::Pending),
            },
            Source::Log(reader) => match reader.step() {
                Step::Ready(line) => Some(Record::from(&line)),
                Step::Pending => return Ok(Step::Pending),
            },
            Source::Items(items) => match items.look() {
                Step::Ready(item) => item.map(|item| match item {
                    Ok(item) => Record::from(&item),
                    Err(error) => Record::from(&error),
                }),
                Step::Pending => return Ok(Step::Pending),
            },
            Source::Work(work) => match work.step(switch)? {
                Step::Ready(done) => done.map(|done| Record::from(&done)),
                Step::Pending => return Ok(Step::Pending),
            },
        }))
    }
}

/// A kept place that a reader reads on from.
#[derive(Debug)]
struct Kept {
    place: NamedCursor,
    /// Behind the last message that was given.
    last: Option<Cursor>,
}

/// What was read before following began: to be given first, and not to be given again.
#[derive(Debug, Default)]
struct Known {
    first: VecDeque<Event>,
    /// Damage behind the last message: it has no place of its own to go on from.
    since: VecDeque<Event>,
}

impl Known {
    fn add(&mut self, event: Event, place: &mut Cursor) {
        match &event {
            Event::Message(message) => {
                place.clone_from(&message.cursor);
                self.since.clear();
            }
            damage => self.since.push_back(damage.clone()),
        }
        self.first.push_back(event);
    }

    fn is_over(&self) -> bool {
        self.first.is_empty() && self.since.is_empty()
    }

    fn step(&mut self, follower: &mut Follower) -> Result<Step<Event>> {
        if let Some(event) = self.first.pop_front() {
            return Ok(Step::Ready(event));
        }
        loop {
            match follower.step()? {
                Step::Ready(event) if self.since.pop_front().is_some_and(|it| it == event) => {}
                step => return Ok(step),
            }
        }
    }
}

#[derive(Debug)]
struct List {
    conductor: Conductor,
    ids: Ids,
    status: Option<String>,
}

#[derive(Debug)]
enum Ids {
    Projects(IntoIter<ProjectId>),
    Tasks(ProjectId, IntoIter<TaskId>),
    Runs(ProjectId, TaskId, IntoIter<RunId>),
}

impl List {
    fn next(&mut self) -> Option<Record> {
        let List { conductor, ids, status } = self;
        let takes = |word: &str| status.as_deref().is_none_or(|status| status == word);
        loop {
            let (record, word) = match ids {
                Ids::Projects(ids) => {
                    let project = ids.next()?;
                    return Some(Record::of_project(&project, &conductor.root().join(&project)));
                }
                Ids::Tasks(project, ids) => {
                    let task = ids.next()?;
                    match conductor.tasks().info(project, &task) {
                        Ok(info) => (Record::from(&info), Some(info.status().as_str().to_owned())),
                        Err(error) if error.code() == "task.not_found" => continue,
                        Err(error) => (Record::unreadable(project, &task, None, &error), None),
                    }
                }
                Ids::Runs(project, task, ids) => {
                    let run = ids.next()?;
                    match conductor.runs().info(project, task, &run) {
                        Ok(info) => (Record::from(&info), Some(info.status().as_str().to_owned())),
                        Err(error) if error.code() == "run.not_found" => continue,
                        Err(error) => (Record::unreadable(project, task, Some(&run), &error), None),
                    }
                }
            };
            // What cannot be read is told whatever is asked for.
            if word.as_deref().is_none_or(takes) {
                return Some(record);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Post;
    use crate::facade::{Options, Settings};
    use std::fs;
    use std::time::Duration;

    fn all(records: &mut Records, field: &str) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(record) = records.next(Wait::NONE).unwrap() {
            texts.push(record.text(field).unwrap_or_default().into_owned());
        }
        texts
    }

    fn settings(options: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::new();
        for (name, value) in options {
            settings.set(name, value).unwrap();
        }
        settings
    }

    #[test]
    fn a_list_tells_what_cannot_be_read_whatever_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        for (run, record) in [("r1", "run_id: r1\nstatus: completed\n"), ("r2", "")] {
            let folder = dir.path().join("p/t/runs").join(run);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("run-info.yaml"), record).unwrap();
        }
        let conductor = Conductor::open(dir.path(), Options::default()).unwrap();
        let list = |options: &[(&str, &str)], field: &str| {
            let plan = settings(options).list().unwrap();
            all(&mut Records::list(&conductor, plan).unwrap(), field)
        };
        assert_eq!(list(&[], "project_id"), ["p"]);
        assert_eq!(list(&[("project", "p")], "task_id"), ["t"]);
        let runs = [("project", "p"), ("task", "t")];
        assert_eq!(list(&runs, "run_id"), ["r1", "r2"]);
        let failed = [("project", "p"), ("task", "t"), ("status", "failed")];
        assert_eq!(list(&failed, "run_id"), ["r2"]);
        assert!(!list(&failed, "error_code")[0].is_empty());
        assert!(settings(&[("task", "t")]).list().is_err());
        assert!(settings(&[("status", "failed")]).list().is_err());
    }

    #[test]
    fn a_tail_goes_on_with_what_comes_and_tells_nothing_twice() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("shop")).unwrap();
        let conductor = Conductor::open(dir.path(), Options::default()).unwrap();
        let bus = conductor.bus("shop").unwrap();
        let post = |text: &str| bus.post(Post::new("FACT", text), Wait::FOREVER).unwrap();
        for text in ["one", "two", "three"] {
            post(text);
        }
        let plan = settings(&[("tail", "2"), ("follow", "true")]).read().unwrap();
        let mut records = Records::read(&bus, plan).unwrap();
        let mut next = |wait: Duration| records.next(wait).map(|record| record.unwrap());
        let body = |record: Record| record.text("body").unwrap().into_owned();
        assert_eq!(body(next(Duration::ZERO).unwrap()), "two");
        assert_eq!(body(next(Duration::ZERO).unwrap()), "three");
        assert_eq!(next(Duration::ZERO).unwrap_err().kind(), ErrorKind::Timeout);
        post("four");
        assert_eq!(body(next(Duration::from_secs(60)).unwrap()), "four");
    }

    #[test]
    fn a_kept_place_is_read_on_from_and_moves_by_a_commit_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("shop")).unwrap();
        let conductor = Conductor::open(dir.path(), Options::default()).unwrap();
        let bus = conductor.bus("shop").unwrap();
        for text in ["one", "two", "three"] {
            bus.post(Post::new("FACT", text), Wait::FOREVER).unwrap();
        }
        let read = |options: &[(&str, &str)]| Records::read(&bus, settings(options).read()?);
        let mailer = [("cursor", "mailer")];
        let mut records = read(&mailer).unwrap();
        records.commit().unwrap();
        for _ in 0..2 {
            records.next(Wait::NONE).unwrap();
        }
        assert_eq!(read(&mailer).unwrap_err().code(), "cursor.busy");
        drop(records);
        let mut records = read(&mailer).unwrap();
        assert_eq!(records.next(Wait::NONE).unwrap().unwrap().text("body").unwrap(), "one");
        records.commit().unwrap();
        drop(records);
        assert_eq!(all(&mut read(&mailer).unwrap(), "body"), ["two", "three"]);
        assert_eq!(all(&mut read(&[("cursor", "other")]).unwrap(), "body").len(), 3);
        for (name, value) in [("after", "start"), ("tail", "1")] {
            let error = read(&[mailer[0], (name, value)]).unwrap_err();
            assert_eq!((error.code(), error.field()), ("option.conflict", Some(name)));
        }
        assert_eq!(read(&[]).unwrap().commit().unwrap_err().code(), "cursor.none");
    }
}
