//! `validate`: whether this machine is ready to start work.

mod network;

use crate::context::Context;
use crate::exit::{self, Failure};
use crate::render::table::{Cell, Table};
use crate::render::{json, problem};
use clap::Args;
use conductor_core::{Conductor, Problem, Severity, Validation};
use network::Reached;
use serde_json::{Value, json};

/// Checks the configuration, the root, the agents and their tokens
///
/// Nothing is started and nothing is changed: the version of an agent's program is what it told when it was
/// first started in the root. The exit code is that of the worst finding: 0 for none, 1
/// for warnings, that of the first error otherwise.
#[derive(Args, Debug)]
pub(crate) struct Validate {
    /// Only this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Warn of every agent without a token, also of those that can log in by themselves
    #[arg(long)]
    check_tokens: bool,
    /// Call the services of the agents and of the webhook
    #[arg(long)]
    check_network: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Validate {
    pub(crate) fn run(self, context: &mut Context) -> Result<u8, Failure> {
        let wish = conductor_core::Validate::default()
            .agent(self.agent.clone())
            .check_tokens(self.check_tokens);
        let found = Conductor::validate(&context.config_sources(), &context.root_sources(), &wish);
        let reached = match self.check_network {
            true => Some(network::call(&found.services)),
            false => None,
        };
        let mut problems = found.problems.clone();
        problems.extend(reached.iter().flatten().filter_map(Reached::problem));
        if self.json {
            json::answer(&mut context.out, &to_json(&found, reached.as_deref(), &problems))?;
        } else {
            print(&found, reached.as_deref(), &problems, context)?;
        }
        Ok(code(&problems))
    }
}

/// The exit code of the worst problem.
fn code(problems: &[Problem]) -> u8 {
    let error = problems.iter().find(|problem| problem.severity == Severity::Error);
    match error {
        Some(error) => error.kind.row().exit_code,
        None if problems.is_empty() => exit::OK,
        None => exit::NO,
    }
}

fn count(problems: &[Problem], severity: Severity) -> usize {
    problems.iter().filter(|problem| problem.severity == severity).count()
}

fn word(worst: Option<Severity>) -> &'static str {
    worst.map_or("ok", Severity::name)
}

fn cell(worst: Option<Severity>) -> Cell {
    let style = match worst {
        None => "done",
        Some(Severity::Warning) => "waiting",
        Some(Severity::Error) => "failed",
    };
    Cell::status(style).with_text(word(worst))
}

fn print(
    found: &Validation,
    reached: Option<&[Reached]>,
    problems: &[Problem],
    context: &mut Context,
) -> Result<(), Failure> {
    let out = &mut context.out;
    let config = found.config.as_ref().map(|path| path.display().to_string());
    let error = |bad: bool| bad.then_some(Severity::Error);
    let mut table = Table::new(["WHAT", "STATUS", "DETAIL"]);
    table.row(vec![
        "config".into(),
        cell(error(!found.config_ok)),
        config.unwrap_or_else(|| "none; the defaults hold".to_owned()).into(),
    ]);
    let root = found.root.as_ref().map(|(root, _)| root.display().to_string());
    let root = root.unwrap_or_else(|| "cannot be used".to_owned());
    table.row(vec!["root".into(), cell(error(found.root.is_none())), root.into()]);
    for agent in &found.agents {
        let program = agent.program.as_ref().map(|path| format!("{}, ", path.display()));
        let version = agent.version.as_ref().map(|version| format!("version {version}, "));
        let (program, version) = (program.unwrap_or_default(), version.unwrap_or_default());
        let detail = format!("{}: {program}{version}token: {}", agent.kind, agent.token);
        table.row(vec![format!("agent {}", agent.name).into(), cell(agent.worst), detail.into()]);
    }
    for reached in reached.into_iter().flatten() {
        let what = format!("service of {}", reached.caller());
        table.row(vec![what.into(), cell(reached.severity()), reached.detail().into()]);
    }
    table.print(out)?;
    if found.agents.is_empty() && found.config_ok {
        out.line("no agents are configured; those on PATH can be named all the same")?;
    }
    let colored = out.is_colored();
    for found in problems {
        for line in problem::lines(found, colored) {
            out.line(&line)?;
        }
    }
    let (errors, warnings) = (count(problems, Severity::Error), count(problems, Severity::Warning));
    let ok = count_ok(found, reached);
    let errors = if errors > 0 { format!(", {errors} ERROR") } else { String::new() };
    Ok(out.line(&format!("Validation: {ok} OK, {warnings} WARNING{errors}"))?)
}

/// How many of the things that were looked at are as they should be.
fn count_ok(found: &Validation, reached: Option<&[Reached]>) -> usize {
    let agents = found.agents.iter().filter(|agent| agent.worst.is_none()).count();
    let services = reached.into_iter().flatten().filter(|r| r.severity().is_none()).count();
    usize::from(found.config_ok) + usize::from(found.root.is_some()) + agents + services
}

fn to_json(found: &Validation, reached: Option<&[Reached]>, problems: &[Problem]) -> Value {
    let agents: Vec<Value> = found
        .agents
        .iter()
        .map(|agent| {
            json!({
                "name": agent.name,
                "type": agent.kind,
                "program": agent.program,
                "version": agent.version,
                "token": agent.token,
                "status": word(agent.worst),
            })
        })
        .collect();
    let services = reached.map(|reached| reached.iter().map(Reached::to_json).collect::<Vec<_>>());
    json!({
        "config": {"path": found.config, "ok": found.config_ok},
        "root": {"path": found.root.as_ref().map(|(root, _)| root), "ok": found.root.is_some()},
        "agents": agents,
        "services": services,
        "problems": problems.iter().map(problem::to_json).collect::<Vec<_>>(),
        "ok": count_ok(found, reached),
        "errors": count(problems, Severity::Error),
        "warnings": count(problems, Severity::Warning),
    })
}
