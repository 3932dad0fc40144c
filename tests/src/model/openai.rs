//! OpenAI's responses, as Codex asks for them.

use super::{ANSWER, TOKENS};
use crate::http::{Request, events};
use serde_json::{Value, json};
use std::io;
use std::net::TcpStream;

pub(super) fn answer(request: &Request, stream: &mut TcpStream, command: &str) -> io::Result<()> {
    let body = request.json();
    let was_run = super::was_run(&body["input"], "call_output\"");
    let item = match shell_call(&body["tools"], command) {
        Some((name, arguments)) if !was_run => {
            json!({"type": "function_call", "id": super::unique("fc"),
            "call_id": super::unique("call"), "name": name, "arguments": arguments.to_string()})
        }
        _ => json!({"type": "message", "id": super::unique("msg"), "role": "assistant",
            "content": [{"type": "output_text", "text": ANSWER, "annotations": []}]}),
    };
    let (input, cached, output) = TOKENS;
    let usage = json!({"input_tokens": input, "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": output, "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input + output});
    let response = |status: &str, output: Value| {
        json!({"id": super::unique("resp"), "object": "response", "status": status,
            "model": body["model"], "output": output, "usage": usage})
    };
    let all = [
        json!({"type": "response.created", "response": response("in_progress", json!([]))}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": response("completed", json!([item]))}),
    ];
    let named: Vec<(&str, String)> = all
        .iter()
        .map(|event| (event["type"].as_str().unwrap_or_default(), event.to_string()))
        .collect();
    events(stream, &named)
}

/// The call of whichever shell tool this version of Codex offers.
fn shell_call(tools: &Value, command: &str) -> Option<(&'static str, Value)> {
    let forms = [
        ("exec_command", json!({"cmd": command})),
        ("shell_command", json!({"command": command})),
        ("shell", json!({"command": ["bash", "-c", command]})),
    ];
    let tools = tools.as_array()?;
    forms.into_iter().find(|(name, _)| tools.iter().any(|tool| tool["name"] == *name))
}
