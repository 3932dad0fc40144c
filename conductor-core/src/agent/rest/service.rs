//! What the services are asked, and where.

use super::super::kind::AgentKind;
use crate::error::{Error, Result};

/// The services that can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RestService {
    /// Perplexity.
    Perplexity,
    /// xAI.
    Xai,
}

impl RestService {
    /// The service of this name.
    ///
    /// # Errors
    /// `agent.unknown`.
    pub fn parse(name: &str) -> Result<RestService> {
        match AgentKind::parse(name)? {
            AgentKind::Perplexity => Ok(RestService::Perplexity),
            AgentKind::Xai => Ok(RestService::Xai),
            kind => Err(Error::invalid(
                "agent.unknown",
                "agent",
                format!("the agent {} is no service", kind.name()),
            )),
        }
    }

    /// The agent that it is.
    pub(crate) fn kind(self) -> AgentKind {
        match self {
            RestService::Perplexity => AgentKind::Perplexity,
            RestService::Xai => AgentKind::Xai,
        }
    }

    /// The model that is asked unless another one is named.
    #[cfg_attr(not(feature = "http"), allow(dead_code, reason = "only a call asks"))]
    pub(crate) fn model(self) -> &'static str {
        match self {
            RestService::Perplexity => "sonar-reasoning",
            RestService::Xai => "grok-4",
        }
    }

    /// The variable that holds its token.
    pub fn token_variable(self) -> &'static str {
        self.kind().own_keys().first().copied().unwrap_or_default()
    }

    /// The variables that name another address than its own, the first that is set.
    pub fn address_variables(self) -> &'static [&'static str] {
        self.kind().service().map_or(&[], |service| service.variables)
    }

    /// The variable that names another model.
    pub fn model_variable(self) -> &'static str {
        match self {
            RestService::Perplexity => "PERPLEXITY_MODEL",
            RestService::Xai => "XAI_MODEL",
        }
    }

    /// The address that is called. Perplexity's is given whole; of xAI's the end may be left out.
    #[cfg_attr(not(feature = "http"), allow(dead_code, reason = "only a call asks"))]
    pub(crate) fn endpoint(self, base: &str) -> String {
        match self {
            RestService::Perplexity => base.to_owned(),
            RestService::Xai => {
                let base = base.trim_end_matches('/');
                if base.ends_with("/v1/chat/completions") {
                    base.to_owned()
                } else if base.ends_with("/v1") {
                    format!("{base}/chat/completions")
                } else {
                    format!("{base}/v1/chat/completions")
                }
            }
        }
    }

    /// What is asked.
    #[cfg_attr(not(feature = "http"), allow(dead_code, reason = "only a call asks"))]
    pub(crate) fn body(self, model: &str, prompt: &str) -> String {
        let mut body = serde_json::json!({
            "model": model,
            "messages": [{"role": "user", "content": prompt}],
            "stream": true,
        });
        if self == RestService::Xai {
            // Without it no tokens are told in a stream.
            body["stream_options"] = serde_json::json!({"include_usage": true});
        }
        body.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_address_may_be_left_out_where_it_is_known() {
        let xai = |base: &str| RestService::Xai.endpoint(base);
        let whole = "https://api.x.ai/v1/chat/completions";
        for base in ["https://api.x.ai", "https://api.x.ai/", "https://api.x.ai/v1", whole] {
            assert_eq!(xai(base), whole, "{base}");
        }
        assert_eq!(RestService::Perplexity.endpoint("http://x/y"), "http://x/y");
        assert_eq!(RestService::parse("XAI").unwrap(), RestService::Xai);
        assert_eq!(RestService::parse("claude").unwrap_err().code(), "agent.unknown");
    }

    #[test]
    fn the_prompt_goes_out_as_it_is() {
        let body = RestService::Perplexity.body("m", "a \"b\"\n\u{1f600}");
        let read: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(read["messages"][0]["content"], "a \"b\"\n\u{1f600}");
        assert_eq!((&read["model"], &read["stream"]), (&"m".into(), &true.into()));
    }
}
