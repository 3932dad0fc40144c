//! What follows from how the attempts of a task ended, and from what they used up.
//!
//! The class of an end decides, never the agent's prose: bad credentials end the loop at once, a usage
//! limit is waited for, all else is tried again after a pause that grows.

use crate::limits;
use crate::run::Outcome;
use crate::time::format_duration;
use crate::usage::ErrorClass;
use std::time::Duration;

/// What all attempts of a loop may use up together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Budget {
    /// Attempts in all; 0 allows none.
    pub(crate) max_attempts: u32,
    /// The time that attempts run.
    pub(crate) max_wall: Option<Duration>,
    /// Tokens.
    pub(crate) max_tokens: Option<u64>,
    /// US dollars.
    pub(crate) max_cost_usd: Option<f64>,
}

/// What the attempts of a loop used up so far, and how they ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// Attempts that count: not those that never began, nor those that a usage limit kept from work.
    pub(crate) attempts: u32,
    /// Attempts that failed one after the other, up to the last.
    pub(crate) failures: u32,
    /// Attempts that never began one after the other, up to the last.
    pub(crate) refusals: u32,
    /// The time that attempts ran.
    pub(crate) wall: Duration,
    /// Tokens, of runs that their agents started in the task too.
    pub(crate) tokens: u64,
    /// US dollars, as far as agents tell.
    pub(crate) cost_usd: f64,
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LastAttempt {
    /// Its outcome.
    pub(crate) outcome: Outcome,
    /// What kept it from its work, as its own stream tells.
    pub(crate) class: Option<ErrorClass>,
    /// Why it failed, in a few words.
    pub(crate) error: Option<String>,
    /// How long ago it ended.
    pub(crate) ago: Duration,
    /// Whether its agent cannot be started at all, so that another attempt could not end otherwise.
    pub(crate) hopeless: bool,
    /// A number of its own, which spreads those who failed at the same moment.
    pub(crate) spread: u8,
}

impl Tally {
    /// Counts an attempt that ended.
    pub(crate) fn count(&mut self, outcome: Outcome, class: Option<ErrorClass>, hopeless: bool) {
        let never_began = outcome == Outcome::Refused && !hopeless;
        self.refusals = if never_began { self.refusals + 1 } else { 0 };
        match (outcome, class) {
            // It is waited for by a hold, and is nobody's failure.
            (_, Some(ErrorClass::UsageLimit)) => return,
            (Outcome::Completed, _) => self.failures = 0,
            _ => self.failures += 1,
        }
        if !never_began {
            self.attempts += 1;
        }
    }
}

impl Budget {
    /// Why nothing more may be started, if nothing may.
    pub(crate) fn used_up(&self, tally: &Tally) -> Option<String> {
        if tally.attempts >= self.max_attempts {
            return Some(format!("max attempts ({}) exceeded", self.max_attempts));
        }
        if let Some(max) = self.max_wall.filter(|max| tally.wall >= *max) {
            let (wall, max) = (format_duration(tally.wall), format_duration(max));
            return Some(format!("its attempts ran for {wall}; max wall time is {max}"));
        }
        if let Some(max) = self.max_tokens.filter(|max| tally.tokens >= *max) {
            return Some(format!("it used {} tokens; max tokens is {max}", tally.tokens));
        }
        let cost = self.max_cost_usd.filter(|max| tally.cost_usd >= *max);
        cost.map(|max| format!("it cost {:.2} USD; max cost is {max:.2} USD", tally.cost_usd))
    }

    /// Whether what an attempt that runs uses up can end it.
    pub(crate) fn bounds_use(&self) -> bool {
        self.max_tokens.is_some() || self.max_cost_usd.is_some()
    }

    /// Why an attempt that runs must end, if it must: with what it used so far, the task used more than
    /// it may.
    pub(crate) fn overrun(&self, tally: &Tally, (tokens, cost_usd): (u64, f64)) -> Option<String> {
        let tokens = tally.tokens.saturating_add(tokens);
        if let Some(max) = self.max_tokens.filter(|max| tokens > *max) {
            return Some(format!("it used {tokens} tokens; max tokens is {max}"));
        }
        let cost = tally.cost_usd + cost_usd;
        let max = self.max_cost_usd.filter(|max| cost > *max)?;
        Some(format!("it cost {cost:.2} USD; max cost is {max:.2} USD"))
    }

    /// The time that the next attempt may run.
    pub(crate) fn wall_left(&self, tally: &Tally) -> Option<Duration> {
        self.max_wall.map(|max| max.saturating_sub(tally.wall))
    }
}

impl LastAttempt {
    /// Why no further attempt can end otherwise, if none can.
    pub(crate) fn is_final(&self) -> Option<String> {
        let why = self.error.as_deref();
        if self.hopeless {
            return Some(why.unwrap_or("the agent could not be started").to_owned());
        }
        (self.class == Some(ErrorClass::BadCredentials)).then(|| {
            format!("bad credentials: {}", why.unwrap_or("the agent's account was refused"))
        })
    }

    /// What is left of the pause before the next attempt.
    pub(crate) fn pause_left(&self, delay: Duration, tally: &Tally) -> Duration {
        let longest = match self.class {
            // A service that is out of order is sat out, also for a night.
            Some(ErrorClass::Transient) => limits::LONGEST_OUTAGE_PAUSE,
            _ => limits::LONGEST_PAUSE,
        };
        pause(delay, longest, tally.failures.max(tally.refusals), self.spread)
            .saturating_sub(self.ago)
    }
}

/// The pause before the next attempt: it doubles with each further attempt that failed, up to
/// `longest`, and is up to a quarter longer by chance, so that those who failed together do not come
/// back together.
fn pause(delay: Duration, longest: Duration, failures: u32, spread: u8) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let pause = delay.saturating_mul(1 << doublings).min(longest.max(delay));
    match doublings {
        0 => pause,
        _ => pause + (pause / 4).mul_f64(f64::from(spread) / 255.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_pause_doubles_spreads_and_has_an_end() {
        let pause = |failures, spread| pause(seconds(1), seconds(60), failures, spread);
        assert_eq!([pause(0, 255), pause(1, 255), pause(2, 0)], [1, 1, 2].map(seconds));
        assert_eq!(pause(2, 255), Duration::from_millis(2500));
        assert_eq!([pause(90, 0), pause(90, 255)], [60, 75].map(seconds));
        assert!((0..=255).all(|spread| (4000..=5000).contains(&pause(3, spread).as_millis())));
        let own = super::pause(seconds(100), seconds(60), 3, 0);
        assert_eq!(own, seconds(100), "a pause that was asked for is never shortened");
    }

    #[test]
    fn only_what_was_an_attempt_is_counted() {
        let mut tally = Tally::default();
        tally.count(Outcome::Failed, None, false);
        tally.count(Outcome::Refused, None, false);
        tally.count(Outcome::Refused, None, false);
        assert_eq!((tally.attempts, tally.failures, tally.refusals), (1, 3, 2));
        tally.count(Outcome::Failed, Some(ErrorClass::UsageLimit), false);
        assert_eq!((tally.attempts, tally.failures, tally.refusals), (1, 3, 0));
        tally.count(Outcome::Completed, None, false);
        assert_eq!((tally.attempts, tally.failures), (2, 0));
        tally.count(Outcome::Refused, None, true);
        assert_eq!((tally.attempts, tally.refusals), (3, 0), "its agent was tried");
    }

    #[test]
    fn each_bound_of_the_budget_tells_itself() {
        let budget = Budget {
            max_attempts: 3,
            max_wall: Some(seconds(60)),
            max_tokens: Some(1000),
            max_cost_usd: Some(2.5),
        };
        let none = Tally::default();
        assert_eq!(budget.used_up(&none), None);
        assert_eq!(budget.wall_left(&Tally { wall: seconds(45), ..none }), Some(seconds(15)));
        for (tally, why) in [
            (Tally { attempts: 3, ..none }, "max attempts (3) exceeded"),
            (
                Tally { wall: seconds(61), ..none },
                "its attempts ran for 1m1s; max wall time is 1m0s",
            ),
            (Tally { tokens: 1000, ..none }, "it used 1000 tokens; max tokens is 1000"),
            (Tally { cost_usd: 2.504, ..none }, "it cost 2.50 USD; max cost is 2.50 USD"),
        ] {
            assert_eq!(budget.used_up(&tally).as_deref(), Some(why));
        }
        assert!(Budget::default().used_up(&none).is_some(), "no attempt is allowed");

        // An attempt that runs counts with what it used so far, and may use up all of it.
        let before = Tally { tokens: 900, cost_usd: 2.0, ..none };
        assert_eq!(budget.overrun(&before, (100, 0.5)), None);
        let why = budget.overrun(&before, (101, 0.5));
        assert_eq!(why.as_deref(), Some("it used 1001 tokens; max tokens is 1000"));
        let why = budget.overrun(&before, (100, 0.51));
        assert_eq!(why.as_deref(), Some("it cost 2.51 USD; max cost is 2.50 USD"));
        assert!(budget.overrun(&before, (u64::MAX, 0.0)).is_some());
        assert!(budget.bounds_use() && !Budget::default().bounds_use());
        assert_eq!(Budget::default().overrun(&before, (u64::MAX, 1e9)), None);
    }

    #[test]
    fn only_what_cannot_get_better_is_final() {
        let last = |class, hopeless| LastAttempt {
            outcome: Outcome::Failed,
            class,
            error: Some("agent reported failure".into()),
            ago: seconds(0),
            hopeless,
            spread: 0,
        };
        assert_eq!(last(None, true).is_final().as_deref(), Some("agent reported failure"));
        let refused = last(Some(ErrorClass::BadCredentials), false).is_final();
        assert_eq!(refused.as_deref(), Some("bad credentials: agent reported failure"));
        for class in [ErrorClass::UsageLimit, ErrorClass::Transient, ErrorClass::Other] {
            assert_eq!(last(Some(class), false).is_final(), None);
        }
    }
}
