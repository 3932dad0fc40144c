//! What became of a run, judged from evidence alone.
//!
//! The evidence is the keeper's own record, the lock that the keeper holds while anything of the run
//! lives, the identity of the agent's process, and the run's record. No evidence is changed here.

use crate::run::Outcome;
use crate::sys::{KeeperEnd, KeeperMoment, KeeperReason, KeeperRecord, KeeperState};

/// Everything that is known of a run whose record has no outcome yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// The newest record that the keeper wrote.
    pub(crate) keeper: Option<KeeperRecord>,
    /// Whether somebody holds the run's lock: its starter, its keeper, or who finishes it.
    pub(crate) locked: bool,
    /// Whether the agent's process lives, by number, start and boot.
    pub(crate) agent_alive: bool,
    /// Whether its processes are of a pid namespace other than ours, whose numbers mean nothing here.
    pub(crate) elsewhere: bool,
    /// Whether nothing of one of another namespace lives, as the locks of its output tell.
    pub(crate) gone: bool,
    /// Whether the run's record was written by conductor and not by the older program.
    pub(crate) ours: bool,
    /// Whether the record names the agent's process, so that it was about to be released; or nothing is
    /// left that could, so that somebody emptied the run's folder.
    pub(crate) named: bool,
    /// Whether somebody wished it to end.
    pub(crate) stop_wished: bool,
    /// Whether it follows a process that is not its own, whose exit code it never learns.
    pub(crate) external: bool,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Its keeper or its starter is at work.
    Supervised,
    /// The agent lives although its keeper died: nobody enforces limits.
    Adopted,
    /// It may live, and is left alone: a run of the older program whose process number is in use, or
    /// one of another pid namespace whose keeper is gone while its output is still held.
    PossiblyAlive,
    /// It is over.
    Over(Ending),
}

/// The end of a run, before it is written down.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    /// As in a shell: 128 + n for death by signal n; -1 when nobody knows.
    pub(crate) exit_code: i32,
    pub(crate) signal: Option<i32>,
    /// Why it failed, in a few words.
    pub(crate) error: Option<String>,
    /// When, where the keeper saw it.
    pub(crate) ended_at: Option<KeeperMoment>,
    /// For how many seconds the machine slept meanwhile.
    pub(crate) slept: Option<u32>,
}

impl Ending {
    fn unseen(outcome: Outcome, error: &str) -> Ending {
        Ending {
            outcome,
            exit_code: -1,
            signal: None,
            error: Some(error.into()),
            ended_at: None,
            slept: None,
        }
    }
}

/// Judges a run that has no outcome yet.
pub(crate) fn judge(evidence: &Evidence) -> Verdict {
    if evidence.locked {
        return Verdict::Supervised;
    }
    let never_began = |why| Verdict::Over(never_began(evidence, why));
    let Some(keeper) = &evidence.keeper else {
        return match (evidence.ours, evidence.agent_alive) {
            (true, true) => Verdict::Adopted,
            // Its agent may live, and what would tell is gone.
            (true, false) if evidence.named && evidence.elsewhere => Verdict::PossiblyAlive,
            // The keeper's file is gone, and with it the end.
            (true, false) if evidence.named => Verdict::Over(lost(evidence)),
            (true, false) => {
                never_began("the program that started it ended before its agent began")
            }
            (false, true) => Verdict::PossiblyAlive,
            (false, false) => Verdict::Over(lost(evidence)),
        };
    };
    if let Some(end) = keeper.ended {
        let ending = seen(end, keeper);
        return Verdict::Over(if evidence.external { of_external(ending) } else { ending });
    }
    // The keeper writes `released` right after the agent is.
    let began = match keeper.state {
        KeeperState::Released => true,
        KeeperState::Born => evidence.named,
        _ => false,
    };
    if evidence.elsewhere && began && !evidence.gone {
        return Verdict::PossiblyAlive;
    }
    if evidence.agent_alive {
        return Verdict::Adopted;
    }
    match keeper.state {
        KeeperState::NeverStarted => {
            never_began("the program that started it ended before its agent was released")
        }
        KeeperState::ExecFailed => Verdict::Over(refused(keeper.errno)),
        KeeperState::Born if !evidence.named => {
            never_began("its keeper ended before the agent was released")
        }
        _ => Verdict::Over(lost(evidence)),
    }
}

/// The end of a run whose agent was never released.
fn never_began(evidence: &Evidence, why: &str) -> Ending {
    let reason = evidence.keeper.as_ref().and_then(|keeper| keeper.reason);
    if evidence.stop_wished || reason == Some(KeeperReason::Stopped) {
        return Ending::unseen(Outcome::Stopped, "stopped before its agent began");
    }
    Ending::unseen(Outcome::Refused, why)
}

/// The end of a run that nobody saw.
fn lost(evidence: &Evidence) -> Ending {
    if evidence.stop_wished {
        return Ending::unseen(Outcome::Stopped, "stopped after its keeper had died");
    }
    if evidence.elsewhere {
        let why = "nobody saw it end: its container is gone, as nothing holds its output any more";
        return Ending::unseen(Outcome::Lost, why);
    }
    Ending::unseen(Outcome::Lost, "nobody saw it end")
}

fn refused(errno: Option<u32>) -> Ending {
    let why = errno.and_then(|errno| i32::try_from(errno).ok()).map_or_else(
        || "unknown error".to_owned(),
        |errno| std::io::Error::from_raw_os_error(errno).to_string(),
    );
    Ending::unseen(Outcome::Refused, &format!("the agent could not be started: {why}"))
}

/// An end that the keeper saw.
fn seen(end: KeeperEnd, keeper: &KeeperRecord) -> Ending {
    // What the kernel gives fits: codes have eight bits, signals seven.
    let small = |number: u32| i32::try_from(number).unwrap_or(-1);
    let (exit_code, signal) = match end {
        KeeperEnd::Code(code) => (small(code), None),
        KeeperEnd::Signal(signal) => (128 + small(signal), Some(small(signal))),
    };
    let (outcome, error) = match (keeper.reason, end) {
        (Some(KeeperReason::Stopped), _) => (Outcome::Stopped, Some("stopped".into())),
        (Some(KeeperReason::FirstByte | KeeperReason::Idle | KeeperReason::Total), _) => {
            (Outcome::TimedOut, Some("timed out".into()))
        }
        (Some(KeeperReason::Output), _) => {
            (Outcome::OutputLimit, Some("it wrote more than it may".into()))
        }
        (_, KeeperEnd::Code(0)) => (Outcome::Completed, None),
        (_, KeeperEnd::Code(_)) => (Outcome::Failed, Some(summary(exit_code))),
        (_, KeeperEnd::Signal(signal)) => {
            (Outcome::Killed, Some(format!("agent killed by signal {signal}")))
        }
    };
    Ending { outcome, exit_code, signal, error, ended_at: keeper.exited_at, slept: keeper.slept }
}

/// The end of a run that followed a process to its end: the code is that of who followed it. In the words
/// of the older program.
fn of_external(ending: Ending) -> Ending {
    match ending.outcome {
        Outcome::Completed => {
            let error = Some("adopted process exited; exit code unavailable".into());
            Ending { exit_code: -1, error, ..ending }
        }
        _ => ending,
    }
}

/// What an exit code says, in the words that users of the older program know.
fn summary(code: i32) -> String {
    match code {
        1 => "agent reported failure".into(),
        2 => "agent usage error".into(),
        137 => "agent killed (OOM or signal)".into(),
        143 => "agent terminated (SIGTERM)".into(),
        code => format!("agent exited with code {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{KeeperIdentity, KeeperMoment};

    fn keeper(state: KeeperState) -> KeeperRecord {
        let id = KeeperIdentity { pid: 1, start: 1 };
        KeeperRecord {
            keeper: id,
            agent: id,
            boot_id: [b'0'; 36],
            pid_ns: 1,
            state,
            ended: None,
            errno: (state == KeeperState::ExecFailed).then_some(2),
            reason: None,
            born_at: KeeperMoment { secs: 1, nanos: 0 },
            released_at: None,
            exited_at: None,
            empty_at: None,
            slept: None,
            killed: 0,
            cuts: [None; 2],
        }
    }

    fn with(state: KeeperState) -> Evidence {
        Evidence { keeper: Some(keeper(state)), ours: true, ..Evidence::default() }
    }

    fn ended(end: KeeperEnd, reason: KeeperReason) -> Evidence {
        let it =
            KeeperRecord { ended: Some(end), reason: Some(reason), ..keeper(KeeperState::Exited) };
        Evidence { keeper: Some(it), ours: true, named: true, ..Evidence::default() }
    }

    #[test]
    fn the_sleep_of_the_machine_comes_with_the_end() {
        let mut evidence = ended(KeeperEnd::Code(0), KeeperReason::Exit);
        evidence.keeper.iter_mut().for_each(|keeper| keeper.slept = Some(3600));
        let Verdict::Over(ending) = judge(&evidence) else { panic!("it is over") };
        assert_eq!(ending.slept, Some(3600));
    }

    #[test]
    fn the_exit_code_of_a_process_that_was_only_followed_is_not_known() {
        let over = |end, reason| {
            let evidence = Evidence { external: true, ..ended(end, reason) };
            let Verdict::Over(ending) = judge(&evidence) else { panic!("it is over") };
            (ending.outcome, ending.exit_code, ending.error.unwrap_or_default())
        };
        let (outcome, code, error) = over(KeeperEnd::Code(0), KeeperReason::Exit);
        assert_eq!((outcome, code), (Outcome::Completed, -1));
        assert!(error.contains("exit code unavailable"), "{error}");
        // Who followed it failed, which says nothing of the process.
        assert_eq!(over(KeeperEnd::Code(3), KeeperReason::Exit).0, Outcome::Failed);
        assert_eq!(over(KeeperEnd::Signal(9), KeeperReason::Exit).0, Outcome::Killed);
    }

    #[test]
    fn each_kind_of_evidence_has_its_verdict() {
        use KeeperState::{Born, ExecFailed, NeverStarted, Released};
        let none = Evidence { ours: true, ..Evidence::default() };
        let theirs = Evidence::default();
        let afar = |state| Evidence { elsewhere: true, ..with(state) };
        let table = [
            ("locked", Evidence { locked: true, ..with(NeverStarted) }, Err(Verdict::Supervised)),
            ("starter died first", none.clone(), Ok(Outcome::Refused)),
            ("stopped first", Evidence { stop_wished: true, ..none.clone() }, Ok(Outcome::Stopped)),
            ("keeper's file removed", Evidence { named: true, ..none.clone() }, Ok(Outcome::Lost)),
            (
                "keeper's file removed, agent lives",
                Evidence { named: true, agent_alive: true, ..none },
                Err(Verdict::Adopted),
            ),
            ("theirs, gone", theirs.clone(), Ok(Outcome::Lost)),
            (
                "theirs, a number",
                Evidence { agent_alive: true, ..theirs },
                Err(Verdict::PossiblyAlive),
            ),
            ("keeper died unreleased", with(Born), Ok(Outcome::Refused)),
            ("perhaps released", Evidence { named: true, ..with(Born) }, Ok(Outcome::Lost)),
            ("keeper died", with(Released), Ok(Outcome::Lost)),
            (
                "stopped then",
                Evidence { stop_wished: true, ..with(Released) },
                Ok(Outcome::Stopped),
            ),
            ("alone", Evidence { agent_alive: true, ..with(Released) }, Err(Verdict::Adopted)),
            ("in a container", afar(Released), Err(Verdict::PossiblyAlive)),
            ("its container is gone", Evidence { gone: true, ..afar(Released) }, Ok(Outcome::Lost)),
            (
                "perhaps released in a container",
                Evidence { named: true, ..afar(Born) },
                Err(Verdict::PossiblyAlive),
            ),
            ("never released in a container", afar(Born), Ok(Outcome::Refused)),
            (
                "in a container, keeper's file removed",
                Evidence { keeper: None, named: true, ..afar(Released) },
                Err(Verdict::PossiblyAlive),
            ),
            (
                "it ended in a container",
                Evidence { elsewhere: true, ..ended(KeeperEnd::Code(0), KeeperReason::Exit) },
                Ok(Outcome::Completed),
            ),
            ("starter died", with(NeverStarted), Ok(Outcome::Refused)),
            ("no program", Evidence { named: true, ..with(ExecFailed) }, Ok(Outcome::Refused)),
            ("good", ended(KeeperEnd::Code(0), KeeperReason::Exit), Ok(Outcome::Completed)),
            ("bad", ended(KeeperEnd::Code(3), KeeperReason::Exit), Ok(Outcome::Failed)),
            ("killed", ended(KeeperEnd::Signal(9), KeeperReason::Exit), Ok(Outcome::Killed)),
            ("stopped", ended(KeeperEnd::Code(0), KeeperReason::Stopped), Ok(Outcome::Stopped)),
            ("too much", ended(KeeperEnd::Code(0), KeeperReason::Output), Ok(Outcome::OutputLimit)),
            ("idle", ended(KeeperEnd::Signal(15), KeeperReason::Idle), Ok(Outcome::TimedOut)),
        ];
        for (name, evidence, expected) in table {
            match (judge(&evidence), expected) {
                (Verdict::Over(ending), Ok(outcome)) => {
                    assert_eq!(ending.outcome, outcome, "{name}")
                }
                (verdict, Err(expected)) => assert_eq!(verdict, expected, "{name}"),
                (verdict, Ok(_)) => panic!("{name}: {verdict:?}"),
            }
        }
    }
}
