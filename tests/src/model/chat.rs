//! Chat completions, as most other agents ask for them: OpenAI's older form, which many services speak.

use super::{ANSWER, TOKENS};
use crate::http::{Request, events, whole};
use serde_json::{Value, json};
use std::io;
use std::net::TcpStream;

pub(super) fn answer(request: &Request, stream: &mut TcpStream, command: &str) -> io::Result<()> {
    let body = request.json();
    let was_run = super::was_run(&body["messages"], "\"role\":\"tool\"");
    let (message, reason) = match shell_of(&body["tools"]) {
        Some(name) if !was_run => {
            let arguments = json!({"command": command, "description": "Report and finish",
                "is_background": false});
            let function = json!({"name": name, "arguments": arguments.to_string()});
            let call = json!({"index": 0, "id": super::unique("call"), "type": "function",
                "function": function});
            (json!({"role": "assistant", "content": null, "tool_calls": [call]}), "tool_calls")
        }
        _ => (json!({"role": "assistant", "content": ANSWER}), "stop"),
    };
    let (input, cached, output) = TOKENS;
    let usage = json!({"prompt_tokens": input, "completion_tokens": output,
        "total_tokens": input + output, "prompt_tokens_details": {"cached_tokens": cached}});
    let id = super::unique("chatcmpl");
    let document = |kind: &str, choices: Value, usage: &Value| {
        json!({"id": id, "object": kind, "created": 1, "model": body["model"],
            "choices": choices, "usage": usage})
    };
    if body["stream"] != true {
        let choices = json!([{"index": 0, "message": message, "finish_reason": reason}]);
        let document = document("chat.completion", choices, &usage);
        return whole(stream, 200, "application/json", document.to_string().as_bytes());
    }
    let piece = |delta: Value, reason: Value| {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": reason}]);
        document("chat.completion.chunk", choices, &Value::Null).to_string()
    };
    let all = [
        ("", piece(message.clone(), Value::Null)),
        ("", piece(json!({}), reason.into())),
        ("", document("chat.completion.chunk", json!([]), &usage).to_string()),
        ("", "[DONE]".to_owned()),
    ];
    events(stream, &all)
}

/// The name that the agent gives to its shell.
fn shell_of(tools: &Value) -> Option<&'static str> {
    let tools = tools.as_array()?;
    ["run_shell_command", "bash"]
        .into_iter()
        .find(|name| tools.iter().any(|tool| tool["function"]["name"] == *name))
}
