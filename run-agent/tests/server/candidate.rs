//! Programs that shall take a server's place: real ones that say another version, and broken ones.

use conductor_tests::tools;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// The version of the program under test, and one that is newer and as long.
pub(crate) const OWN: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn newer() -> String {
    let (rest, last) = OWN.rsplit_once('.').unwrap();
    format!("{rest}.{}", if last == "9" { "8" } else { "9" })
}

/// The program under test at `path`, without what only a debugger reads. It says that it is of this `version`,
/// which stands wherever its own stood.
pub(crate) fn real(path: &Path, version: &str) {
    static STRIPPED: OnceLock<TempDir> = OnceLock::new();
    let stripped = STRIPPED.get_or_init(|| {
        let dir = TempDir::new().unwrap();
        let mut strip = Command::new("strip");
        let stripped = dir.path().join("run-agent");
        tools::check(strip.arg("-o").arg(stripped).arg(env!("CARGO_BIN_EXE_run-agent")));
        dir
    });
    assert_eq!(version.len(), OWN.len());
    let draft = path.with_extension("draft");
    let mut sed = Command::new("sed");
    let changed = sed.env("LC_ALL", "C").arg(format!("s/{}/{version}/g", OWN.replace('.', "\\.")));
    let changed = tools::check(changed.arg(stripped.path().join("run-agent"))).stdout;
    fs::write(&draft, changed).unwrap();
    put(&draft, path);
}

/// What a broken program does instead of serving.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Does {
    CrashesAtOnce,
    HangsAtOnce,
    FailsItsTest,
    CrashesAsServer,
    EndsAsServer,
    HangsAsServer,
    /// As soon as it has answered that it is ready.
    DiesReady,
    /// As soon as it has the socket.
    DiesWithTheSocket,
}

/// A worker as its launcher wants it, up to one of the launcher's words: `q`, answered that it serves, or `s`,
/// the socket of the clients.
const WORKER: &str = "#include <sys/socket.h>
static void serve_until(char last) {
    for (;;) {
        char word = 0, control[256], head[4096];
        struct iovec bytes = {&word, 1};
        struct msghdr told = {0};
        struct cmsghdr *behind;
        int fd = -1;
        told.msg_iov = &bytes; told.msg_iovlen = 1;
        told.msg_control = control; told.msg_controllen = sizeof control;
        if (recvmsg(0, &told, 0) <= 0) exit(3);
        behind = CMSG_FIRSTHDR(&told);
        if (behind) memcpy(&fd, CMSG_DATA(behind), sizeof fd);
        if (word == 'b' && send(0, \"r\", 1, 0) != 1) exit(4);
        if (word == 'q') {
            const char *answer = \"HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\n\\r\\n\";
            if (read(fd, head, sizeof head) <= 0) exit(5);
            if (write(fd, answer, strlen(answer)) < 0) exit(6);
        }
        if (word == last) abort();
        if (fd >= 0) close(fd);
    }
}
";

/// A small program that says it has this version, and breaks.
pub(crate) fn broken(path: &Path, version: &str, does: Does) {
    let (version_line, test, serve) = match does {
        Does::CrashesAtOnce => ("abort();", "return 0;", ""),
        Does::HangsAtOnce => ("for (;;) pause();", "return 0;", ""),
        Does::FailsItsTest => ("", "return 7;", ""),
        Does::CrashesAsServer => ("", "return 0;", "abort();"),
        Does::EndsAsServer => ("", "return 0;", "return 2;"),
        Does::HangsAsServer => ("", "return 0;", "for (;;) pause();"),
        Does::DiesReady => ("", "return 0;", "serve_until('q');"),
        Does::DiesWithTheSocket => ("", "return 0;", "serve_until('s');"),
    };
    let source = format!(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n\
         {WORKER}\
         int main(int argc, char **argv) {{\n\
         if (argc > 1 && !strcmp(argv[1], \"--version\")) {{ {version_line} return puts(\"run-agent {version}\") < 0; }}\n\
         if (argc > 1 && !strcmp(argv[1], \"self-test\")) {{ {test} }}\n\
         {serve}\nreturn 1;\n}}\n"
    );
    let code = path.with_extension("c");
    fs::write(&code, source).unwrap();
    tools::check(Command::new("cc").arg("-o").arg(path).arg(&code));
}

/// A program for a machine of another kind.
pub(crate) fn foreign(path: &Path) {
    let mut bytes = vec![0; 4096];
    File::open("/proc/self/exe").unwrap().read_exact(&mut bytes).unwrap();
    bytes[18] ^= 0xff;
    let draft = path.with_extension("draft");
    fs::write(&draft, bytes).unwrap();
    put(&draft, path);
}

/// Puts a program at its place. A process of its own has it open for writing: one of this process's children
/// could hold it open a moment longer, and what is open for writing cannot be started.
fn put(draft: &Path, path: &Path) {
    fs::set_permissions(draft, fs::Permissions::from_mode(0o755)).unwrap();
    tools::check(Command::new("cp").arg("-p").arg(draft).arg(path));
    fs::remove_file(draft).unwrap();
}
