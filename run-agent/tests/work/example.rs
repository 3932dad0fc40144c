//! The example that the README starts with.

use crate::support::run_agent;
use conductor_tests::sandbox::Sandbox;
use std::fs;
use std::path::Path;

#[test]
fn a_folder_is_indexed_over_several_attempts() {
    let sandbox = Sandbox::new();
    let source = sandbox.folder("source");
    for (path, text) in [
        ("one/a.rs", "fn main() {}\n"),
        ("one/b.md", "two words\n"),
        ("two/deep/c.toml", "x = 1\ny = 2\n"),
        ("two/ignored.bin", "\0"),
        ("three/d.sh", "true\n"),
        (".hidden/e.md", "no\n"),
    ] {
        let path = source.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/shell/index-folder.sh");
    let program = run_agent(&sandbox, ["task", "--project", "demo", "--task", "index"]);
    let program = program.args(["--agent", "shell", "--restart-delay", "10ms", "--prompt-file"]);
    let text = program.arg(script).cwd(&source).succeed().stdout;
    for part in [
        "one: 2 files",
        "two: given to a run of its own",
        "RUN_START  child run ",
        "two: 1 files",
        "demo/index: done after 3 attempts",
        "4 files, ",
        "| one | 2 |",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(fs::read_dir(sandbox.root().join("demo/index/runs")).unwrap().count(), 4);
    assert!(sandbox.root().join("demo/index/DONE").is_file());
}
