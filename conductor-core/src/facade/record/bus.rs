//! Messages, and what stands in their place, as named fields.

use super::Record;
use crate::bus::{Damage, Event, Message, Posted};

impl From<&Posted> for Record {
    fn from(posted: &Posted) -> Record {
        let mut record = Record::default();
        record.put("msg_id", posted.msg_id.as_str());
        record.put("seq", posted.seq);
        record.put("cursor", posted.cursor.to_string());
        record
    }
}

impl From<&Message> for Record {
    fn from(message: &Message) -> Record {
        let mut record = Record::default();
        record.put("kind", "message");
        record.put("msg_id", message.msg_id.as_str());
        record.put_known("seq", message.seq);
        record.put_time("ts", message.time);
        record.put("type", message.msg_type.as_str());
        for (name, text) in [
            ("project_id", &message.project_id),
            ("task_id", &message.task_id),
            ("run_id", &message.run_id),
        ] {
            record.put_known(name, Some(text.as_str()).filter(|text| !text.is_empty()));
        }
        record.put_known("issue_id", message.issue_id.as_deref());
        let parents = message.parents.iter().map(|parent| {
            let mut record = Record::default();
            record.put("msg_id", parent.msg_id.as_str());
            record.put_known("kind", parent.kind.as_deref());
            record.put_texts("meta", &parent.meta);
            record
        });
        record.put_records("parents", parents);
        let links = message.links.iter().map(|link| {
            let mut record = Record::default();
            record.put("url", link.url.as_str());
            record.put_known("label", link.label.as_deref());
            record.put_known("kind", link.kind.as_deref());
            record
        });
        record.put_records("links", links);
        record.put_texts("meta", &message.meta);
        record.put("body", message.body.as_str());
        record.put("cursor", message.cursor.to_string());
        record
    }
}

/// A message, or what stands in the place of one: its `kind` says which.
impl From<&Event> for Record {
    fn from(event: &Event) -> Record {
        let mut record = Record::default();
        let damage = |record: &mut Record, kind: &str, damage: &Damage| {
            record.put("kind", kind);
            record.put("path", damage.path.to_string_lossy());
            record.put("offset", damage.offset);
            record.put("len", damage.len);
            record.put("after_seq", damage.after_seq);
            record.put("body", damage.text.as_str());
        };
        match event {
            Event::Message(message) => return Record::from(message),
            Event::Gap { from, to } => {
                record.put("kind", "gap");
                record.put("from_seq", *from);
                record.put("to_seq", *to);
                record.put("body", format!("messages {from} to {to} are missing"));
            }
            Event::Corrupt(region) => damage(&mut record, "corrupt", region),
            Event::Foreign(region) => damage(&mut record, "foreign", region),
            Event::Replaced { path, last_seq } => {
                record.put("kind", "replaced");
                record.put("path", path.to_string_lossy());
                record.put("after_seq", *last_seq);
                record.put("body", "the file was replaced by another one");
            }
        }
        record
    }
}
