//! Project, task and run are found from where one is; flags win over everything.

use crate::support::*;
use conductor_tests::process::Program;
use conductor_tests::sandbox::Sandbox;
use std::fs;

fn at(sandbox: &Sandbox, folder: &str, line: &str) -> Program {
    cli(sandbox, line).cwd(sandbox.root().join(folder))
}

fn stdout(sandbox: &Sandbox, program: Program) -> String {
    look(sandbox, program, 0).stdout
}

#[test]
fn every_command_that_looks_works_without_flags_inside_a_task() {
    let sandbox = reference();
    let task = format!("shop/{CART}");
    let run = format!("{task}/runs/{CART_RUN}");
    for folder in [&task, &run] {
        let list = stdout(&sandbox, at(&sandbox, folder, "list"));
        assert!(list.contains(CART_RUN) && list.contains("RUN_ID"), "{list}");
        let status = stdout(&sandbox, at(&sandbox, folder, "status"));
        assert!(status.contains(CART) && !status.contains(FIX_BUG), "{status}");
        let watch = stdout(&sandbox, at(&sandbox, folder, "watch"));
        assert!(watch.ends_with("All tasks complete.\n"), "{watch}");
        let output = stdout(&sandbox, at(&sandbox, folder, "output -f --file stdout"));
        assert!(output.contains(CART_RUN), "{output}");
        let bus = stdout(&sandbox, at(&sandbox, folder, "bus read"));
        assert!(bus.contains("starting root agent"), "{bus}");
        let found = stdout(&sandbox, at(&sandbox, folder, "bus discover"));
        let path = sandbox.root().join(&task).join("TASK-MESSAGE-BUS.md");
        assert_eq!(found.trim_end(), path.display().to_string());
    }
    let older = format!("{task}/runs/20261123-1501210000-10229-1");
    let output = stdout(&sandbox, at(&sandbox, &older, "output --file stdout"));
    assert!(output.contains("10229-1"), "the run whose folder it is: {output}");
}

#[test]
fn inside_a_project_the_project_is_meant_and_its_newest_run() {
    let sandbox = reference();
    let list = stdout(&sandbox, at(&sandbox, "shop", "list"));
    assert!(list.contains("TASK_ID") && list.contains(CART));
    assert!(stdout(&sandbox, at(&sandbox, "shop", "status")).contains(FIX_BUG));
    assert!(stdout(&sandbox, at(&sandbox, "shop", "bus read")).contains("project scope"));
    let output = stdout(&sandbox, at(&sandbox, "shop", "output --json"));
    assert!(output.contains(FIX_BUG_RUN), "{output}");
    assert_eq!(stdout(&sandbox, at(&sandbox, "shop", "list --all")), "shop\n");
    let all = stdout(&sandbox, at(&sandbox, "shop", "status --all"));
    assert_eq!(all, "Nothing lives or waits in the root.\n");
}

#[test]
fn a_linked_source_folder_means_its_project() {
    let sandbox = reference();
    let source = sandbox.folder("source/deep");
    let top = source.parent().unwrap();
    fs::write(top.join("Cargo.toml"), "").unwrap();
    write(&sandbox, "shop/home-folders.md", format!("project_root: {}\n", top.display()));
    let list = stdout(&sandbox, cli(&sandbox, "list").cwd(&source));
    assert!(list.contains(CART), "{list}");
    assert!(stdout(&sandbox, cli(&sandbox, "bus read").cwd(&source)).contains("project scope"));

    // A link that cannot be read is told by whoever needs it.
    write(&sandbox, "shop/home-folders.md", "project_root: [\n");
    let lost = look(&sandbox, cli(&sandbox, "watch").cwd(&source), 20);
    assert!(lost.stderr.contains("home-folders.md"), "{}", lost.stderr);
}

#[test]
fn inside_an_agent_its_variables_say_what_is_meant_and_flags_win() {
    let sandbox = reference();
    let task = sandbox.root().join("shop").join(CART);
    let agent = |line: &str| {
        cli(&sandbox, line)
            .env_remove("CONDUCTOR_ROOT")
            .env("JRUN_TASK_FOLDER", &task)
            .env("JRUN_RUN_FOLDER", task.join("runs").join(CART_RUN))
            .env("JRUN_MESSAGE_BUS", task.join("TASK-MESSAGE-BUS.md"))
            .env("JRUN_PROJECT_ID", "shop")
            .env("JRUN_TASK_ID", CART)
            .env("JRUN_ID", CART_RUN)
    };
    assert!(stdout(&sandbox, agent("list")).contains(CART_RUN));
    assert!(stdout(&sandbox, agent("output --json")).contains(CART_RUN));
    assert!(stdout(&sandbox, agent("bus read")).contains("starting root agent"));
    let flags = stdout(&sandbox, agent("bus read --project shop"));
    assert!(flags.contains("project scope"), "the project's bus, and not the agent's: {flags}");
    let other = stdout(&sandbox, agent(&format!("status --task {FIX_BUG}")));
    assert!(other.contains(FIX_BUG) && !other.contains(CART));

    // Another root is no business of this agent.
    let elsewhere = sandbox.folder("elsewhere/p/t");
    let root = elsewhere.parent().unwrap().parent().unwrap();
    assert_eq!(stdout(&sandbox, agent("list").arg("--root").arg(root)), "p\n");
    let lost = look(&sandbox, agent("output").arg("--root").arg(root), 2);
    assert!(lost.stderr.starts_with("Error: no project is named"), "{}", lost.stderr);
}

#[test]
fn the_root_is_the_one_that_was_named() {
    let sandbox = reference();
    let root = sandbox.root();
    let copy = sandbox.folder("other");
    fs::create_dir(copy.join("only-here")).unwrap();
    let named = cli(&sandbox, "list --root").arg(&copy);
    assert_eq!(stdout(&sandbox, named), "only-here\n");
    let before = run_agent(&sandbox, ["--root"]).arg(&copy).arg("list");
    assert_eq!(stdout(&sandbox, before), "only-here\n");

    let home = || cli(&sandbox, "list").env_remove("CONDUCTOR_ROOT");
    let none = home().run().expect_code(10);
    assert!(none.stderr.contains("there is no root at"), "{}", none.stderr);
    fs::create_dir(sandbox.home().join(".run-agent")).unwrap();
    std::os::unix::fs::symlink(&root, sandbox.home().join(".run-agent/runs")).unwrap();
    assert_eq!(home().succeed().stdout, "shop\n");
    fs::create_dir_all(sandbox.home().join("run-agent/fresh")).unwrap();
    assert_eq!(home().succeed().stdout, "fresh\n");
}
