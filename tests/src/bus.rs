//! A second writer of the bus format, made from its description alone, for roots and as a check of
//! the first.

use conductor_core::Timestamp;
use std::fmt::Write as _;

/// One message of a bus that is made up.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// When it was posted.
    pub at: Timestamp,
    /// The process that posted it.
    pub pid: u32,
    /// The count of messages of that process.
    pub count: u32,
    /// Its type, as `FACT`.
    pub kind: &'a str,
    /// The project.
    pub project: &'a str,
    /// The task; empty for a message of the project.
    pub task: &'a str,
    /// The run; empty where it is of none.
    pub run: &'a str,
    /// The text.
    pub body: &'a str,
}

impl Message<'_> {
    fn id(&self) -> String {
        let Message { at, pid, count, .. } = self;
        format!("MSG-{}-{:09}-PID{pid:05}-{:04}", at.compact(), at.subsec_nanos(), count % 10_000)
    }
}

/// Appends a record to `bus` as this version writes it, with sequence number and checksum.
pub fn append(bus: &mut Vec<u8>, seq: u64, message: &Message<'_>) {
    let stored = escape(message.body);
    let mut head = format!(
        "---\nmsg_id: {}\nseq: {seq}\nts: {}\ntype: {}\n",
        message.id(),
        message.at.rfc3339_fixed(),
        message.kind
    );
    for (key, value) in
        [("project_id", message.project), ("task_id", message.task), ("run_id", message.run)]
    {
        writeln!(head, "{key}: {}", quoted(value)).expect("write to a string");
    }
    writeln!(head, "len: {}", stored.len()).expect("write to a string");
    let sum = crc32c::crc32c_append(crc32c::crc32c(head.as_bytes()), stored.as_bytes());
    separate(bus);
    bus.extend_from_slice(format!("{head}crc32c: \"{sum:08x}\"\n---\n{stored}\n").as_bytes());
}

/// Appends a record to `bus` as the older program writes it.
pub fn append_legacy(bus: &mut Vec<u8>, message: &Message<'_>) {
    let Message { at, kind, project, task, run, body, .. } = message;
    let run = if run.is_empty() { "\"\"" } else { run };
    let id = message.id();
    let record = format!(
        "---\nmsg_id: {id}\nts: {at}\ntype: {kind}\nproject_id: {project}\ntask_id: {task}\n\
         run_id: {run}\n---\n{body}\n\n"
    );
    bus.extend_from_slice(record.as_bytes());
}

/// A record begins behind an empty line.
fn separate(bus: &mut Vec<u8>) {
    while !bus.is_empty() && !bus.ends_with(b"\n\n") {
        bus.push(b'\n');
    }
}

/// A line that looks like a separator gets a backslash more.
fn escape(body: &str) -> String {
    let lines = body.split('\n').map(|line| {
        let marker = line.trim_start_matches('\\').trim_end_matches([' ', '\t', '\r']);
        if marker == "---" { format!("\\{line}") } else { line.to_owned() }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_the_description_is_met_byte_for_byte() {
        let message = Message {
            at: "2026-11-23T14:20:55.123456789Z".parse().unwrap(),
            pid: 4242,
            count: 1,
            kind: "FACT",
            project: "p",
            task: "t",
            run: "run-1",
            body: "hello\n---\n\\---\nbye",
        };
        let mut bus = Vec::new();
        append(&mut bus, 4711, &message);
        let text = String::from_utf8(bus.clone()).unwrap();
        assert_eq!(bus.len(), 209, "{text}");
        assert!(
            text.contains("\ncrc32c: \"7b45f36b\"\n---\nhello\n\\---\n\\\\---\nbye\n"),
            "{text}"
        );
        append(&mut bus, 4712, &message);
        assert!(String::from_utf8(bus).unwrap().contains("bye\n\n---\nmsg_id: "));
    }
}
