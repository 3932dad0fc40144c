//! Standard output: buffered, with what is known of who reads it.

use std::io::{self, BufWriter, IsTerminal as _, Write};

/// How much is gathered before it is written, in bytes.
const BUFFER: usize = 64 << 10;

/// The output of a command.
pub(crate) struct Out {
    sink: BufWriter<Box<dyn Write>>,
    colored: bool,
    terminal: bool,
    width: Option<usize>,
    heard: bool,
}

impl Out {
    /// Standard output. `NO_COLOR`, `CLICOLOR_FORCE` and their kin are honoured.
    pub(crate) fn stdout() -> Out {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let colored = anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never;
        let width = terminal
            .then(terminal_size::terminal_size)
            .flatten()
            .map(|(terminal_size::Width(width), _)| usize::from(width));
        let sink = BufWriter::with_capacity(BUFFER, Box::new(stdout) as Box<dyn Write>);
        Out { sink, colored, terminal, width, heard: true }
    }

    /// An output that nobody reads.
    pub(crate) fn nowhere() -> Out {
        let sink = BufWriter::new(Box::new(io::sink()) as Box<dyn Write>);
        Out { sink, colored: false, terminal: false, width: None, heard: false }
    }

    /// Whether colours are wanted.
    pub(crate) fn is_colored(&self) -> bool {
        self.colored
    }

    /// Whether a person looks at it.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// The columns of the terminal; `None` where the output is no terminal and nothing is cut.
    pub(crate) fn width(&self) -> Option<usize> {
        self.width
    }

    /// Whether what is written still goes anywhere.
    pub(crate) fn is_heard(&self) -> bool {
        self.heard
    }

    /// Drops all that is written from now on: nobody is there to read it.
    pub(crate) fn mute(&mut self) {
        self.sink = BufWriter::new(Box::new(io::sink()));
        (self.terminal, self.heard) = (false, false);
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        self.sink.write_all(text.as_bytes())?;
        self.sink.write_all(b"\n")
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

#[cfg(test)]
mod memory {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// What was written to an output that is kept in memory.
    #[derive(Clone, Default)]
    pub(crate) struct Written(Rc<RefCell<Vec<u8>>>);

    impl Written {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.borrow().clone()).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Out {
        pub(crate) fn to_memory(width: Option<usize>, colored: bool) -> (Out, Written) {
            let written = Written::default();
            let sink = BufWriter::new(Box::new(written.clone()) as Box<dyn Write>);
            (Out { sink, colored, terminal: width.is_some(), width, heard: true }, written)
        }
    }
}
