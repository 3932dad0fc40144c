//! A stand-in for the services that coding agents call: Anthropic's, OpenAI's, Google's, and those that
//! speak as OpenAI's did.
//!
//! It answers every prompt in the same way: first it asks the agent's own shell tool to run one
//! command, and once the command's output came back it says one sentence. So a test drives the real
//! program of an agent, with its real protocol, without a network and without an account.

mod anthropic;
mod chat;
mod google;
mod openai;

use crate::http::{Request, Server, whole};
use std::io;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the model says in the end.
pub const ANSWER: &str = "All of the work is done.";

/// The tokens that each answer claims: input, of those from the cache, output.
pub const TOKENS: (u64, u64, u64) = (120, 20, 30);

/// A stand-in that asks for `command` to be run, and then is done.
pub fn start(command: &str) -> Server {
    let command = command.to_owned();
    Server::start(move |request, stream| answer(request, stream, &command))
}

fn answer(request: &Request, stream: &mut TcpStream, command: &str) -> io::Result<()> {
    let path = request.path.split('?').next().unwrap_or_default();
    if request.method != "POST" {
        return whole(stream, 200, "application/json", b"{}");
    }
    if path.ends_with("/v1/messages") {
        anthropic::answer(request, stream, command)
    } else if path.ends_with("/responses") {
        openai::answer(request, stream, command)
    } else if path.ends_with("/chat/completions") {
        chat::answer(request, stream, command)
    } else if path.contains(":streamGenerateContent") || path.contains(":generateContent") {
        google::answer(request, stream, command)
    } else {
        whole(stream, 200, "application/json", b"{}")
    }
}

/// A name that no other answer has: agents tell messages and calls apart by theirs.
fn unique(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{prefix}_standin{:06}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Whether a tool's result stands behind the last prompt: a conversation may hold earlier ones.
fn was_run(messages: &serde_json::Value, result: &str) -> bool {
    let text = messages.to_string();
    let last = |words: &str| text.rfind(words).map_or(0, |at| at + 1);
    last(result) > last("JRUN_RUN_FOLDER=")
}
