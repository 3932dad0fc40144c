//! What a run's starter notes beside the keeper's record, where the older program does not come.
//!
//! The older program rewrites the record of a run that lives and drops the keys that it does not know.
//! Some of them are needed when the run is finished, and stand here too; and what tells from another pid
//! namespace whether the run lives.

use super::evidence::keeper_note;
use super::output_locks::OutputLocks;
use crate::error::Result;
use crate::fsx::Folder;
use crate::run::RunRecord;

/// The keys that are noted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    parser: Option<String>,
    agent_name: Option<String>,
    model: Option<String>,
    resumed_session: Option<String>,
    series: Option<u64>,
    /// The output files that its processes hold locked.
    pub(super) output_locks: Option<OutputLocks>,
}

impl Note {
    /// What is noted of a run with this record.
    pub(super) fn of(record: &RunRecord) -> Note {
        Note {
            parser: record.parser.clone(),
            agent_name: record.agent_name.clone(),
            model: record.model.clone(),
            resumed_session: record.resumed_session.clone(),
            series: record.series,
            output_locks: None,
        }
    }

    /// What stands in the run's folder; nothing where nothing, or nothing whole, stands there.
    pub(super) fn read(run: &Folder) -> Result<Note> {
        let mut note = Note::default();
        for line in keeper_note(run)?.unwrap_or_default().lines() {
            let Some((key, value)) = line.split_once(": ") else { continue };
            let text = || Some(value.to_owned());
            match key {
                "parser" => note.parser = text(),
                "agent_name" => note.agent_name = text(),
                "model" => note.model = text(),
                "resumed_session" => note.resumed_session = text(),
                "series" => note.series = value.parse().ok(),
                "output_locks" => {
                    note.output_locks = value.split_once(' ').and_then(|(stdout, stderr)| {
                        let (stdout, stderr) = (stdout.parse().ok()?, stderr.parse().ok()?);
                        Some(OutputLocks { stdout, stderr })
                    });
                }
                _ => {}
            }
        }
        Ok(note)
    }

    /// As lines. A value that does not fit into one is left out.
    pub(super) fn to_text(&self) -> String {
        let series = self.series.map(|series| series.to_string());
        let locks = self.output_locks.map(|locks| format!("{} {}", locks.stdout, locks.stderr));
        let all = [
            ("series", &series),
            ("output_locks", &locks),
            ("parser", &self.parser),
            ("agent_name", &self.agent_name),
            ("resumed_session", &self.resumed_session),
            ("model", &self.model),
        ];
        let mut text = String::new();
        for (key, value) in all {
            let Some(value) = value else { continue };
            if value.len() <= 200 && !value.contains(char::is_control) {
                text.push_str(&format!("{key}: {value}\n"));
            }
        }
        text
    }

    /// Gives a record back what it lost.
    pub(super) fn restore(self, record: &mut RunRecord) {
        record.parser = record.parser.take().or(self.parser);
        record.agent_name = record.agent_name.take().or(self.agent_name);
        record.model = record.model.take().or(self.model);
        record.resumed_session = record.resumed_session.take().or(self.resumed_session);
        record.series = record.series.or(self.series);
    }
}
