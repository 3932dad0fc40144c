//! The dashboard in a real browser: the specifications of `tests/ui`, which node runs and Chromium carries out.

use conductor_tests::{artifacts, tools, workspace};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Those that every submission runs; `.ci/long ui` runs all.
const SHORT: [&str; 3] = ["views", "token", "hostile"];

#[test]
fn the_dashboard_works_in_a_browser() {
    let Some(browser) = Browser::find() else { return };
    for name in SHORT {
        browser.check(&["--test", &format!("specs/{name}.test.js")]);
    }
}

#[test]
fn the_dashboard_is_typed() {
    let Some(browser) = Browser::find() else { return };
    browser.check(&["node_modules/typescript/bin/tsc", "-p", "../../run-agent/ui"]);
}

/// node with what the specifications need.
struct Browser {
    node: PathBuf,
    folder: PathBuf,
    programs: PathBuf,
}

impl Browser {
    fn find() -> Option<Browser> {
        let (node, npm) = (tools::find("node")?, tools::find("npm")?);
        tools::find("chromium")?;
        let folder = workspace().join("tests/ui");
        // The tests of this file run side by side, and one installation at a time is enough for npm.
        static INSTALLING: Mutex<()> = Mutex::new(());
        let installing = INSTALLING.lock();
        if !is_installed(&folder) {
            let mut install = Command::new(npm);
            install.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
            tools::check(install.current_dir(&folder));
        }
        drop(installing);
        let program = artifacts::binary("run-agent", "run-agent");
        artifacts::binary("conductor-tests", "make-root");
        let programs = program.parent().expect("a program lies in a folder").to_owned();
        Some(Browser { node, folder, programs })
    }

    fn check(&self, args: &[&str]) {
        let mut command = Command::new(&self.node);
        command.args(args).current_dir(&self.folder);
        tools::check(command.env("CONDUCTOR_PROGRAMS", &self.programs));
    }
}

/// Whether what is installed is what the lock file names.
fn is_installed(folder: &Path) -> bool {
    let time =
        |name: &str| std::fs::metadata(folder.join(name)).and_then(|file| file.modified()).ok();
    let installed = time("node_modules/.package-lock.json");
    installed.is_some() && installed >= time("package-lock.json")
}
