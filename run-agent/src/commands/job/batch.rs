//! `job batch`: one run for each prompt, one after the other or some at a time.

use crate::context::Context;
use crate::exit::{self, Failure};
use crate::render::error::{self, notice};
use crate::render::json;
use crate::work::drive::End;
use crate::work::drive::wait_for_any;
use crate::work::ending::code_of_wait;
use crate::work::options::{JobOptions, PromptOptions, WorkOptions};
use crate::work::place;
use crate::work::signals::{Asked, Signals};
use crate::work::stopper::{Stopper, Target};
use crate::work::story::ending;
use crate::work::view::tell;
use clap::Args;
use conductor_core::{
    Conductor, Error, JobSpec, Outcome, ProjectId, Record, Result, Run, RunInfo, Step, TaskId,
};
use std::collections::VecDeque;
use std::num::NonZero;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

/// Runs an agent once for each prompt
///
/// Prompts are those of all --prompt, then those of all --prompt-file. Exit code 0 when every run
/// completed, 1 when one did not.
#[derive(Args, Debug)]
pub(crate) struct Batch {
    #[command(flatten)]
    work: WorkOptions,
    /// What to do; may be given again
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = "Work")]
    prompt: Vec<String>,
    /// File that says what to do; may be given again
    #[arg(long, value_name = "FILE", help_heading = "Work")]
    prompt_file: Vec<PathBuf>,
    /// Task of a run, in the order of the prompts: one for each, or none [default: new ones]
    #[arg(long, value_name = "ID", help_heading = "Work")]
    task: Vec<String>,
    /// Go on with the next prompt when a run fails
    #[arg(long, help_heading = "Work")]
    continue_on_fail: bool,
    /// How many run at the same time
    #[arg(long, value_name = "NUMBER", default_value = "1", help_heading = "Work")]
    parallel: NonZero<usize>,
    /// Print one JSON object a line: the record of each run that ended
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// One prompt and where it belongs.
struct Item {
    number: usize,
    task: Option<String>,
    spec: JobSpec,
}

/// An item that runs.
struct Going {
    number: usize,
    run: Run,
    stopper: Stopper,
    /// What another agent may be asked if this one fails; once.
    spec: Option<JobSpec>,
}

impl Batch {
    pub(crate) fn run(mut self, context: &mut Context) -> Result<u8, Failure> {
        let signals = Signals::listen()?;
        let conductor = context.conductor()?;
        let project = self.work.project.as_deref();
        let mut here = place::locate(context, &conductor, project, None)?;
        let project = here.need_project()?;
        place::default_cwd(&mut self.work, &here);
        place::default_parent(&mut self.work, context, &conductor)?;
        let items = self.items(&project)?;
        let count = items.len();
        let mut batch = Running {
            conductor: &conductor,
            context,
            json: self.json,
            go_on: self.continue_on_fail,
            count,
            failed: 0,
            first: None,
        };
        let end = batch.all(items, self.parallel.get(), &signals)?;
        let (failed, first) = (batch.failed, batch.first.take());
        if let Some(End::Asked(_)) = end {
            return Ok(end.map_or(exit::OK, code_of_wait));
        }
        match first {
            Some(first) => {
                notice(&format!("{failed} of {count} batch items failed: {first}"));
                Ok(exit::NO)
            }
            None => Ok(exit::OK),
        }
    }

    /// What is to be run; everything that can be checked at once is.
    fn items(&mut self, project: &ProjectId) -> Result<VecDeque<Item>> {
        let texts = self.prompt.iter().cloned();
        let texts = texts.map(|text| PromptOptions { prompt: Some(text), prompt_file: None });
        let files = self.prompt_file.iter().cloned();
        let files = files.map(|file| PromptOptions { prompt: None, prompt_file: Some(file) });
        let mut prompts: Vec<PromptOptions> = texts.chain(files).collect();
        let (asked, given) = (self.task.len(), prompts.len());
        if given == 0 {
            return Err(Error::invalid("prompt.missing", "prompt", "there is no prompt")
                .with_hint("say what to do with --prompt or --prompt-file, once for each run"));
        }
        if asked != 0 && asked != given {
            return Err(Error::invalid(
                "batch.task_count",
                "task",
                format!("--task count ({asked}) must match prompt count ({given})"),
            )
            .with_hint("name a task for each prompt, or none"));
        }
        for task in &self.task {
            TaskId::new(task)?;
        }
        let mut items = VecDeque::new();
        for (index, prompt) in prompts.iter_mut().enumerate() {
            place::read_prompt(prompt)?;
            let task = self.task.get(index).cloned();
            let options = JobOptions {
                work: self.work.clone(),
                prompt: prompt.clone(),
                task: task.clone(),
                previous_run_id: None,
            };
            items.push_back(Item { number: index + 1, task, spec: options.spec(project.as_str()) });
        }
        Ok(items)
    }
}

/// A batch that goes on, and what came of it so far.
struct Running<'a> {
    conductor: &'a Conductor,
    context: &'a mut Context,
    json: bool,
    go_on: bool,
    count: usize,
    failed: usize,
    first: Option<String>,
}

impl Running<'_> {
    fn all(
        &mut self,
        mut items: VecDeque<Item>,
        parallel: usize,
        signals: &Signals,
    ) -> Result<Option<End>> {
        let mut going: Vec<Going> = Vec::new();
        let mut stopping = false;
        loop {
            while going.len() < parallel && !stopping && self.may_go_on() {
                let Some(item) = items.pop_front() else { break };
                going.extend(self.start(item, signals)?);
            }
            let mut still = Vec::new();
            for one in going {
                match one.run.step()? {
                    Step::Pending => still.push(one),
                    Step::Ready(info) => match self.stand_in(one, stopping, signals)? {
                        Ok(other) => still.push(other),
                        Err(number) => self.over(number, &info),
                    },
                }
            }
            let ended = still.len() < parallel && !items.is_empty();
            going = still;
            if going.is_empty() && (items.is_empty() || stopping || !self.may_go_on()) {
                return Ok(stopping.then_some(End::Asked(Asked::Interrupt)));
            }
            if ended && !stopping && self.may_go_on() {
                continue;
            }
            while let Some(asked) = signals.take() {
                if asked == Asked::Terminate {
                    notice("SIGTERM: what runs goes on, nothing more is started");
                    return Ok(Some(End::Asked(asked)));
                }
                notice(if stopping { "killing" } else { "stopping; Ctrl-C again to kill now" });
                stopping = true;
                for one in &mut going {
                    one.stopper.ask()?;
                }
            }
            if let Some(error) = going.iter().find_map(|one| one.stopper.error()) {
                return Err(error);
            }
            let mut fds: Vec<BorrowedFd<'_>> = going.iter().map(|one| one.run.fd()).collect();
            fds.extend(going.iter().filter_map(|one| one.stopper.fd()));
            fds.push(signals.fd());
            wait_for_any(&fds, None)?;
        }
    }

    fn may_go_on(&self) -> bool {
        self.go_on || self.first.is_none()
    }

    /// Starts an item; one that cannot be started has failed.
    fn start(&mut self, item: Item, signals: &Signals) -> Result<Option<Going>> {
        let Item { number, task, spec } = item;
        match self.conductor.jobs().start(spec.clone(), signals.first()) {
            Ok(run) => Ok(Some(self.going(number, run, Some(spec)))),
            Err(failed) => {
                self.failed += 1;
                let task = task.unwrap_or_else(|| "new".to_owned());
                notice(&format!("batch item {number} (task {task}):"));
                error::note(&failed);
                self.first.get_or_insert_with(|| failed.to_string());
                Ok(None)
            }
        }
    }

    fn going(&self, number: usize, run: Run, spec: Option<JobSpec>) -> Going {
        let target = Target {
            project: run.project().clone(),
            task: run.task().clone(),
            run: Some(run.id().clone()),
        };
        let stopper = Stopper::new(self.conductor, target);
        Going { number, run, stopper, spec }
    }

    /// The run of another agent that stands in for one that failed; the item's number where none does.
    fn stand_in(
        &self,
        mut failed: Going,
        stopping: bool,
        signals: &Signals,
    ) -> Result<std::result::Result<Going, usize>> {
        let number = failed.number;
        let Some(spec) = failed.spec.take().filter(|_| !stopping) else { return Ok(Err(number)) };
        let other = self.conductor.jobs().start_stand_in(&failed.run, spec, signals.first())?;
        let Some(run) = other else { return Ok(Err(number)) };
        notice(&format!("batch item {number}: another agent stands in for one that failed"));
        Ok(Ok(self.going(number, run, None)))
    }

    fn over(&mut self, number: usize, info: &RunInfo) {
        let (count, task) = (self.count, &info.task);
        if info.outcome() == Some(Outcome::Completed) {
            if !self.json {
                let line = format!("batch item {number}/{count} completed: {task}");
                tell(&mut self.context.out, |out| out.line(&line));
            }
        } else {
            self.failed += 1;
            let why = ending("run", info);
            notice(&format!("batch item {number} failed (task {task}): {why}"));
            notice(&format!("  {}", info.folder.display()));
            self.first.get_or_insert(why);
        }
        if self.json {
            tell(&mut self.context.out, |out| json::item(out, &Record::from(info)));
        }
    }
}
