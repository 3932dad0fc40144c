//! Questions that the agents of a task asked on its bus, and what was answered.
//!
//! A message of type `QUESTION` asks; an `ANSWER` that names it as a parent answers. Both go into the
//! prompt of the next attempt.

use crate::bus::{Bus, Cursor, Event, Message, ReadOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::id::MessageId;
use crate::time::Timestamp;

/// What a task does about a question that nobody answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnQuestion {
    /// The next attempt goes on without an answer.
    #[default]
    GoOn,
    /// The next attempt waits for the answer, up to a deadline.
    Wait,
}

pub(super) const ON_QUESTION: [(OnQuestion, &str); 2] =
    [(OnQuestion::GoOn, "go_on"), (OnQuestion::Wait, "wait")];

impl OnQuestion {
    /// Its word in every surface.
    pub fn as_str(self) -> &'static str {
        ON_QUESTION.iter().find(|(choice, _)| *choice == self).map_or("", |(_, word)| word)
    }
}

impl std::str::FromStr for OnQuestion {
    type Err = Error;

    fn from_str(word: &str) -> Result<OnQuestion> {
        let found = ON_QUESTION.iter().find(|(_, known)| *known == word.trim());
        found.map(|(choice, _)| *choice).ok_or_else(|| {
            Error::invalid(
                "on_question.unknown",
                "on_question",
                format!("unknown way to treat a question: {word:?}"),
            )
            .with_hint("it is go_on or wait")
        })
    }
}

/// A question and its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) id: MessageId,
    pub(super) asked_at: Timestamp,
    text: String,
    answers: Vec<String>,
}

impl Question {
    pub(super) fn is_open(&self) -> bool {
        self.answers.is_empty()
    }
}

/// The questions of a loop, oldest first.
pub(super) fn questions(bus: &Bus, since: Option<&Cursor>) -> Result<Vec<Question>> {
    let mut found: Vec<Question> = Vec::new();
    let behind = |place: &Cursor| {
        let options = ReadOptions::default().after(place).of_type("QUESTION").of_type("ANSWER");
        bus.read(options)
    };
    let events = match behind(since.unwrap_or(&Cursor::START)) {
        // Somebody removed the bus: all of the one in its place came later.
        Err(error) if error.kind() == ErrorKind::Conflict => behind(&Cursor::START)?,
        events => events?,
    };
    for event in events {
        // Damage is told by whoever reads the bus for its messages.
        let Event::Message(message) = event? else { continue };
        if message.msg_type == "QUESTION" {
            found.push(Question {
                id: message.msg_id,
                asked_at: message.time,
                text: message.body,
                answers: Vec::new(),
            });
        } else {
            answer(&mut found, &message);
        }
    }
    Ok(found)
}

fn answer(questions: &mut [Question], message: &Message) {
    for question in questions {
        let meant = |parent: &crate::bus::Parent| parent.msg_id == question.id.as_str();
        if message.parents.iter().any(meant) {
            question.answers.push(message.body.clone());
        }
    }
}

/// What the next attempt is told of them; nothing where there are none.
pub(super) fn told(questions: &[Question]) -> String {
    let mut text = String::new();
    for question in questions {
        if text.is_empty() {
            text.push_str("Questions that were asked so far, and what was answered:\n\n");
        }
        text.push_str(&format!("- {}\n", indented(&question.text)));
        for answer in &question.answers {
            text.push_str(&format!("  ANSWER: {}\n", indented(answer)));
        }
        if question.is_open() {
            text.push_str("  Nobody answered yet.\n");
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// A text whose further lines stand below its first.
fn indented(text: &str) -> String {
    text.trim().replace('\n', "\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_are_told_in_order() {
        let question = |text: &str, answers: &[&str]| Question {
            id: MessageId::new("MSG-1").unwrap(),
            asked_at: Timestamp::UNIX_EPOCH,
            text: text.to_owned(),
            answers: answers.iter().map(|text| (*text).to_owned()).collect(),
        };
        assert_eq!(told(&[]), "");
        let text = told(&[question("Red or\nblue?\n", &["Blue."]), question("Why?", &[])]);
        let expected = "\
Questions that were asked so far, and what was answered:

- Red or
  blue?
  ANSWER: Blue.
- Why?
  Nobody answered yet.

";
        assert_eq!(text, expected);
    }
}
