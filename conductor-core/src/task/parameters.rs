//! What a loop was asked for.

use super::policy::Budget;
use super::questions::OnQuestion;
use crate::supervise::{Family, OnOutputLimit};
use crate::time::format_duration;
use crate::yaml::{Mapping, Value};
use std::time::Duration;

/// What a loop was asked for: enough for another process to go on with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Parameters {
    pub(crate) agent: String,
    /// Whether the work was shared out, and not given to this very agent.
    pub(crate) shared: bool,
    pub(crate) command: Vec<String>,
    /// The prompt, where it is not that of `TASK.md`.
    pub(crate) prompt: Option<String>,
    pub(crate) cwd: Option<String>,
    pub(crate) parent_run_id: Option<String>,
    /// Names only: values may be secrets.
    pub(crate) env_names: Vec<String>,
    pub(crate) budget: Budget,
    pub(crate) family: Family,
    pub(crate) restart_delay: Duration,
    pub(crate) child_wait_timeout: Duration,
    pub(crate) first_byte_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) total_timeout: Duration,
    pub(crate) grace: Duration,
    /// Zero is no limit.
    pub(crate) result_grace: Duration,
    /// Bytes that are kept of each output stream; 0 is no limit.
    pub(crate) output_limit: u64,
    pub(crate) on_output_limit: OnOutputLimit,
    /// The program that says whether the work is done, with its arguments; empty for none.
    pub(crate) verify: Vec<String>,
    pub(crate) verify_timeout: Duration,
    pub(crate) on_question: OnQuestion,
    /// Zero is no limit.
    pub(crate) question_timeout: Duration,
}

impl Parameters {
    /// The names of the parameters that differ.
    pub(super) fn differences(&self, other: &Parameters) -> Vec<&'static str> {
        let mut names = Vec::new();
        macro_rules! compare {
            ($($($field:ident).+ $name:literal)*) => {
                    $(if self.$($field).+ != other.$($field).+ { names.push($name); })*
            };
        }
        compare! {
            agent "agent" command "command" prompt "prompt" cwd "cwd"
            parent_run_id "parent_run_id" env_names "env"
            budget.max_attempts "max_attempts" budget.max_wall "max_wall"
            budget.max_tokens "max_tokens" budget.max_cost_usd "max_cost_usd"
            family.max_depth "max_depth" family.max_children "max_children"
            restart_delay "restart_delay" child_wait_timeout "child_wait_timeout"
            first_byte_timeout "first_byte_timeout" idle_timeout "idle_timeout"
            total_timeout "total_timeout" grace "grace" result_grace "result_grace"
            output_limit "output_limit" on_output_limit "on_output_limit"
            verify "verify" verify_timeout "verify_timeout"
            on_question "on_question" question_timeout "question_timeout"
        }
        names
    }
}

impl Parameters {
    /// Writes them into the document of the loop's state.
    pub(super) fn insert_into(&self, map: &mut Mapping) {
        map.insert("agent", Value::from(self.agent.as_str()));
        if self.shared {
            map.insert("shared", Value::from(true));
        }
        let lists =
            [("command", &self.command), ("env_names", &self.env_names), ("verify", &self.verify)];
        for (key, list) in lists {
            if !list.is_empty() {
                map.insert(key, Value::list(list.iter().map(String::as_str)));
            }
        }
        let texts =
            [("prompt", &self.prompt), ("cwd", &self.cwd), ("parent_run_id", &self.parent_run_id)];
        for (key, text) in texts {
            if let Some(text) = text {
                map.insert(key, Value::from(text.as_str()));
            }
        }
        map.insert("on_question", Value::from(self.on_question.as_str()));
        map.insert("max_attempts", Value::from(u64::from(self.budget.max_attempts)));
        if let Some(wall) = self.budget.max_wall {
            map.insert("max_wall", Value::from(format_duration(wall).as_str()));
        }
        if let Some(cost) = self.budget.max_cost_usd {
            map.insert("max_cost_usd", Value::Float(cost));
        }
        let counts = [
            ("max_tokens", self.budget.max_tokens),
            ("max_depth", self.family.max_depth),
            ("max_children", self.family.max_children),
            ("output_limit", Some(self.output_limit)),
        ];
        for (key, count) in counts {
            if let Some(count) = count {
                map.insert(key, Value::from(count));
            }
        }
        map.insert("on_output_limit", Value::from(self.on_output_limit.as_str()));
        let lengths = [
            ("restart_delay", self.restart_delay),
            ("child_wait_timeout", self.child_wait_timeout),
            ("first_byte_timeout", self.first_byte_timeout),
            ("idle_timeout", self.idle_timeout),
            ("total_timeout", self.total_timeout),
            ("grace", self.grace),
            ("result_grace", self.result_grace),
            ("verify_timeout", self.verify_timeout),
            ("question_timeout", self.question_timeout),
        ];
        for (key, length) in lengths {
            map.insert(key, Value::from(format_duration(length).as_str()));
        }
    }
}
