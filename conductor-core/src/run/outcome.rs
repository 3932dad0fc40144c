//! The words for where a run stands and how it ended.

/// Declares an enum whose variants are words on disk.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// Its word on disk and in every surface.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }

            /// What a word stands for; `None` for a word of somebody else.
            pub fn parse(word: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// How a run ended.
    Outcome {
        /// The agent exited with 0.
        Completed "completed",
        /// The agent exited with another code.
        Failed "failed",
        /// A signal that conductor did not send ended the agent.
        Killed "killed",
        /// A limit on the first byte, on silence or on the whole time ran out.
        TimedOut "timed_out",
        /// The output grew beyond its cap.
        OutputLimit "output_limit",
        /// Somebody stopped it.
        Stopped "stopped",
        /// Nobody saw it end.
        Lost "lost",
        /// The agent could not be started.
        Refused "refused",
    }
}

words! {
    /// Where a run that has not ended stands.
    Phase {
        /// It waits for its turn.
        Queued "queued",
        /// Its agent is being made ready.
        Starting "starting",
        /// Its agent runs.
        Running "running",
        /// Its processes are being ended.
        Stopping "stopping",
    }
}

impl Outcome {
    /// Whether the agent did not get to an end of its own making that is good, and nobody wished that.
    pub const fn is_failure(self) -> bool {
        !matches!(self, Outcome::Completed | Outcome::Stopped)
    }

    /// The status that the older program knows: everything but completed is a failure to it.
    pub const fn status(self) -> Status {
        match self {
            Outcome::Completed => Status::Completed,
            _ => Status::Failed,
        }
    }
}

/// The status of a record, in the words of the older program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// Not ended.
    Running,
    /// Ended well.
    Completed,
    /// Ended otherwise.
    Failed,
    /// The record does not say.
    Unknown,
    /// A word of somebody else, kept as it is.
    Other(Box<str>),
}

impl Status {
    /// What the record's word stands for.
    pub fn parse(word: &str) -> Status {
        match word.trim() {
            "running" => Status::Running,
            "completed" => Status::Completed,
            "failed" => Status::Failed,
            "" | "unknown" => Status::Unknown,
            other => Status::Other(other.into()),
        }
    }

    /// Its word on disk.
    pub fn as_str(&self) -> &str {
        match self {
            Status::Running => "running",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Unknown => "unknown",
            Status::Other(word) => word,
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(*outcome));
        }
        for phase in Phase::ALL {
            assert_eq!(Phase::parse(phase.as_str()), Some(*phase));
        }
        for word in ["running", "completed", "failed", "unknown", "paused"] {
            assert_eq!(Status::parse(word).as_str(), word);
        }
        assert_eq!(Status::parse(" "), Status::Unknown);
        assert_eq!(Outcome::parse("nice"), None);
    }
}
