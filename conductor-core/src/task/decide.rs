//! What a task needs next, decided from facts alone.
//!
//! The loop keeps no state of its own between two looks: each decision is made from what stands on
//! disk. So a driver that dies anywhere leaves nothing behind that the next one could get wrong.

use super::policy::{Budget, LastAttempt, Tally};
use super::questions::OnQuestion;
use crate::id::{MessageId, RunId, TaskId};
use crate::limits;
use std::time::Duration;

/// Everything that the decision depends on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    /// The reason of a wish to stop that is meant for this loop.
    pub(crate) stop: Option<String>,
    /// Whether `DONE` stands.
    pub(crate) done: bool,
    /// Dependencies that are not ready.
    pub(crate) blocked_by: Vec<TaskId>,
    /// Whether an attempt still lives.
    pub(crate) attempt: bool,
    /// The tokens and the US dollars that it used so far, as far as it told.
    pub(crate) running: (u64, f64),
    /// What the attempts of this series used up so far.
    pub(crate) tally: Tally,
    /// How the last attempt of this series ended.
    pub(crate) last: Option<LastAttempt>,
    /// Runs that agents of this task started and that still live.
    pub(crate) children: Vec<RunId>,
    /// For how long the children have been waited for.
    pub(crate) waited_for_children: Duration,
    /// Questions of this loop without an answer.
    pub(crate) questions: Vec<MessageId>,
    /// For how long the oldest of them has been asked.
    pub(crate) asked_for: Duration,
    /// Why the last try to start an attempt came to nothing, if it did, and how long ago.
    pub(crate) trouble: Option<Trouble>,
    /// What the judge says of the `DONE` that stands; `None` where there is no judge.
    pub(crate) judgement: Option<Judgement>,
}

/// Something outside of the task keeps an attempt from being started, and may pass: no descriptors, no
/// memory, no space.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trouble {
    /// What it is, in a few words.
    pub(crate) what: String,
    /// How long ago it was met.
    pub(crate) ago: Duration,
    /// How often in a row.
    pub(crate) times: u32,
}

/// The bounds of a loop.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bounds {
    /// What all attempts may use up together.
    pub(crate) budget: Budget,
    /// The pause between two attempts.
    pub(crate) restart_delay: Duration,
    /// How long a finished task waits for children.
    pub(crate) child_wait: Duration,
    /// The completion check: a program and its arguments; empty for none.
    pub(crate) verify: Vec<String>,
    /// How long it may take.
    pub(crate) verify_timeout: Duration,
    /// What the next attempt does about an open question.
    pub(crate) on_question: OnQuestion,
    /// How long it waits where it does; zero is no limit.
    pub(crate) question_timeout: Duration,
}

/// What the judge says of a `DONE` that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It was not asked.
    Wanted,
    /// It is at work.
    Running,
    /// The work is done.
    Passed,
    /// The work is not done; why.
    Failed(String),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    /// Start an attempt.
    Start,
    /// End the attempt that lives, because a stop is wished or a limit was passed; why.
    StopAttempt(String),
    /// Begin the completion check.
    Check,
    /// End the completion check that runs, because a stop is wished.
    StopCheck,
    /// Set `DONE` aside, which failed its check; why.
    Reject(String),
    /// Wait, and look again when something happened.
    Wait(WaitFor),
    /// The loop is over.
    End(End),
}

/// What a task waits for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WaitFor {
    /// The attempt that lives.
    Attempt,
    /// Other tasks.
    Dependencies(Vec<TaskId>),
    /// Answers to these questions, for at most this long where there is a limit.
    Answers(Vec<MessageId>, Option<Duration>),
    /// The pause between two attempts, this long.
    Delay(Duration),
    /// That what kept an attempt from being started passes, this long before the next try.
    Trouble(String, Duration),
    /// The completion check.
    Check,
    /// Runs that agents of this task started, for at most this long.
    Children(Vec<RunId>, Duration),
}

/// How a loop ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// `DONE` stands.
    Done,
    /// A limit was reached, or no further attempt can succeed; why.
    GaveUp(String),
    /// Somebody wished it; why.
    Stopped(String),
}

/// Decides what a task needs next.
pub(crate) fn decide(facts: &Facts, bounds: &Bounds) -> Next {
    if facts.attempt {
        let overrun = || bounds.budget.overrun(&facts.tally, facts.running);
        return match facts.stop.clone().or_else(overrun) {
            Some(why) => Next::StopAttempt(why),
            None => Next::Wait(WaitFor::Attempt),
        };
    }
    if let Some(reason) = &facts.stop {
        if facts.judgement == Some(Judgement::Running) {
            return Next::StopCheck;
        }
        return Next::End(End::Stopped(reason.clone()));
    }
    if facts.done {
        let left = bounds.child_wait.saturating_sub(facts.waited_for_children);
        if !facts.children.is_empty() && !left.is_zero() {
            return Next::Wait(WaitFor::Children(facts.children.clone(), left));
        }
        return match &facts.judgement {
            None | Some(Judgement::Passed) => Next::End(End::Done),
            Some(Judgement::Wanted) => Next::Check,
            Some(Judgement::Running) => Next::Wait(WaitFor::Check),
            Some(Judgement::Failed(why)) => Next::Reject(why.clone()),
        };
    }
    if !facts.blocked_by.is_empty() {
        return Next::Wait(WaitFor::Dependencies(facts.blocked_by.clone()));
    }
    if let Some(why) = facts.last.as_ref().and_then(LastAttempt::is_final) {
        return Next::End(End::GaveUp(why));
    }
    if let Some(why) = bounds.budget.used_up(&facts.tally) {
        return Next::End(End::GaveUp(why));
    }
    if facts.tally.refusals >= limits::MAX_REFUSALS {
        let why = facts.last.as_ref().and_then(|last| last.error.as_deref()).unwrap_or("no reason");
        let times = facts.tally.refusals;
        return Next::End(End::GaveUp(format!("{times} attempts in a row never began: {why}")));
    }
    if bounds.on_question == OnQuestion::Wait && !facts.questions.is_empty() {
        let limit = Some(bounds.question_timeout).filter(|limit| !limit.is_zero());
        let left = limit.map(|limit| limit.saturating_sub(facts.asked_for));
        if left != Some(Duration::ZERO) {
            return Next::Wait(WaitFor::Answers(facts.questions.clone(), left));
        }
    }
    if let Some(last) = &facts.last {
        let left = last.pause_left(bounds.restart_delay, &facts.tally);
        if !left.is_zero() {
            return Next::Wait(WaitFor::Delay(left));
        }
    }
    if let Some(trouble) = &facts.trouble {
        let pause = Duration::from_secs(1 << trouble.times.saturating_sub(1).min(6));
        let left = pause.min(limits::LONGEST_PAUSE).saturating_sub(trouble.ago);
        if !left.is_zero() {
            return Next::Wait(WaitFor::Trouble(trouble.what.clone(), left));
        }
    }
    Next::Start
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Outcome;
    use crate::usage::ErrorClass;

    fn after(attempts: u32, failures: u32) -> Tally {
        Tally { attempts, failures, ..Tally::default() }
    }

    fn bounds() -> Bounds {
        Bounds {
            budget: Budget { max_attempts: 3, max_tokens: Some(10), ..Budget::default() },
            restart_delay: Duration::from_secs(1),
            child_wait: Duration::from_secs(300),
            verify: Vec::new(),
            verify_timeout: Duration::from_secs(600),
            on_question: OnQuestion::Wait,
            question_timeout: Duration::from_secs(60),
        }
    }

    fn run() -> RunId {
        RunId::new("r1").unwrap()
    }

    fn question() -> MessageId {
        MessageId::new("MSG-1").unwrap()
    }

    fn ended(outcome: Outcome, ago: u64) -> Option<LastAttempt> {
        let ago = Duration::from_secs(ago);
        let error = Some("why".into());
        Some(LastAttempt { outcome, class: None, error, ago, hopeless: false, spread: 0 })
    }

    #[test]
    fn each_row_of_the_table() {
        let stop = || Some("enough".to_owned());
        let task = TaskId::new("other").unwrap();
        let none = Facts::default();
        let table = [
            ("fresh", none.clone(), Next::Start),
            (
                "alive",
                Facts { attempt: true, done: true, ..none.clone() },
                Next::Wait(WaitFor::Attempt),
            ),
            (
                "alive, stop wished",
                Facts { attempt: true, stop: stop(), running: (99, 0.0), ..none.clone() },
                Next::StopAttempt("enough".into()),
            ),
            (
                "alive, and the task used more than it may",
                Facts {
                    attempt: true,
                    done: true,
                    tally: Tally { tokens: 4, ..after(1, 0) },
                    running: (7, 0.0),
                    ..none.clone()
                },
                Next::StopAttempt("it used 11 tokens; max tokens is 10".into()),
            ),
            (
                "stop wins over done and over the next attempt",
                Facts { stop: stop(), done: true, ..none.clone() },
                Next::End(End::Stopped("enough".into())),
            ),
            (
                "done, even at the limit and after a failure",
                Facts {
                    done: true,
                    tally: after(3, 3),
                    last: ended(Outcome::Failed, 0),
                    ..none.clone()
                },
                Next::End(End::Done),
            ),
            (
                "done, children live",
                Facts {
                    done: true,
                    children: vec![run()],
                    waited_for_children: Duration::from_secs(100),
                    ..none.clone()
                },
                Next::Wait(WaitFor::Children(vec![run()], Duration::from_secs(200))),
            ),
            (
                "done, children outlived the patience",
                Facts {
                    done: true,
                    children: vec![run()],
                    waited_for_children: Duration::from_secs(300),
                    ..none.clone()
                },
                Next::End(End::Done),
            ),
            (
                "done, the check not made",
                Facts { done: true, judgement: Some(Judgement::Wanted), ..none.clone() },
                Next::Check,
            ),
            (
                "done, the check runs",
                Facts { done: true, judgement: Some(Judgement::Running), ..none.clone() },
                Next::Wait(WaitFor::Check),
            ),
            (
                "done, and the check says so",
                Facts { done: true, judgement: Some(Judgement::Passed), ..none.clone() },
                Next::End(End::Done),
            ),
            (
                "done, and the check says no, also after the last attempt",
                Facts {
                    done: true,
                    tally: after(3, 0),
                    judgement: Some(Judgement::Failed("no".into())),
                    ..none.clone()
                },
                Next::Reject("no".into()),
            ),
            (
                "stop wished while the check runs",
                Facts {
                    done: true,
                    stop: stop(),
                    judgement: Some(Judgement::Running),
                    ..none.clone()
                },
                Next::StopCheck,
            ),
            (
                "blocked",
                Facts { blocked_by: vec![task.clone()], ..none.clone() },
                Next::Wait(WaitFor::Dependencies(vec![task])),
            ),
            (
                "just ended",
                Facts { tally: after(1, 0), last: ended(Outcome::Completed, 0), ..none.clone() },
                Next::Wait(WaitFor::Delay(Duration::from_secs(1))),
            ),
            (
                "rested",
                Facts { tally: after(2, 0), last: ended(Outcome::Failed, 1), ..none.clone() },
                Next::Start,
            ),
            (
                "failed again and again: the pause doubles",
                Facts { tally: after(2, 3), last: ended(Outcome::Failed, 1), ..none.clone() },
                Next::Wait(WaitFor::Delay(Duration::from_secs(3))),
            ),
            (
                "failed very often: the pause has an end",
                Facts { tally: after(2, 90), last: ended(Outcome::Failed, 1), ..none.clone() },
                Next::Wait(WaitFor::Delay(limits::LONGEST_PAUSE - Duration::from_secs(1))),
            ),
            (
                "asked, and nobody answered",
                Facts {
                    tally: after(1, 0),
                    questions: vec![question()],
                    asked_for: Duration::from_secs(20),
                    ..none.clone()
                },
                Next::Wait(WaitFor::Answers(vec![question()], Some(Duration::from_secs(40)))),
            ),
            (
                "asked, and waited long enough",
                Facts {
                    tally: after(1, 0),
                    questions: vec![question()],
                    asked_for: Duration::from_secs(60),
                    ..none.clone()
                },
                Next::Start,
            ),
            (
                "out of attempts",
                Facts { tally: after(3, 0), last: ended(Outcome::Failed, 1), ..none.clone() },
                Next::End(End::GaveUp("max attempts (3) exceeded".into())),
            ),
            (
                "could not be started: no second try can help",
                Facts {
                    tally: after(1, 0),
                    last: ended(Outcome::Refused, 9)
                        .map(|last| LastAttempt { hopeless: true, ..last }),
                    ..none.clone()
                },
                Next::End(End::GaveUp("why".into())),
            ),
            (
                "bad credentials: another attempt would be refused as well",
                Facts {
                    tally: after(1, 1),
                    last: ended(Outcome::Failed, 9).map(|last| LastAttempt {
                        class: Some(ErrorClass::BadCredentials),
                        ..last
                    }),
                    ..none.clone()
                },
                Next::End(End::GaveUp("bad credentials: why".into())),
            ),
            (
                "the account is spent",
                Facts { tally: Tally { tokens: 11, ..after(1, 0) }, ..none.clone() },
                Next::End(End::GaveUp("it used 11 tokens; max tokens is 10".into())),
            ),
            (
                "it never began, again and again",
                Facts {
                    tally: Tally { refusals: limits::MAX_REFUSALS, ..after(0, 0) },
                    last: ended(Outcome::Refused, 9),
                    ..none.clone()
                },
                Next::End(End::GaveUp("20 attempts in a row never began: why".into())),
            ),
            (
                "no descriptors were left a moment ago",
                Facts {
                    trouble: Some(Trouble {
                        what: "too many open files".into(),
                        ago: Duration::from_secs(1),
                        times: 3,
                    }),
                    ..none.clone()
                },
                Next::Wait(WaitFor::Trouble("too many open files".into(), Duration::from_secs(3))),
            ),
            (
                "its starter died: that is not the agent's fault",
                Facts { tally: after(1, 0), last: ended(Outcome::Refused, 9), ..none.clone() },
                Next::Start,
            ),
        ];
        for (name, facts, next) in table {
            assert_eq!(decide(&facts, &bounds()), next, "{name}");
        }
    }

    #[test]
    fn no_attempt_is_allowed_where_the_bound_is_zero() {
        let bounds = Bounds { budget: Budget::default(), ..bounds() };
        assert!(matches!(decide(&Facts::default(), &bounds), Next::End(End::GaveUp(_))));
    }
}
