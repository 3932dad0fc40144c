//! Whatever an agent put into its folder: it goes, and nothing outside is touched.

use crate::kit::*;
use conductor_core::GcPolicy;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tree outside the root that nothing may touch.
struct Canary {
    dir: tempfile::TempDir,
    before: BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)>,
}

fn look(path: &Path, found: &mut BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)>) {
    let meta = fs::symlink_metadata(path).unwrap();
    let content = if meta.is_file() { fs::read(path).unwrap() } else { Vec::new() };
    found.insert(path.to_owned(), (meta.mode(), meta.mtime(), meta.mtime_nsec(), content));
    if meta.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            look(&entry.unwrap().path(), found);
        }
    }
}

impl Canary {
    fn new() -> Canary {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("runs/r1")).unwrap();
        fs::write(dir.path().join("runs/r1/run-info.yaml"), "status: completed\n").unwrap();
        fs::write(dir.path().join("file"), "precious").unwrap();
        fs::set_permissions(dir.path().join("file"), fs::Permissions::from_mode(0o640)).unwrap();
        let mut before = BTreeMap::new();
        look(dir.path(), &mut before);
        Canary { dir, before }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn assert_untouched(&self) {
        let mut now = BTreeMap::new();
        look(self.path(), &mut now);
        assert_eq!(now, self.before);
    }
}

fn old_run(root: &Root, run: &str) -> PathBuf {
    root.run("p/t", run, &RunSpec::new("completed", 200))
}

fn all() -> GcPolicy {
    GcPolicy::default().delete_done_tasks(true)
}

/// Collects, and fails unless the run is gone without a trace and the canary as it was.
fn assert_goes(root: &Root, canary: &Canary, run: &Path) {
    let report = root.collect(all());
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert!(!run.exists());
    assert!(root.trash_is_empty());
    canary.assert_untouched();
}

#[test]
fn links_and_hard_links_lead_nowhere() {
    let (root, canary) = (Root::new(), Canary::new());
    let run = old_run(&root, "r1");
    symlink("/", run.join("root")).unwrap();
    symlink(canary.path(), run.join("canary")).unwrap();
    symlink("..", run.join("up")).unwrap();
    symlink(canary.path().join("file"), run.join("output.md")).unwrap();
    fs::create_dir_all(run.join("a/b")).unwrap();
    symlink("/etc/passwd", run.join("a/b/.run.lock")).unwrap();
    fs::hard_link(canary.path().join("file"), run.join("hard")).unwrap();
    assert_goes(&root, &canary, &run);
}

#[test]
fn locks_and_keepers_that_are_none_save_nothing_and_harm_nothing() {
    let (root, canary) = (Root::new(), Canary::new());
    let run = old_run(&root, "r1");
    symlink(canary.path().join("file"), run.join(".run.lock")).unwrap();
    fs::write(run.join(".keeper"), vec![0xff; 4096]).unwrap();
    fs::write(
        run.join("run-info.yaml"),
        fs::read_to_string(run.join("run-info.yaml")).unwrap() + "outcome: completed\n",
    )
    .unwrap();
    assert_goes(&root, &canary, &run);
}

#[test]
fn links_in_place_of_folders_are_not_entered() {
    let (root, canary) = (Root::new(), Canary::new());
    old_run(&root, "r1");
    symlink(canary.path(), root.path().join("q")).unwrap();
    fs::create_dir_all(root.path().join("p")).unwrap();
    symlink(canary.path(), root.path().join("p/linked")).unwrap();
    fs::create_dir_all(root.path().join("p/u")).unwrap();
    fs::write(root.path().join("p/u/DONE"), "").unwrap();
    symlink(canary.path().join("runs"), root.path().join("p/u/runs")).unwrap();
    symlink(canary.path().join("runs/r1"), root.path().join("p/t/runs/r2")).unwrap();
    let run_lock = root.path().join("p/t/.task.lock");
    symlink(canary.path().join("file"), &run_lock).unwrap();
    let policy = all().older_than(std::time::Duration::ZERO);
    let conductor = root.conductor();
    let plan = conductor.gc().plan(policy.clone()).unwrap();
    assert!(errors(&plan).iter().any(|error| error.code() == "path.symlink"));
    let report = conductor.gc().apply(&plan, conductor_core::Wait::FOREVER).unwrap();
    assert!(report.errors.iter().any(|error| error.code() == "path.symlink"));
    assert!(root.path().join("p/u").exists());
    canary.assert_untouched();
    fs::remove_file(run_lock).unwrap();
    root.collect(policy);
    assert!(!root.path().join("p/t/runs/r1").exists());
    canary.assert_untouched();
}

#[test]
fn odd_names_and_other_kinds_of_files_go() {
    let (root, canary) = (Root::new(), Canary::new());
    let run = old_run(&root, "r1");
    for name in [&b"new\nline"[..], b"\xff\xfe", b"-rf", b" ", b"$(reboot)", b"\x1b[31m", b"..."] {
        fs::write(run.join(OsStr::from_bytes(name)), "x").unwrap();
        let mut folder = name.to_vec();
        folder.push(b'd');
        fs::create_dir_all(run.join(OsStr::from_bytes(&folder)).join("x")).unwrap();
    }
    fs::write(run.join("x".repeat(255)), "x").unwrap();
    let pipe = Command::new("mkfifo").arg(run.join("pipe")).status().unwrap();
    assert!(pipe.success());
    let _socket = std::os::unix::net::UnixListener::bind(run.join("s")).unwrap();
    assert_goes(&root, &canary, &run);
}

#[test]
fn folders_without_end_go() {
    let (root, canary) = (Root::new(), Canary::new());
    let run = old_run(&root, "r1");
    // Deeper than a path can name, so step by step.
    let deep = "mkdir -p $(printf 'd/%.0s' $(seq 500)); cd $(printf 'd/%.0s' $(seq 500)); \
                mkdir -p $(printf 'e/%.0s' $(seq 900)); touch e/file";
    let made = Command::new("bash").args(["-c", deep]).current_dir(&run).status().unwrap();
    assert!(made.success());
    assert_goes(&root, &canary, &run);
}

/// The most memory that this process held, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn very_many_files_go() {
    let (root, canary) = (Root::new(), Canary::new());
    let run = old_run(&root, "r1");
    fs::create_dir(run.join("many")).unwrap();
    // A million in the long campaign.
    let count = std::env::var("GC_LONG_FILES").ok().and_then(|count| count.parse().ok());
    let count = count.unwrap_or(20_000);
    for number in 0..count {
        fs::write(run.join(format!("many/{number}")), "").unwrap();
    }
    let before = peak();
    assert_goes(&root, &canary, &run);
    // Names are taken as they come. Other tests run in this process too, so only many names show.
    let more = peak().saturating_sub(before);
    assert!(count < 1_000_000 || more < 64 << 20, "{more} bytes more in memory");
}

/// Runs `run-agent`-free: the test's own program again, as another user, who may not pass modes.
#[test]
fn folders_that_their_owner_may_not_read_go() {
    let (root, canary) = (Root::new(), Canary::new());
    let run = old_run(&root, "r1");
    fs::create_dir_all(run.join("locked/inner/deep")).unwrap();
    fs::write(run.join("locked/inner/deep/file"), "x").unwrap();
    fs::write(run.join("locked/file"), "x").unwrap();
    for (folder, mode) in [("locked/inner/deep", 0o000), ("locked/inner", 0o555), ("locked", 0o000)]
    {
        fs::set_permissions(run.join(folder), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(&run, fs::Permissions::from_mode(0o555)).unwrap();
    if rustix::process::geteuid().is_root() {
        // Modes mean nothing to root: another user collects.
        let owner =
            Command::new("chown").args(["-R", "65534:65534"]).arg(root.path()).status().unwrap();
        assert!(owner.success());
        let me = std::env::current_exe().unwrap();
        // Where the program lies may not be open to that user. Copied by another process: a child that a
        // test beside this one starts would hold a file open that we write, and such a file cannot be run.
        let copy = root.path().join("test-program");
        let copied = Command::new("cp").arg(me).arg(&copy).status().unwrap();
        assert!(copied.success());
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&copy)
            .args(["--exact", "attacks::collect_as_another", "--ignored", "--nocapture"])
            .env("GC_TEST_ROOT", root.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(!run.exists() && root.trash_is_empty());
        canary.assert_untouched();
    } else {
        assert_goes(&root, &canary, &run);
    }
}

#[test]
#[ignore = "a part of another test, which runs it as another user"]
fn collect_as_another() {
    let Some(root) = std::env::var_os("GC_TEST_ROOT") else { return };
    assert!(!rustix::process::geteuid().is_root());
    let options = conductor_core::Options::default();
    let conductor = conductor_core::Conductor::open(root, options).unwrap();
    let plan = conductor.gc().plan(all()).unwrap();
    let report = conductor.gc().apply(&plan, conductor_core::Wait::FOREVER).unwrap();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(report.runs, 1);
}

#[test]
fn what_is_mounted_in_a_run_is_not_touched() {
    let (root, canary) = (Root::new(), Canary::new());
    let run = old_run(&root, "r1");
    fs::create_dir_all(run.join("a/mnt")).unwrap();
    let other = old_run(&root, "r2");
    // In a mount namespace of its own: the same file system, so that its device tells nothing.
    let me = std::env::current_exe().unwrap();
    let script = "mount --bind \"$1\" \"$2\" && mount --bind \"$1\" \"$3\" && \
                  exec \"$4\" --exact attacks::collect_beside_a_mount --ignored --nocapture";
    let output = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", script, "sh"])
        .arg(canary.path())
        .arg(run.join("a/mnt"))
        .arg(&other)
        .arg(me)
        .env("GC_TEST_ROOT", root.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    canary.assert_untouched();
    assert!(run.join("run-info.yaml").exists() && other.join("run-info.yaml").exists());
    // Unmounted with that namespace.
    assert_eq!(root.collect(all()).runs, 2);
}

#[test]
#[ignore = "a part of another test, which runs it beside a mount"]
fn collect_beside_a_mount() {
    let Some(root) = std::env::var_os("GC_TEST_ROOT") else { return };
    let options = conductor_core::Options::default();
    let conductor = conductor_core::Conductor::open(root, options).unwrap();
    let plan = conductor.gc().plan(all()).unwrap();
    assert_eq!(reason(&plan, "r1"), ("keep", "mounted"));
    assert_eq!(reason(&plan, "r2"), ("keep", "mounted"));
    let report = conductor.gc().apply(&plan, conductor_core::Wait::FOREVER).unwrap();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
}
