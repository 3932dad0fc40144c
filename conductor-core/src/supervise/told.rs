//! A run whose agent told its result and does not exit: ending it, and what is written down of it.
//!
//! The agent's own word stands: whoever ends the run only ends a process that has nothing more to do. A note
//! is made before the signal, so that whoever writes the end down knows why the keeper was asked to stop,
//! and once more when the signal is out. Where its maker died in between, the run may have gone on for hours
//! and ended in another way, which must not be taken for this one.

use super::engine::Engine;
use super::stop::{LONGEST, refuse_foreign, signal, stop_wished};
use super::verdict::{Ending, summary};
use crate::agent::stream::{StreamSummary, TurnEnd};
use crate::error::Result;
use crate::fsx::Folder;
use crate::id::{ProjectId, RunId, TaskId};
use crate::layout::STDOUT;
use crate::run::Outcome;

/// The note, in a run's folder.
const NOTE: &str = ".told";

/// Why a run was ended, or was about to be, although nobody wished it to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    /// How much the agent had printed then, in bytes.
    stdout: u64,
    /// Whether it was asked to end.
    asked: bool,
    why: String,
}

impl Told {
    fn read(run: &Folder) -> Result<Option<Told>> {
        let bytes = run.read_hint(NOTE, LONGEST as u64)?;
        Ok(bytes.and_then(|bytes| Told::parse(std::str::from_utf8(&bytes).ok()?)))
    }

    fn write(&self, run: &Folder) -> Result<()> {
        run.replace_unguarded(NOTE, self.to_text().as_bytes())
    }

    fn to_text(&self) -> String {
        let Told { stdout, asked, why } = self;
        format!("stdout: {stdout}\nasked: {asked}\nwhy: {why}\n")
    }

    fn parse(text: &str) -> Option<Told> {
        let mut lines = text.lines();
        let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(": ");
        let (stdout, asked) = (value("stdout")?.parse().ok()?, value("asked")?.parse().ok()?);
        Some(Told { stdout, asked, why: value("why")?.to_owned() })
    }

    /// Whether it tells of the end of the run, which printed so much in all: it was asked to end, or it
    /// printed nothing since, so that what it told last stands.
    fn is_of(&self, printed: u64) -> bool {
        self.asked || printed == self.stdout
    }
}

fn printed(run: &Folder) -> Result<u64> {
    Ok(run.stat(STDOUT)?.map_or(0, |stat| stat.size))
}

impl Engine {
    /// Asks a run to end whose agent told its result, and does not wait for it; `why` is recorded. `force`
    /// kills at once.
    ///
    /// # Errors
    /// `run.not_ours` for a run that another program started; `run.elsewhere` for one in another pid
    /// namespace. Nothing is recorded then.
    pub(crate) fn end_told_run(
        &self,
        project: &ProjectId,
        task: &TaskId,
        run: &RunId,
        why: &str,
        force: bool,
    ) -> Result<()> {
        let (folder, record) = self.folder_and_record(project, task, run)?;
        refuse_foreign(&folder, &record)?;
        let before = Told::read(&folder)?.filter(|told| told.asked);
        let told = match before.clone() {
            Some(told) => told,
            None => {
                let told = Told { stdout: printed(&folder)?, asked: false, why: why.to_owned() };
                told.write(&folder)?;
                told
            }
        };
        tracing::info!(
            name: "run_told_and_silent", project_id = %project, task_id = %task, run_id = %run,
            reason = why,
        );
        match signal(&folder, &record, &self.marks(project, task, run), force) {
            Ok(true) if before.is_none() => Told { asked: true, ..told }.write(&folder),
            Ok(_) => Ok(()),
            Err(error) => {
                if before.is_none() {
                    // Another end of it must not be taken for this one.
                    let _already_gone = folder.remove_file(NOTE)?;
                }
                Err(error)
            }
        }
    }
}

/// Takes the agent's word for the end of a run that was ended because it had told its result. Why it was
/// ended; `None` where it came to its end otherwise, or where somebody wished it to stop.
pub(super) fn take_its_word(
    folder: &Folder,
    ending: &mut Ending,
    stream: Option<&StreamSummary>,
) -> Result<Option<String>> {
    if !matches!(ending.outcome, Outcome::Stopped | Outcome::Lost) || stop_wished(folder)? {
        return Ok(None);
    }
    let printed = printed(folder)?;
    let Some(Told { why, .. }) = Told::read(folder)?.filter(|told| told.is_of(printed)) else {
        return Ok(None);
    };
    let (outcome, exit_code, error) = match stream.and_then(|stream| stream.turn_end) {
        Some(TurnEnd::Success) => (Outcome::Completed, 0, None),
        Some(TurnEnd::Failure) => (Outcome::Failed, 1, Some(summary(1))),
        // It had begun another turn at the last moment, which was cut off.
        None => return Ok(Some(why)),
    };
    *ending = Ending { outcome, exit_code, signal: None, error, ..ending.clone() };
    Ok(Some(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealOs;
    use std::sync::Arc;

    fn ending(outcome: Outcome) -> Ending {
        let error = Some("nobody saw it end".into());
        Ending { outcome, exit_code: -1, signal: None, error, ended_at: None, slept: None }
    }

    /// What becomes of an end of a run that printed `bytes`, its note being `note`.
    fn word(note: &str, bytes: usize, outcome: Outcome) -> (Outcome, Option<String>) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open_root(Arc::new(RealOs), dir.path()).unwrap();
        std::fs::write(dir.path().join(STDOUT), vec![b'x'; bytes]).unwrap();
        std::fs::write(dir.path().join(NOTE), note).unwrap();
        let stream = StreamSummary { turn_end: Some(TurnEnd::Success), ..StreamSummary::default() };
        let mut ending = ending(outcome);
        let why = take_its_word(&folder, &mut ending, Some(&stream)).unwrap();
        (ending.outcome, why)
    }

    #[test]
    fn a_note_is_of_the_end_that_it_was_made_for() {
        let note = |asked| Told { stdout: 10, asked, why: "it hung".into() }.to_text();
        let its_word = (Outcome::Completed, Some("it hung".to_owned()));
        for outcome in [Outcome::Stopped, Outcome::Lost] {
            assert_eq!(word(&note(true), 10, outcome), its_word);
            // It said something when it was asked to end.
            assert_eq!(word(&note(true), 12, outcome), its_word);
            // Whoever made the note died right after, perhaps.
            assert_eq!(word(&note(false), 10, outcome), its_word);
            // And the run went on: this is another end.
            assert_eq!(word(&note(false), 12, outcome), (outcome, None));
            for other in ["", "it hung", "stdout: x\nasked: true\nwhy: it hung\n"] {
                assert_eq!(word(other, 10, outcome), (outcome, None), "{other:?}");
            }
        }
        let failed = Outcome::Failed;
        assert_eq!(word(&note(true), 10, failed), (failed, None), "it ended by itself");
    }

    #[test]
    fn a_note_comes_back_as_it_was() {
        let told = Told { stdout: 7, asked: true, why: "it told: all".into() };
        assert_eq!(Told::parse(&told.to_text()), Some(told));
    }
}
