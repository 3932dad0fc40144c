//! Google's content generation, as Gemini CLI asks for it.

use super::{ANSWER, TOKENS};
use crate::http::{Request, events, whole};
use serde_json::json;
use std::io;
use std::net::TcpStream;

pub(super) fn answer(request: &Request, stream: &mut TcpStream, command: &str) -> io::Result<()> {
    let body = request.json();
    let has_shell = body["tools"].to_string().contains("\"run_shell_command\"");
    let was_run = super::was_run(&body["contents"], "\"functionResponse\"");
    let part = if has_shell && !was_run {
        let args = json!({"command": command, "description": "Report and finish"});
        json!({"functionCall": {"name": "run_shell_command", "args": args}})
    } else {
        json!({"text": ANSWER})
    };
    let (input, cached, output) = TOKENS;
    let model = request.path.split(['/', ':']).find(|part| part.starts_with("gemini"));
    let answer = json!({
        "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP",
            "index": 0}],
        "modelVersion": model.unwrap_or("gemini"),
        "usageMetadata": {"promptTokenCount": input, "cachedContentTokenCount": cached,
            "candidatesTokenCount": output, "totalTokenCount": input + output},
    });
    if request.path.contains(":streamGenerateContent") {
        events(stream, &[("", answer.to_string())])
    } else {
        whole(stream, 200, "application/json", answer.to_string().as_bytes())
    }
}
