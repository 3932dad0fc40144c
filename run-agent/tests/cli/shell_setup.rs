//! `shell-setup`: a person's settings, changed and given back.

use crate::support::*;
use conductor_tests::process::Program;
use conductor_tests::sandbox::Sandbox;
use conductor_tests::tools::find;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

const RC: &str = "export EDITOR=vi\n# the end\n";

fn setup(sandbox: &Sandbox, line: &str) -> Program {
    cli(sandbox, &format!("shell-setup {line}")).env("SHELL", "/bin/bash").env_remove("ZDOTDIR")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn each_shell_gets_its_aliases_once_and_loses_them_without_a_trace() {
    for (shell, file, alias) in [
        ("bash", ".bashrc", "alias claude='run-agent wrap --agent claude --'"),
        ("zsh", ".zshrc", "alias codex='run-agent wrap --agent codex --'"),
        ("fish", ".config/fish/config.fish", "alias gemini='run-agent wrap --agent gemini --'"),
    ] {
        let sandbox = Sandbox::new();
        let path = sandbox.home().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, RC).unwrap();
        let said = setup(&sandbox, &format!("install --shell {shell}")).succeed().stdout;
        let where_it_is = format!("installed shell aliases in {} ({shell})", path.display());
        assert!(said.contains(&where_it_is), "{said}");
        let once = read(&path);
        assert!(once.starts_with(RC) && once.contains(alias), "{once}");
        let said = setup(&sandbox, &format!("install --shell {shell}")).succeed().stdout;
        assert!(said.starts_with("shell aliases already installed in "), "{said}");
        assert_eq!(read(&path), once);
        setup(&sandbox, &format!("uninstall --shell {shell}")).succeed();
        assert_eq!(read(&path), RC);
        let said = setup(&sandbox, &format!("uninstall --shell {shell}")).succeed().stdout;
        assert!(said.starts_with("shell aliases are already absent in "), "{said}");
    }
}

#[test]
fn a_link_stays_a_link_and_rights_stay() {
    let sandbox = Sandbox::new();
    let real = sandbox.folder("settings").join("bashrc");
    fs::write(&real, RC).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
    let link = sandbox.home().join(".bashrc");
    symlink(&real, &link).unwrap();
    setup(&sandbox, "install").succeed();
    assert_eq!(fs::read_link(&link).unwrap(), real);
    assert!(read(&real).contains("alias claude="));
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(sandbox.home()).unwrap().count(), 1);
    assert_eq!(fs::read_dir(real.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let sandbox = Sandbox::new();
    let said = setup(&sandbox, "install --dry-run").succeed().stdout;
    assert!(said.contains("would install") && said.contains("alias claude="), "{said}");
    assert!(!sandbox.home().join(".bashrc").exists());
    setup(&sandbox, "install").succeed();
    let said = setup(&sandbox, "uninstall --dry-run").succeed().stdout;
    assert!(said.contains("would remove"), "{said}");
    assert!(read(&sandbox.home().join(".bashrc")).contains("alias claude="));
    let said = setup(&sandbox, "install --dry-run").succeed().stdout;
    assert!(said.contains("already installed"), "{said}");
}

#[test]
fn what_is_damaged_or_unclear_is_refused_and_left_alone() {
    let sandbox = Sandbox::new();
    setup(&sandbox, "install").succeed();
    let path = sandbox.home().join(".bashrc");
    let damaged: String = read(&path).lines().filter(|line| !line.starts_with("# <<<")).collect();
    let damaged = damaged.replace("shell-setup) >>>", "shell-setup) >>>\n");
    fs::write(&path, &damaged).unwrap();
    for what in ["install", "uninstall", "install --dry-run", "uninstall --dry-run"] {
        let finished = setup(&sandbox, what).run().expect_code(20);
        assert!(finished.stderr.contains("has no end mark"), "{}", finished.stderr);
    }
    assert_eq!(read(&path), damaged);
    for (line, words) in [
        ("install --shell csh", "bash, zsh and fish are known"),
        ("install --run-agent-bin a'b", "cannot stand in an alias"),
    ] {
        let finished = setup(&sandbox, line).run().expect_code(2);
        assert!(finished.stderr.contains(words), "{}", finished.stderr);
    }
    let finished = setup(&sandbox, "install").env("SHELL", "/bin/csh").run().expect_code(2);
    assert!(finished.stderr.contains("unknown shell"), "{}", finished.stderr);
}

#[test]
fn the_block_of_the_older_program_is_replaced_in_place() {
    let sandbox = Sandbox::new();
    let path = sandbox.work().join("rc");
    let older = "# >>> conductor-loop shell aliases (managed by run-agent shell-setup) >>>\n\
                 alias claude='old'\n\
                 # <<< conductor-loop shell aliases (managed by run-agent shell-setup) <<<\n";
    fs::write(&path, format!("before\n{older}after\n")).unwrap();
    setup(&sandbox, "install --rc-file rc").succeed();
    let text = read(&path);
    assert!(
        text.starts_with("before\n# >>>")
            && text.ends_with(
                "# <<< conductor-loop shell aliases (managed by run-agent shell-setup) <<<\nafter\n"
            )
    );
    assert!(!text.contains("old"), "{text}");
}

/// What a shell says of an alias, with these settings.
fn asked(sandbox: &Sandbox, shell: &Path, rc: &Path, path: &str) -> String {
    let ask = if shell.ends_with("fish") { "functions claude" } else { "alias claude" };
    let question = format!(". '{}'\n{ask}\n", rc.display());
    // Without a terminal: on that of whoever tests, a shell that is not in front stops itself.
    let alone = sandbox.program(find("setsid").unwrap()).arg("--wait").arg(shell);
    alone.args(["-i", "-c", &question]).env("PATH", path).run().stdout
}

#[test]
fn shells_take_the_block_and_do_without_where_the_program_is_gone() {
    let sandbox = Sandbox::new();
    let bin = Path::new(env!("CARGO_BIN_EXE_run-agent")).parent().unwrap().to_owned();
    let with = format!("{}:/usr/bin:/bin", bin.display());
    for shell in ["bash", "dash", "zsh", "fish"] {
        let rc = sandbox.work().join(format!("rc-{shell}"));
        let name = if shell == "dash" { "bash" } else { shell };
        setup(&sandbox, &format!("install --shell {name} --rc-file {}", rc.display())).succeed();
        let Some(program) = find(shell) else { continue };
        let said = asked(&sandbox, &program, &rc, &with);
        assert!(said.contains("run-agent wrap --agent claude --"), "{shell}: {said}");
        let said = asked(&sandbox, &program, &rc, "/usr/bin:/bin");
        assert!(!said.contains("wrap"), "{shell}: {said}");
    }
}
