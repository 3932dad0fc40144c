//! Messages that were read at once: their texts in one buffer, for who hands them on over a boundary.

use super::message::Event;
use super::record::Plain;
use std::ops::Range;

/// Messages, and what stands in their place, as they follow each other.
#[derive(Debug, Default)]
pub struct Rows {
    text: String,
    rows: Vec<Row>,
}

/// A message; its texts are parts of those of all rows, one behind the other.
#[derive(Debug)]
pub struct Row {
    /// Its number on the bus; 0 where it has none.
    pub seq: u64,
    /// When it was posted, in nanoseconds since 1970; 0 where that is not known.
    pub nanos: i64,
    start: usize,
    /// Where each text ends, in the order of [`Text`].
    ends: [usize; TEXTS],
    /// All of it, where it is more than its texts, or no message at all.
    pub event: Option<Box<Event>>,
}

/// The texts of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// Its project.
    Project,
    /// Its task.
    Task,
    /// Its run.
    Run,
    /// Its type.
    Type,
    /// When it was posted.
    Time,
    /// Its text.
    Body,
    /// The place right behind it.
    Cursor,
}

const TEXTS: usize = 7;

impl Row {
    /// Where all of its texts lie in those of all rows.
    pub fn all(&self) -> Range<usize> {
        self.start..self.ends[TEXTS - 1]
    }

    /// Where one of its texts lies.
    pub fn range(&self, text: Text) -> Range<usize> {
        let at = text as usize;
        let start = if at == 0 { self.start } else { self.ends[at - 1] };
        start..self.ends[at]
    }
}

impl Rows {
    /// The texts of all rows.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// One of the texts of a row; empty where it has none.
    pub fn get(&self, row: &Row, text: Text) -> &str {
        self.text.get(row.range(text)).unwrap_or_default()
    }

    /// The id of a row's message; empty where it is none.
    pub fn msg_id(&self, row: &Row) -> &str {
        self.text.get(self.msg_id_range(row)).unwrap_or_default()
    }

    /// Where the id lies: it ends the cursor.
    pub fn msg_id_range(&self, row: &Row) -> Range<usize> {
        let cursor = row.range(Text::Cursor);
        let text = self.get(row, Text::Cursor);
        cursor.end - text.rsplit(':').next().unwrap_or_default().len()..cursor.end
    }

    pub(super) fn push_plain(&mut self, seq: u64, plain: &Plain<'_>) {
        let (start, text) = (self.text.len(), &mut self.text);
        let mut ends = [start; TEXTS];
        let mut end = |text: &String, of: Text| ends[of as usize] = text.len();
        text.push_str(plain.project_id);
        end(text, Text::Project);
        text.push_str(plain.task_id);
        end(text, Text::Task);
        text.push_str(plain.run_id);
        end(text, Text::Run);
        text.push_str(plain.msg_type);
        end(text, Text::Type);
        text.push_str(plain.time.0);
        if plain.time.1 {
            text.push('Z');
        }
        end(text, Text::Time);
        text.push_str(plain.body);
        end(text, Text::Body);
        push_cursor(text, seq, plain.msg_id);
        end(text, Text::Cursor);
        self.rows.push(Row { seq, nanos: plain.nanos, start, ends, event: None });
    }

    pub(crate) fn push(&mut self, event: Event) {
        let (start, text) = (self.text.len(), &mut self.text);
        let mut ends = [start; TEXTS];
        let (mut seq, mut nanos) = (0, 0);
        if let Event::Message(message) = &event {
            let time = Some(message.time).filter(|time| !time.is_zero());
            nanos = time.and_then(|time| i64::try_from(time.unix_nanos()).ok()).unwrap_or(0);
            seq = message.seq.unwrap_or(0);
            let texts = [
                message.project_id.as_str(),
                &message.task_id,
                &message.run_id,
                &message.msg_type,
                &time.map(|time| time.to_string()).unwrap_or_default(),
                &message.body,
                &message.cursor.to_string(),
            ];
            for (end, part) in ends.iter_mut().zip(texts) {
                text.push_str(part);
                *end = text.len();
            }
        }
        self.rows.push(Row { seq, nanos, start, ends, event: Some(Box::new(event)) });
    }
}

/// Appends the text of the cursor behind a record.
fn push_cursor(text: &mut String, seq: u64, id: &str) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = seq;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.push_str("c1:");
    text.extend(digits[at..].iter().map(|digit| char::from(*digit)));
    text.push(':');
    text.push_str(id);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Message, ReadOptions};
    use crate::{Conductor, Options, Post, Wait};

    /// A row as the message that it was made of.
    fn told(rows: &Rows, row: &Row) -> (String, Option<u64>, String, [String; 6]) {
        let texts = [Text::Project, Text::Task, Text::Run, Text::Type, Text::Time, Text::Body];
        let texts = texts.map(|text| rows.get(row, text).to_owned());
        let seq = Some(row.seq).filter(|seq| *seq > 0);
        (rows.msg_id(row).to_owned(), seq, rows.get(row, Text::Cursor).to_owned(), texts)
    }

    fn of(message: &Message) -> (String, Option<u64>, String, [String; 6]) {
        let texts = [
            message.project_id.clone(),
            message.task_id.clone(),
            message.run_id.clone(),
            message.msg_type.clone(),
            message.time.to_string(),
            message.body.clone(),
        ];
        (message.msg_id.to_string(), message.seq, message.cursor.to_string(), texts)
    }

    #[test]
    fn rows_are_the_messages_whatever_these_hold() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("shop")).unwrap();
        let conductor = Conductor::open(dir.path(), Options::default()).unwrap();
        let bus = conductor.bus("shop").unwrap();
        let run = "run-1".parse().unwrap();
        for number in 0..40 {
            let text = ["", "x", "two\nlines", "---", "\\---\n", "\u{20ac} \u{2028}"][number % 6];
            let mut post = Post::new("FACT", text);
            if number % 2 == 0 {
                post = post.run(&run);
            }
            if number % 5 == 0 {
                post = post.meta("by", "me").link("/x", "", "");
            }
            bus.post(post, Wait::FOREVER).unwrap();
        }
        std::fs::OpenOptions::new()
            .append(true)
            .open(bus.path())
            .and_then(|mut file| std::io::Write::write_all(&mut file, b"nobody's\n"))
            .unwrap();
        bus.post(Post::new("LAST", "y"), Wait::FOREVER).unwrap();
        let mut plain = 0;
        for options in [
            ReadOptions::default(),
            ReadOptions::default().of_type("LAST"),
            ReadOptions::default().of_run(&run),
            ReadOptions::default().tail(3),
        ] {
            let mut rows = Rows::default();
            let mut reader = bus.read(options.clone()).unwrap();
            while reader.read_row(&mut rows).unwrap() {}
            let events: Vec<Event> = bus.read(options).unwrap().map(Result::unwrap).collect();
            assert_eq!(rows.rows().len(), events.len());
            for (row, event) in rows.rows().iter().zip(&events) {
                match event {
                    Event::Message(message) => {
                        assert_eq!(told(&rows, row), of(message));
                        assert_eq!(i128::from(row.nanos), message.time.unix_nanos());
                        plain += usize::from(row.event.is_none());
                        let more = !message.meta.is_empty() || message.body.contains("---");
                        assert!(row.event.is_some() || !more, "{message:?}");
                    }
                    damage => assert_eq!(row.event.as_deref(), Some(damage)),
                }
            }
        }
        assert!(plain > 15, "the short way is hardly ever gone: {plain}");
    }
}
