//! Errors on stderr: the message, its causes, the way out.

use super::color;
use super::text::one_line;
use conductor_core::Error;
use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io::Write as _;

/// Prints an error that ends the command.
pub(crate) fn print(error: &Error) {
    print_as("Error", color::ERROR, error);
}

/// Prints an error that the command goes on after.
pub(crate) fn note(error: &Error) {
    print_as("warning", color::WARNING, error);
}

/// Prints a line that is neither result nor error.
pub(crate) fn notice(text: &str) {
    write_stderr(&format!("{}\n", one_line(text)));
}

fn print_as(heading: &str, style: anstyle::Style, error: &Error) {
    write_stderr(&lines(heading, style, error));
}

/// Nobody is left to be told when stderr cannot be written to.
fn write_stderr(text: &str) {
    let _nobody_listens = anstream::stderr().lock().write_all(text.as_bytes());
}

/// The lines of an error; `anstream` takes the colours out where they are not wanted.
fn lines(heading: &str, style: anstyle::Style, error: &Error) -> String {
    let mut text = format!("{style}{heading}:{style:#} {}\n", one_line(&error.to_string()));
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // A cause that only repeats what stands above it says nothing.
        if message != said {
            let _infallible = writeln!(text, "  caused by: {}", one_line(&message));
        }
        said = message;
        cause = error.source();
    }
    if let Some(hint) = error.specific_hint() {
        let hint_style = color::HINT;
        let _infallible = writeln!(text, "  {hint_style}hint:{hint_style:#} {}", one_line(hint));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_core::ErrorKind;
    use std::io;

    #[test]
    fn message_causes_and_way_out_have_a_line_each() {
        let error = Error::io("open", "/x", io::Error::other("disk on\nfire")).with_hint("run");
        assert_eq!(
            lines("Error", anstyle::Style::new(), &error)
                .replace(&format!("{}", color::HINT), "")
                .replace(&format!("{:#}", color::HINT), ""),
            "Error: cannot open /x\n  caused by: disk on\\nfire\n  hint: run\n"
        );
    }

    #[test]
    fn without_a_way_out_of_its_own_there_is_no_hint() {
        let error = Error::new(ErrorKind::NotFound, "x.y", "there is no x");
        assert_eq!(lines("Error", anstyle::Style::new(), &error), "Error: there is no x\n");
    }
}
