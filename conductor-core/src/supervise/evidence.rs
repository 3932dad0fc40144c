//! What stands on disk and in the kernel about one run: its record, its keeper's record, its processes.
//! Nothing is changed here.

use super::output_locks;
use super::stop::stop_wished;
use super::verdict::{Evidence, Verdict, judge};
use crate::error::{Error, ErrorKind, Result};
use crate::fsx::Folder;
use crate::layout::{ATTACHED, KEEPER, PROMPT, RUN_LOCK};
use crate::run::{RunRecord, store};
use crate::sys::{
    self, KeeperIdentity, KeeperMoment, KeeperRecord, KeeperState, Open, ProcessId, Processes,
    may_pass,
};
use crate::time::Timestamp;

/// What is known of a run whether its record can be read or not.
pub(crate) struct Known {
    /// Its record, or what the run's place and its keeper tell.
    pub(crate) record: RunRecord,
    /// Why the record cannot be read.
    pub(crate) damage: Option<Error>,
}

/// Reads the record of a run. Where an agent or a person damaged it, a run of ours is still known by
/// its lock and its keeper: damage must not keep it from being stopped, waited for and finished.
pub(crate) fn known(folder: &Folder) -> Result<Known> {
    let damage = match store::read(folder) {
        Ok(record) => return Ok(Known { record, damage: None }),
        Err(error) => error,
    };
    if !is_damage(&damage) {
        return Err(damage);
    }
    if folder.stat(RUN_LOCK)?.is_none() && !folder.has_file(KEEPER)? {
        return Err(damage);
    }
    let mut record = store::stand_in(folder);
    if let Some(keeper) = keeper_record(folder)? {
        record.start_time = moment(keeper.born_at);
        record.pid = i64::from(keeper.agent.pid);
        record.pgid = record.pid;
    }
    Ok(Known { record, damage: Some(damage) })
}

/// Whether a record that cannot be read never will be; else the next try may read it.
pub(crate) fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::InvalidInput)
}

/// What became of a run that has no outcome yet.
pub(crate) fn observe(folder: &Folder, record: &RunRecord) -> Result<Verdict> {
    observe_with_actors(folder, record).map(|(verdict, _)| verdict)
}

/// As [`observe`], with who acts in it, from the same look.
pub(crate) fn observe_with_actors(
    folder: &Folder,
    record: &RunRecord,
) -> Result<(Verdict, Actors)> {
    let (mut evidence, actors) = look(folder, record)?;
    evidence.locked = folder.is_locked(RUN_LOCK)?;
    Ok((judge(&evidence), actors))
}

/// As [`observe`], for who only tells of the run: it is over once its keeper saw the last of its
/// processes end, although somebody holds the lock to write that down. So a run that was over never
/// seems to live again.
pub(super) fn observe_to_tell(folder: &Folder, record: &RunRecord) -> Result<Verdict> {
    let evidence = gather(folder, record)?;
    let keeper = evidence.keeper.as_ref();
    if keeper.is_some_and(|keeper| keeper.state == KeeperState::Empty) {
        return Ok(judge(&evidence));
    }
    observe(folder, record)
}

/// The evidence for a verdict, without the lock: who finishes the run holds that himself.
pub(super) fn gather(folder: &Folder, record: &RunRecord) -> Result<Evidence> {
    look(folder, record).map(|(evidence, _)| evidence)
}

fn look(folder: &Folder, record: &RunRecord) -> Result<(Evidence, Actors)> {
    let keeper = keeper_record(folder)?;
    let failed = |e| folder.error("look at the processes of", "", e);
    let (actors, agent_alive) = if record.is_supervised() {
        let actors = actors(record, keeper.as_ref()).map_err(failed)?;
        let alive = actors.agent.map(|agent| Processes.is_alive(agent)).transpose();
        (actors, alive.map_err(failed)?.unwrap_or(false))
    } else {
        // The older program left a number alone: somebody having it proves nothing, nobody having
        // it proves the end.
        let alive = match u32::try_from(record.pid) {
            Ok(pid) if pid > 0 => Processes.identify(pid).map_err(failed)?.is_some(),
            _ => false,
        };
        (Actors::default(), alive)
    };
    let unseen = keeper.as_ref().is_some_and(|keeper| keeper.ended.is_none());
    let evidence = Evidence {
        gone: actors.elsewhere && unseen && output_locks::is_gone(folder)?,
        locked: false,
        agent_alive,
        elsewhere: actors.elsewhere,
        ours: record.is_supervised(),
        // The prompt is written before anything else: where it is gone, too, the agent emptied the folder.
        named: record.pid > 0 || (keeper.is_none() && folder.stat(PROMPT)?.is_none()),
        keeper,
        stop_wished: stop_wished(folder)?,
        external: record.is_external(),
    };
    Ok((evidence, actors))
}

/// The processes of a run of ours that may live here and now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Actors {
    pub(crate) keeper: Option<ProcessId>,
    pub(crate) agent: Option<ProcessId>,
    /// They are of another pid namespace (a container), so that their numbers mean nothing here.
    pub(crate) elsewhere: bool,
}

/// Who acts in a run, as its keeper recorded it; as the run's record tells where an agent removed the
/// keeper's. Numbers of another boot or namespace are nobody's: nothing is ever signalled by them.
pub(crate) fn actors(record: &RunRecord, keeper: Option<&KeeperRecord>) -> std::io::Result<Actors> {
    if let Some(keeper) = keeper {
        return actors_of(keeper);
    }
    let (Some(boot), Some(namespace)) = (&record.boot_id, record.pid_ns) else {
        return Ok(Actors::default());
    };
    let process = |pid: Option<u32>, start: Option<u64>| {
        Some(ProcessId { pid: pid.filter(|pid| *pid > 0)?, start: start? })
    };
    let keeper = process(record.keeper_pid, record.keeper_start);
    let agent = process(u32::try_from(record.pid).ok(), record.process_start);
    here(boot.as_bytes(), namespace, Actors { keeper, agent, elsewhere: false })
}

fn actors_of(keeper: &KeeperRecord) -> std::io::Result<Actors> {
    let id = |id: KeeperIdentity| Some(ProcessId { pid: id.pid, start: id.start });
    let actors = Actors { keeper: id(keeper.keeper), agent: id(keeper.agent), elsewhere: false };
    here(&keeper.boot_id, keeper.pid_ns, actors)
}

/// Those whose numbers are of this boot and pid namespace.
fn here(boot: &[u8], namespace: u64, actors: Actors) -> std::io::Result<Actors> {
    if boot != Processes.boot_id()?.as_bytes() {
        return Ok(Actors::default());
    }
    if namespace != Processes.pid_namespace()? {
        return Ok(Actors { elsewhere: true, ..Actors::default() });
    }
    Ok(actors)
}

/// Whether the agent or the keeper of a run lives, by the identity of the processes alone: whatever its
/// record and its locks say. One of another pid namespace may, as long as neither its end is known nor its
/// output is free.
pub(crate) fn processes_live(folder: &Folder) -> Result<bool> {
    let look = |e| folder.error("look at the processes of", "", e);
    let (actors, may_go_on) = match keeper_record(folder)? {
        Some(keeper) => {
            let mut actors = actors_of(&keeper).map_err(look)?;
            actors.agent = actors.agent.filter(|_| keeper.ended.is_none());
            (actors, keeper.ended.is_none() && keeper.state == KeeperState::Released)
        }
        // The agent may have removed it.
        None => match store::read(folder) {
            Ok(record) => (actors(&record, None).map_err(look)?, record.is_open()),
            Err(error) if is_damage(&error) => return Ok(false),
            Err(error) => return Err(error),
        },
    };
    if actors.elsewhere {
        return Ok(may_go_on && !output_locks::is_gone(folder)?);
    }
    let Actors { mut keeper, agent, .. } = actors;
    if folder.stat(ATTACHED)?.is_some() {
        // It is whoever had the run in his terminal, and lives on.
        keeper = None;
    }
    let mut living = keeper.into_iter().chain(agent).map(|process| Processes.is_alive(process));
    living.try_fold(false, |any, alive| Ok(any || alive?)).map_err(look)
}

/// The newest record that the run's keeper wrote; `None` where no keeper wrote one, or where
/// something else took its place.
pub(crate) fn keeper_record(folder: &Folder) -> Result<Option<KeeperRecord>> {
    read_keeper_record(folder, KEEPER)
}

/// What the starter noted beside the keeper's record; `None` where there is no note.
pub(super) fn keeper_note(folder: &Folder) -> Result<Option<String>> {
    let fd = match folder.open_if_exists(KEEPER, Open::Read) {
        Err(error) if error.kind() == ErrorKind::InvalidInput => None,
        fd => fd?,
    };
    let Some(file) = fd.as_ref().and_then(|fd| fd.as_file()) else { return Ok(None) };
    sys::read_keeper_note(file).map_err(|e| folder.error("read", KEEPER, e))
}

/// The newest record in the keeper's file `name`.
pub(super) fn read_keeper_record(folder: &Folder, name: &str) -> Result<Option<KeeperRecord>> {
    let fd = match folder.open_if_exists(name, Open::Read) {
        Err(error) if error.kind() == ErrorKind::InvalidInput => None,
        fd => fd?,
    };
    let Some(file) = fd.as_ref().and_then(|fd| fd.as_file()) else { return Ok(None) };
    sys::read_keeper_file(file).map_err(|e| folder.error("read", name, e))
}

/// What the run's keeper wrote, for people; nothing where no keeper wrote.
pub(crate) fn keeper_facts(folder: &Folder) -> Result<Vec<(&'static str, String)>> {
    let Some(keeper) = keeper_record(folder)? else { return Ok(Vec::new()) };
    let moment = |at| moment(at).to_string();
    let span = |cut: sys::KeeperCut| format!("bytes {} to {}", cut.from, cut.to);
    let mut facts = vec![
        ("state", keeper.state.word().to_owned()),
        ("keeper", keeper.keeper.pid.to_string()),
        ("agent", keeper.agent.pid.to_string()),
        ("born", moment(keeper.born_at)),
    ];
    let ended = keeper.ended.map(|ended| match ended {
        sys::KeeperEnd::Code(code) => format!("code {code}"),
        sys::KeeperEnd::Signal(signal) => format!("signal {signal}"),
    });
    let errno = keeper.errno.and_then(|errno| i32::try_from(errno).ok());
    let told = [
        ("released", keeper.released_at.map(moment)),
        ("ended", ended),
        ("exited", keeper.exited_at.map(moment)),
        ("reason", keeper.reason.map(|reason| reason.word().to_owned())),
        ("error", errno.map(|errno| std::io::Error::from_raw_os_error(errno).to_string())),
        ("killed", (keeper.killed > 0).then(|| keeper.killed.to_string())),
        ("cut out of its output", keeper.cuts[0].map(span)),
        ("cut out of its errors", keeper.cuts[1].map(span)),
    ];
    facts.extend(told.into_iter().filter_map(|(name, value)| Some((name, value?))));
    Ok(facts)
}

/// The keeper that wrote a record, if it is of this boot and pid namespace.
pub(super) fn keeper_of(keeper: &KeeperRecord) -> std::io::Result<Option<ProcessId>> {
    Ok(actors_of(keeper)?.keeper)
}

/// Whether the run's program cannot be executed, as its keeper saw it: not now, and not later.
pub(crate) fn cannot_be_executed(folder: &Folder) -> Result<bool> {
    let Some(keeper) = keeper_record(folder)? else { return Ok(false) };
    let errno = keeper.errno.and_then(|errno| i32::try_from(errno).ok());
    let passes = errno.is_some_and(|errno| may_pass(&std::io::Error::from_raw_os_error(errno)));
    Ok(keeper.state == KeeperState::ExecFailed && !passes)
}

/// A moment as the keeper records it.
pub(crate) fn moment(at: KeeperMoment) -> Timestamp {
    Timestamp::from_unix_nanos(i128::from(at.secs) * 1_000_000_000 + i128::from(at.nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_another_boot_or_namespace_are_nobodys() {
        let own = Processes.own().unwrap();
        let id = KeeperIdentity { pid: own.pid, start: own.start };
        let here = KeeperRecord {
            keeper: id,
            agent: id,
            boot_id: Processes.boot_id().unwrap().as_bytes().try_into().unwrap(),
            pid_ns: Processes.pid_namespace().unwrap(),
            state: KeeperState::Released,
            ended: None,
            errno: None,
            reason: None,
            born_at: KeeperMoment { secs: 1, nanos: 0 },
            released_at: None,
            exited_at: None,
            empty_at: None,
            slept: None,
            killed: 0,
            cuts: [None; 2],
        };
        let record =
            RunRecord::new(&"p".parse().unwrap(), &"t".parse().unwrap(), &"r".parse().unwrap());
        let who = |keeper: &KeeperRecord| actors(&record, Some(keeper)).unwrap();
        assert_eq!((who(&here).keeper, who(&here).agent), (Some(own), Some(own)));
        let before_the_reboot = KeeperRecord { boot_id: [b'0'; 36], ..here };
        assert_eq!((who(&before_the_reboot).keeper, who(&before_the_reboot).agent), (None, None));
        let in_a_container = KeeperRecord { pid_ns: here.pid_ns + 1, ..here };
        assert_eq!((who(&in_a_container).keeper, who(&in_a_container).agent), (None, None));
        assert!(who(&in_a_container).elsewhere);
        assert_eq!(actors(&record, None).unwrap().agent, None, "a record without identities");
    }
}
