//! Whether services answer. Each is asked for the headers of its first page, in TLS where its address
//! says so: a wrong name, a closed port, a firewall and a certificate that is not trusted are told.

use conductor_core::{Error, ErrorKind, Problem, Service, Severity, Wait};
use serde_json::{Value, json};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a service may take, with the search for its name.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of the call of one service.
pub(super) struct Reached {
    service: Service,
    answer: Result<String, String>,
}

/// Calls all services at once.
pub(super) fn call(services: &[Service]) -> Vec<Reached> {
    let begun = Instant::now();
    let calls: Vec<_> = services
        .iter()
        .map(|service| {
            let (sender, receiver) = mpsc::channel();
            let called = service.clone();
            std::thread::spawn(move || {
                let _nobody_waits = sender.send(called.call(PATIENCE, Wait::FOREVER));
            });
            (service.clone(), receiver)
        })
        .collect();
    calls
        .into_iter()
        .map(|(service, receiver)| {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            let answer = match receiver.recv_timeout(left) {
                Ok(answer) => answer,
                Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
            };
            Reached { service, answer }
        })
        .collect()
}

impl Reached {
    pub(super) fn caller(&self) -> &str {
        &self.service.caller
    }

    pub(super) fn severity(&self) -> Option<Severity> {
        self.answer.is_err().then_some(Severity::Warning)
    }

    pub(super) fn detail(&self) -> String {
        let (Ok(answer) | Err(answer)) = &self.answer;
        format!("{} {answer}", self.service.origin)
    }

    pub(super) fn problem(&self) -> Option<Problem> {
        let why = self.answer.as_ref().err()?;
        let message = format!("{} cannot be reached: {why}", self.service.origin);
        let error = Error::new(ErrorKind::Io, "network.unreachable", message)
            .with_field(self.service.caller.clone())
            .with_hint("look at the address, the network and the firewall");
        Some(Problem::of_error(Severity::Warning, &error))
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "caller": self.service.caller,
            "origin": self.service.origin,
            "ok": self.answer.is_ok(),
            "answer": self.answer.as_ref().unwrap_or_else(|why| why),
        })
    }
}
