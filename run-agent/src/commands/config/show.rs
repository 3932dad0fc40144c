//! `config show`: the values that hold, and where each is from.

use crate::context::Context;
use crate::exit::{self, Failure};
use crate::render::table::Table;
use crate::render::{error, json, problem};
use clap::Args;
use conductor_core::{Conductor, Options, Origin, RootOrigin};
use serde_json::{Value, json};

/// Shows every value that holds, and where it is from
///
/// Secrets are masked. Keys without a value, and without one that holds otherwise, are left out.
#[derive(Args, Debug)]
pub(crate) struct Show {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let loaded = Conductor::load_config(&context.config_sources())
            .map_err(conductor_core::Error::from)?;
        let mut sources = context.root_sources();
        sources.configured.clone_from(&loaded.config().storage.runs_dir);
        let conductor = Conductor::open_from(&sources, Options::default())?;
        let root = conductor.root().display().to_string();
        let root_from = root_from(conductor.root_origin());
        if self.json {
            let values: Vec<Value> = loaded
                .values()
                .iter()
                .map(|value| {
                    json!({
                        "key": value.key,
                        "value": serde_json::from_str(&value.json).unwrap_or(Value::Null),
                        "from": origin_json(&value.origin),
                    })
                })
                .collect();
            let answer = json!({
                "path": loaded.path(),
                "root": {"path": root, "from": root_from},
                "values": values,
                "warnings": loaded.warnings().iter().map(problem::to_json).collect::<Vec<_>>(),
            });
            json::answer(&mut context.out, &answer)?;
            return Ok(exit::OK);
        }
        let mut table = Table::new(["KEY", "VALUE", "FROM"]).elastic(&["VALUE"]);
        table.row(vec!["root".into(), root.into(), root_from.into()]);
        for value in loaded.values() {
            let from = match &value.origin {
                Origin::File(Some(place)) => format!("line {}", place.line),
                Origin::File(None) => "file".to_owned(),
                Origin::Variable(name) => name.clone(),
                _ => "default".to_owned(),
            };
            table.row(vec![value.key.into(), value.text.into(), from.into()]);
        }
        match loaded.path() {
            Some(path) => error::notice(&format!("from {}", path.display())),
            None => error::notice("there is no configuration; these are the defaults"),
        }
        for warning in loaded.warnings() {
            for line in problem::lines(warning, false) {
                error::notice(&line);
            }
        }
        table.print(&mut context.out)?;
        Ok(exit::OK)
    }
}

fn root_from(origin: RootOrigin) -> &'static str {
    match origin {
        RootOrigin::Explicit => "--root",
        RootOrigin::Environment => "CONDUCTOR_ROOT",
        RootOrigin::Agent => "JRUN_TASK_FOLDER",
        RootOrigin::Configured => "storage.runs_dir",
        RootOrigin::Home | RootOrigin::HomeOfOlderProgram => "default",
    }
}

fn origin_json(origin: &Origin) -> Value {
    match origin {
        Origin::File(place) => json!({
            "kind": "file",
            "line": place.map(|place| place.line),
            "column": place.map(|place| place.column),
        }),
        Origin::Variable(name) => json!({"kind": "variable", "name": name}),
        _ => json!({"kind": "default"}),
    }
}
