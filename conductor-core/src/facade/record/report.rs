//! What whole looks found, as named fields: a bus, the usage, the configuration, this machine.

use super::Record;
use crate::bus::{CheckReport, Finding, Rotation};
use crate::config::{ConfigValue, LoadedConfig, Origin, Problem, Severity};
use crate::error::Error;
use crate::facade::usage::{UsageBy, UsageReport};
use crate::facade::validate::{AgentCheck, Validation};
use serde_json::Value;
use std::path::PathBuf;

impl From<&Rotation> for Record {
    fn from(rotation: &Rotation) -> Record {
        let mut record = Record::default();
        let (result, archive) = match rotation {
            Rotation::Done { archive } => ("done", Some(archive)),
            Rotation::Empty => ("empty", None),
            Rotation::OlderWriter => ("older_writer", None),
        };
        record.put("result", result);
        record.put_path("archive", archive);
        record
    }
}

impl From<&CheckReport> for Record {
    fn from(report: &CheckReport) -> Record {
        let mut record = Record::default();
        record.put("messages", report.messages);
        record.put("files", report.files);
        record.put("bytes", report.bytes);
        record.put("last_seq", report.last_seq);
        record.put("damaged", report.is_damaged());
        record.put_all("findings", report.findings.iter().map(Record::from));
        record
    }
}

impl From<&Finding> for Record {
    fn from(finding: &Finding) -> Record {
        let mut record = Record::default();
        record.put("kind", finding.kind.as_str());
        record.put_path("path", Some(&finding.path));
        record.put("offset", finding.offset);
        record.put("len", finding.len);
        record.put("text", finding.text.as_str());
        record.put("damage", finding.kind.is_damage());
        record
    }
}

impl UsageReport {
    /// The sums of the groups, and of all, as named fields.
    pub fn record(&self, by: UsageBy) -> Record {
        let mut record = Record::default();
        record.put("by", by.as_str());
        record.put_all("sums", self.by(by).iter().map(Record::from));
        record.put_record("total", Record::from(&self.total()));
        record.put_all("damage", self.damage.iter().map(Record::of_damage));
        record
    }
}

impl From<&LoadedConfig> for Record {
    fn from(loaded: &LoadedConfig) -> Record {
        let mut record = Record::default();
        record.put_known("path", loaded.path().map(|path| path.to_string_lossy()));
        record.put_all("values", loaded.values().iter().map(Record::from));
        record.put_all("warnings", loaded.warnings().iter().map(Record::from));
        record
    }
}

impl From<&ConfigValue> for Record {
    fn from(value: &ConfigValue) -> Record {
        let mut record = Record::default();
        record.put("key", value.key.as_str());
        // It is JSON; what is none would be a text.
        let json = serde_json::from_str(&value.json);
        record.put("value", json.unwrap_or_else(|_| Value::from(value.text.as_str())));
        let mut from = Record::default();
        match &value.origin {
            Origin::Default => from.put("kind", "default"),
            Origin::File(place) => {
                from.put("kind", "file");
                from.put_known("line", place.map(|place| place.line));
                from.put_known("column", place.map(|place| place.column));
            }
            Origin::Variable(name) => {
                from.put("kind", "variable");
                from.put("name", name.as_str());
            }
        }
        record.put_record("from", from);
        record
    }
}

impl From<&Problem> for Record {
    fn from(problem: &Problem) -> Record {
        let mut record = Record::default();
        record.put("severity", problem.severity.name());
        record.put("kind", problem.kind.name());
        record.put("code", problem.code);
        record.put("message", problem.message.as_str());
        record.put_known("hint", problem.hint.as_deref());
        record.put_path("path", problem.path.as_ref());
        record.put_known("line", problem.line);
        record.put_known("column", problem.column);
        record.put_known("field", problem.field.as_deref());
        record
    }
}

impl From<&Validation> for Record {
    fn from(found: &Validation) -> Record {
        let mut record = Record::default();
        let place = |path: Option<&PathBuf>, ok: bool| {
            let mut place = Record::default();
            place.put_path("path", path);
            place.put("ok", ok);
            place
        };
        let root = found.root.as_ref().map(|(root, _)| root);
        let count =
            |severity| found.problems.iter().filter(|problem| problem.severity == severity).count();
        record.put_record("config", place(found.config.as_ref(), found.config_ok));
        record.put_record("root", place(root, root.is_some()));
        record.put_all("agents", found.agents.iter().map(Record::from));
        record.put_all("problems", found.problems.iter().map(Record::from));
        record.put("errors", count(Severity::Error));
        record.put("warnings", count(Severity::Warning));
        record
    }
}

impl From<&AgentCheck> for Record {
    fn from(agent: &AgentCheck) -> Record {
        let mut record = Record::default();
        record.put("name", agent.name.as_str());
        record.put("type", agent.kind.as_str());
        record.put_path("program", agent.program.as_ref());
        record.put_known("version", agent.version.as_deref());
        record.put("token", agent.token.as_str());
        record.put("status", agent.worst.map_or("ok", Severity::name));
        record
    }
}

impl Record {
    /// Something that could not be read.
    pub(super) fn of_damage(error: &Error) -> Record {
        let mut record = Record::default();
        record.put("error", error.to_string());
        record.put("error_code", error.code());
        record.put_known("error_path", error.path().map(|path| path.to_string_lossy()));
        record
    }

    fn put_path(&mut self, name: &str, path: Option<&PathBuf>) {
        self.put_known(name, path.map(|path| path.to_string_lossy()));
    }

    /// A list of groups of fields, also where there are none: that nothing was found is known.
    pub(super) fn put_all(&mut self, name: &str, records: impl Iterator<Item = Record>) {
        let records: Vec<Value> = records.map(|record| Value::Object(record.0)).collect();
        self.put(name, records);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{names, of_the_vocabulary};
    use super::*;
    use crate::bus::FindingKind;
    use crate::config::Variables;
    use crate::vocabulary::About;
    use crate::{Conductor, Options, Post, RootSources, Validate, Wait, Why};
    use std::borrow::Cow;

    fn assert_all(about: About, record: &Record) {
        assert_eq!(names(record, about), of_the_vocabulary(about), "{about:?}");
    }

    #[test]
    fn what_is_found_of_a_bus_has_the_names_of_the_vocabulary() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("shop")).unwrap();
        let conductor = Conductor::open(dir.path(), Options::default()).unwrap();
        let bus = conductor.bus("shop").unwrap();
        assert_eq!(
            Record::from(&bus.rotate(Wait::FOREVER).unwrap()).to_json(),
            r#"{"result":"empty"}"#
        );
        bus.post(Post::new("FACT", "x"), Wait::FOREVER).unwrap();
        assert_all(About::Rotation, &Record::from(&bus.rotate(Wait::FOREVER).unwrap()));
        let mut report = bus.check().unwrap();
        let record = Record::from(&report);
        assert_all(About::BusCheck, &record);
        assert_eq!((record.int("messages"), record.int("damaged")), (Some(1), Some(0)));
        let finding = Finding {
            kind: FindingKind::Gap,
            path: "/bus".into(),
            offset: 1,
            len: 0,
            text: "x".into(),
        };
        assert_all(About::BusFinding, &Record::from(&finding));
        report.findings.push(finding);
        let record = Record::from(&report);
        assert_eq!((record.int("damaged"), record.int("findings.0.damage")), (Some(1), Some(1)));
    }

    #[test]
    fn sums_of_nothing_are_known_to_be_nothing() {
        let record = UsageReport::default().record(UsageBy::Day);
        assert_all(About::UsageReport, &record);
        assert_eq!(record.count("sums"), 0);
        assert_eq!(record.int("total.runs"), Some(0));
        assert_eq!(record.text("total.cost_usd"), None);
    }

    #[test]
    fn the_configuration_and_the_machine_have_the_names_of_the_vocabulary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.yaml");
        let text =
            "agents:\n  mine:\n    type: claude\n    token: hush\ndefaults:\n  agent: mine\n";
        std::fs::write(&path, text).unwrap();
        let loaded = LoadedConfig::read(&path, &Variables::default()).unwrap();
        let record = Record::from(&loaded);
        assert_all(About::Config, &record);
        assert!(!record.to_json().contains("hush"));
        let values = loaded.values();
        let value = values.iter().find(|value| value.key == "defaults.agent").unwrap();
        let value = Record::from(value);
        assert_eq!(value.text("value").map(Cow::into_owned).as_deref(), Some("mine"));
        assert_eq!(value.int("from.line"), Some(6));
        let known = of_the_vocabulary(About::ConfigValue);
        let seen = names(&value, About::ConfigValue);
        assert!(seen.iter().all(|name| known.contains(&name.as_str())), "{seen:?}");

        let sources = Conductor::config_sources(Some(path));
        let root = RootSources { explicit: Some(dir.path().into()), ..RootSources::default() };
        let found = Conductor::validate(&sources, &root, &Validate::default());
        let record = Record::from(&found);
        assert_all(About::Validation, &record);
        assert!(record.count("agents") > 0);
        let mut agent = found.agents[0].clone();
        (agent.program, agent.version) = (Some("/x".into()), Some("1.2".into()));
        assert_all(About::AgentCheck, &Record::from(&agent));
        let mut problem = Problem::of_error(Severity::Error, &Error::invalid("x.y", "z", "no"));
        (problem.hint, problem.path) = (Some("do".into()), Some("/x".into()));
        (problem.line, problem.column) = (Some(1), Some(2));
        assert_all(About::Problem, &Record::from(&problem));
    }

    #[test]
    fn why_a_run_stands_so_is_told_besides_the_run() {
        let info = super::super::tests::full_run();
        let evidence = vec![("a".to_owned(), "b".to_owned())];
        let why = Why { info, because: "x".into(), evidence, next: "y".into() };
        let seen = names(&Record::from(&why), About::Why);
        for name in of_the_vocabulary(About::Why) {
            assert!(seen.contains(&name.to_owned()), "{name}");
        }
    }
}
