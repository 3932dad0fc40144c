//! Log lines as records.

use super::record::Record;
use crate::log::{LogLine, LogValue};
use serde_json::{Map, Value, json};

impl From<&LogLine> for Record {
    fn from(line: &LogLine) -> Record {
        let mut record = Record::default();
        record.put("at", line.at.to_string());
        record.put("level", line.level.as_str());
        record.put("subsystem", line.subsystem.as_str());
        record.put_known("event", line.event.as_deref());
        record.put_known("message", Some(line.message.as_str()).filter(|text| !text.is_empty()));
        let fields: Map<String, Value> = line
            .fields
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    LogValue::Text(text) => json!(text),
                    LogValue::Number(number) => match i64::try_from(*number) {
                        Ok(number) => json!(number),
                        Err(_) => json!(number.to_string()),
                    },
                    LogValue::Decimal(number) => json!(number),
                    LogValue::Flag(flag) => json!(flag),
                };
                (name.clone(), value)
            })
            .collect();
        record.put("fields", fields);
        record.put("text", line.to_pairs());
        record
    }
}
