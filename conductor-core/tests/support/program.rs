//! Programs for tests: agents, and those that a server could be exchanged for.

use parking_lot::Mutex;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// What a program does when it is tried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Does {
    Works,
    CrashesAtStart,
    FailsItsTest,
    HangsInItsTest,
    TellsNoVersion,
}

/// Makes a small real program at `path` that says it has this version.
pub fn program(path: &Path, version: &str, does: Does) {
    let (who, test) = match does {
        Does::Works => (format!("return puts(\"run-agent {version}\") < 0;"), "return 0;"),
        Does::CrashesAtStart => ("abort();".to_owned(), "return 0;"),
        Does::FailsItsTest => (format!("return puts(\"run-agent {version}\") < 0;"), "return 7;"),
        Does::HangsInItsTest => {
            (format!("return puts(\"run-agent {version}\") < 0;"), "for (;;) pause();")
        }
        Does::TellsNoVersion => {
            ("return puts(\"run-agent of today\") < 0;".to_owned(), "return 0;")
        }
    };
    let source = format!(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n\
         int main(int argc, char **argv) {{\n\
         if (argc > 1 && strcmp(argv[1], \"--version\") == 0) {{ {who} }}\n\
         if (argc > 1 && strcmp(argv[1], \"self-test\") == 0) {{ {test} }}\n\
         return 1;\n}}\n"
    );
    // Compiled once for each text: many tests use the same few programs.
    static COMPILED: Mutex<Option<TempDir>> = Mutex::new(None);
    let mut compiled = COMPILED.lock();
    let folder = compiled.get_or_insert_with(|| tempfile::tempdir().unwrap()).path();
    let kept = folder.join(format!("{version}-{does:?}"));
    if !kept.exists() {
        let code = kept.with_file_name(format!("{version}-{does:?}.c"));
        fs::write(&code, source).unwrap();
        let status = Command::new("cc").arg("-o").arg(&kept).arg(&code).status().unwrap();
        assert!(status.success());
    }
    install(&kept, path);
}

/// Makes a folder for programs that nobody else can write to, whatever the umask.
pub fn folder(path: &Path) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Makes a program of this text.
pub fn script(path: &Path, text: &str) {
    let dir = tempfile::tempdir().unwrap();
    let written = dir.path().join("text");
    fs::write(&written, text).unwrap();
    install(&written, path);
}

/// Copies a program, by another process: what this one has open to write is for moments open too in what
/// another of its threads forks just then, and nobody can execute it meanwhile (ETXTBSY).
fn install(from: &Path, to: &Path) {
    let name = to.file_name().unwrap().to_str().unwrap();
    let next = to.with_file_name(format!(".{name}.installed"));
    let status = Command::new("install").args(["-m", "755"]).args([from, &next]).status();
    assert!(status.unwrap().success());
    fs::rename(next, to).unwrap();
}
