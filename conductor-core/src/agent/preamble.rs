//! The text in front of an agent's prompt: where it is, how to report, how to finish.

use super::environment::RunContext;
use std::fmt::Write as _;

/// The whole content of `prompt.md`: the preamble, a rule, and the prompt.
///
/// The lines `JRUN_...=`, `Write output.md to ...` and the one that names `DONE` are relied on by
/// agents. A run that somebody else's agent started gets no section on completion, unless it is an
/// attempt of a task of its own: the `DONE` file belongs to its parent. Without a `run-agent` to call, the sections that teach it are left out.
pub fn preamble(context: &RunContext, prompt: &str) -> String {
    let mut text = String::with_capacity(prompt.len() + 2048);
    head(&mut text, context);
    if let Some(run_agent) = &context.run_agent {
        text.push_str(BUS);
        // A login shell sets the search path anew.
        let _infallible = write!(
            text,
            "A shell that does not find run-agent finds it here: {}\n\n",
            run_agent.display(),
        );
        sub_agents(&mut text, context);
    }
    if context.parent_run.is_none() || context.is_attempt {
        completion(&mut text, context);
    }
    text.push_str("---\n\n");
    text.push_str(prompt.trim());
    text.push('\n');
    text
}

fn head(text: &mut String, context: &RunContext) {
    let task = context.task_folder.display();
    let run = context.run_folder.display();
    // Writing to a String cannot fail.
    let _infallible = write!(
        text,
        "JRUN_TASK_FOLDER={task}\nJRUN_RUN_FOLDER={run}\nJRUN_PROJECT_ID={}\nJRUN_TASK_ID={}\nJRUN_ID={}\n",
        context.project, context.task, context.run,
    );
    if let Some(parent) = &context.parent_run {
        let _infallible = writeln!(text, "JRUN_PARENT_ID={parent}");
    }
    let _infallible = write!(
        text,
        "JRUN_MESSAGE_BUS={}\nWrite output.md to {run}/output.md\n\n",
        context.bus.display(),
    );
}

const BUS: &str = "\
## Message bus

Tell others what you do; they read it while you work:

    run-agent bus post --type PROGRESS --body \"what you are doing\"
    run-agent bus post --type FACT --body \"a result worth keeping\"
    run-agent bus post --type DECISION --body \"what you decided, and why\"
    run-agent bus post --type ERROR --body \"what failed\"

Types: FACT, PROGRESS, DECISION, ERROR, QUESTION, INFO. The bus of this task is found through
JRUN_MESSAGE_BUS; no path is needed.

";

fn sub_agents(text: &mut String, context: &RunContext) {
    let _infallible = write!(
        text,
        "\
## Sub-agents

Give a part of the work to an agent of its own, and run several at the same time where the parts do
not depend on each other:

    run-agent job --project \"$JRUN_PROJECT_ID\" --task \"$JRUN_TASK_ID\" \\
      --parent-run-id \"$JRUN_ID\" --agent {} --prompt \"the part\"

  1. ASSESS how large the work is.
  2. DECOMPOSE it at its natural seams.
  3. EXECUTE the parts, in parallel where possible.
  4. SYNTHESIZE their results.

",
        context.agent,
    );
}

fn completion(text: &mut String, context: &RunContext) {
    let _infallible = write!(
        text,
        "\
## Completion

When all of the work is done, create the file: {}/DONE
Until it exists you are started again, to go on where the files show that you stopped.

",
        context.task_folder.display(),
    );
}

#[cfg(test)]
mod tests {
    use super::super::environment::tests::context;
    use super::*;

    #[test]
    fn the_lines_that_agents_rely_on_stand() {
        let text = preamble(&context(), "  Do it.\n\n");
        for line in [
            "finds it here: /opt/bin/run-agent\n",
            "JRUN_TASK_FOLDER=/root/shop/fix\n",
            "JRUN_RUN_FOLDER=/root/shop/fix/runs/r1\n",
            "JRUN_PROJECT_ID=shop\n",
            "JRUN_TASK_ID=fix\n",
            "JRUN_ID=r1\n",
            "JRUN_MESSAGE_BUS=/root/shop/fix/TASK-MESSAGE-BUS.md\n",
            "Write output.md to /root/shop/fix/runs/r1/output.md\n",
            "create the file: /root/shop/fix/DONE\n",
        ] {
            assert!(text.contains(line), "{line}");
        }
        assert!(!text.contains("JRUN_PARENT_ID"));
        assert!(text.ends_with("---\n\nDo it.\n"));
    }

    #[test]
    fn a_child_is_not_told_to_finish_its_parents_task() {
        let mut context = context();
        context.parent_run = Some(crate::RunId::new("r0").unwrap());
        context.is_attempt = false;
        let text = preamble(&context, "x");
        assert!(text.contains("JRUN_PARENT_ID=r0\n"));
        assert!(!text.contains("/DONE"));
    }

    #[test]
    fn an_attempt_of_a_task_that_an_agent_started_is_told_how_to_finish_it() {
        let mut context = context();
        context.parent_run = Some(crate::RunId::new("r0").unwrap());
        assert!(preamble(&context, "x").contains("/DONE"));
    }

    #[test]
    fn without_a_run_agent_none_is_taught() {
        let mut context = context();
        context.run_agent = None;
        let text = preamble(&context, "x");
        assert!(!text.contains("run-agent"));
        assert!(text.contains("/DONE"));
    }
}
