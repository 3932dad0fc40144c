//! The units of docs/DEPLOYMENT.md are such that systemd takes them.

use conductor_tests::process::{Finished, Program};
use conductor_tests::sandbox::Sandbox;
use conductor_tests::{tools, workspace};
use std::path::Path;

#[test]
fn the_documented_units_are_good() {
    let Some(analyze) = tools::find("systemd-analyze") else { return };
    let sandbox = Sandbox::new();
    let text = std::fs::read_to_string(workspace().join("docs/DEPLOYMENT.md")).unwrap();
    let blocks: Vec<&str> =
        text.split("```ini\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let folder = sandbox.folder("units");
    let mut units = Vec::new();
    for block in &blocks {
        let path = block.lines().next().unwrap().trim_start_matches("# ");
        let unit = folder.join(Path::new(path).file_name().unwrap());
        std::fs::write(&unit, block).unwrap();
        units.push(unit);
    }
    assert_eq!(units.len(), 4, "{units:?}");
    // With the usual KillMode the end of a service would be that of all runs that it started.
    let starts = |block: &&&str| block.contains("ExecStart") && !block.contains(" gc ");
    for block in blocks.iter().filter(starts) {
        assert!(block.contains("\nKillMode=process\n"), "{block}");
    }
    // Where the documented path leads.
    let bin = sandbox.home().join(".cargo/bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_run-agent"), bin.join("run-agent")).unwrap();
    let verify = |units: &[std::path::PathBuf]| -> Finished {
        Program::new(&analyze)
            .env("HOME", sandbox.home())
            .env("XDG_RUNTIME_DIR", sandbox.work())
            .args(["verify", "--user", "--man=no"])
            .args(units)
            .run()
    };
    let good = verify(&units);
    assert!(good.status.success() && good.stderr.is_empty(), "{}", good.stderr);
    // It would say so.
    let bad = folder.join("bad.service");
    std::fs::write(&bad, "[Service]\nExecStart=%h/.cargo/bin/none serve\n").unwrap();
    assert!(!verify(&[bad]).status.success());
}
