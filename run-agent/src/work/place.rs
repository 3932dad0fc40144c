//! Where work belongs: its project, the folder it starts in, the run whose agent asks for it.

use super::options::{PromptOptions, WorkOptions};
use crate::context::Context;
use conductor_core::{Conductor, Error, ErrorKind, Location, Named, PROMPT_SIZE, Result, RunId};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Where the work belongs that somebody asks for here.
pub(crate) fn locate(
    context: &Context,
    conductor: &Conductor,
    project: Option<&str>,
    task: Option<&str>,
) -> Result<Location> {
    let named = Named::default().project(project).task(task);
    conductor.locate(&named, &context.around())
}

/// Says where the agent starts, where nobody said it: in the source folder that told the project,
/// else in the current folder.
pub(crate) fn default_cwd(work: &mut WorkOptions, here: &Location) {
    if work.cwd.is_none() {
        work.cwd = here.source_folder.clone().or_else(|| std::env::current_dir().ok());
    }
}

/// Says whose work it is, where an agent of this root asks for it and lives.
pub(crate) fn default_parent(
    work: &mut WorkOptions,
    context: &Context,
    conductor: &Conductor,
) -> Result<()> {
    if work.parent_run_id.is_none() {
        let asks = asking_run(context, conductor)?;
        work.parent_run_id = asks.map(|run| run.to_string());
    }
    Ok(())
}

/// The run whose agent this process works for, where it is one of this root and lives.
pub(crate) fn asking_run(context: &Context, conductor: &Conductor) -> Result<Option<RunId>> {
    // The current folder tells where a person is, not who asks.
    let mut around = context.around();
    around.cwd = None;
    let asks = conductor.locate(&Named::default(), &around)?;
    let (Some(project), Some(task), Some(run)) = (asks.project, asks.task, asks.run) else {
        return Ok(None);
    };
    // A terminal that an agent opened long ago still has its variables.
    match conductor.runs().info(&project, &task, &run) {
        Ok(info) => Ok(Some(run).filter(|_| info.alive == Some(true))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a prompt that comes on the standard input.
pub(crate) fn read_prompt(prompt: &mut PromptOptions) -> Result<()> {
    if prompt.prompt_file.as_deref() != Some(Path::new("-")) {
        return Ok(());
    }
    let mut bytes = Vec::new();
    let path = PathBuf::from("standard input");
    std::io::stdin()
        // One byte more than is accepted: the library refuses it.
        .take(PROMPT_SIZE + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::io("read the prompt from", &path, e).with_field("prompt_file"))?;
    let text = String::from_utf8(bytes).map_err(|source| {
        let what = "the prompt on the standard input is not UTF-8";
        Error::invalid("prompt.not_utf8", "prompt_file", what).with_source(source)
    })?;
    prompt.prompt_file = None;
    prompt.prompt = Some(text);
    Ok(())
}
