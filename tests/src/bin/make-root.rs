//! `make-root FOLDER [projects=4] [tasks=400] [runs=20000] [messages=20] [output=400]`: makes a big
//! root, for benchmarks and for looking around.

use conductor_tests::generate::{RootSpec, make_root};
use std::process::ExitCode;

const USAGE: &str =
    "usage: make-root FOLDER [projects=4] [tasks=400] [runs=20000] [messages=20] [output=400]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((folder, options)) = args.split_first() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let spec = match read(options) {
        Ok(spec) => spec,
        Err(bad) => {
            eprintln!("error: {bad:?} is not one of the options\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match make_root(folder.as_ref(), &spec) {
        Ok(()) => {
            println!("{folder}: {} tasks, {} runs", spec.tasks, spec.runs);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: cannot make a root at {folder}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read(options: &[String]) -> Result<RootSpec, String> {
    let mut spec = RootSpec::default();
    for option in options {
        let (name, value) = option.split_once('=').ok_or(option)?;
        let value: usize = value.parse().map_err(|_| option)?;
        let (place, least) = match name {
            "projects" => (&mut spec.projects, 1),
            "tasks" => (&mut spec.tasks, 1),
            "runs" => (&mut spec.runs, 0),
            "messages" => (&mut spec.messages, 0),
            "output" => (&mut spec.output, 0),
            _ => return Err(option.clone()),
        };
        if value < least {
            return Err(option.clone());
        }
        *place = value;
    }
    Ok(spec)
}
