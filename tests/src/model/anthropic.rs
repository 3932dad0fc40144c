//! Anthropic's messages, as Claude Code asks for them.

use super::{ANSWER, TOKENS};
use crate::http::{Request, events, whole};
use serde_json::{Value, json};
use std::io;
use std::net::TcpStream;

pub(super) fn answer(request: &Request, stream: &mut TcpStream, command: &str) -> io::Result<()> {
    let body = request.json();
    let has_shell = body["tools"]
        .as_array()
        .is_some_and(|tools| tools.iter().any(|tool| tool["name"] == "Bash"));
    let was_run = super::was_run(&body["messages"], "\"tool_result\"");
    let (input, cached, output) = TOKENS;
    let usage = json!({"input_tokens": input - cached, "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0, "output_tokens": output});
    let (block, delta, reason) = if has_shell && !was_run {
        let input = json!({"command": command, "description": "Report and finish"});
        (
            json!({"type": "tool_use", "id": super::unique("toolu"), "name": "Bash", "input": {}}),
            json!({"type": "input_json_delta", "partial_json": input.to_string()}),
            "tool_use",
        )
    } else {
        (
            json!({"type": "text", "text": ""}),
            json!({"type": "text_delta", "text": ANSWER}),
            "end_turn",
        )
    };
    let message = |content: Value, reason: Value| {
        json!({"id": super::unique("msg"), "type": "message", "role": "assistant",
            "model": body["model"], "content": content, "stop_reason": reason,
            "stop_sequence": null, "usage": usage})
    };
    if body["stream"] != true {
        let whole_message = message(json!([{"type": "text", "text": ANSWER}]), "end_turn".into());
        return whole(stream, 200, "application/json", whole_message.to_string().as_bytes());
    }
    let all = [
        json!({"type": "message_start", "message": message(json!([]), Value::Null)}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null},
            "usage": {"output_tokens": output}}),
        json!({"type": "message_stop"}),
    ];
    let named: Vec<(&str, String)> = all
        .iter()
        .map(|event| (event["type"].as_str().unwrap_or_default(), event.to_string()))
        .collect();
    events(stream, &named)
}
