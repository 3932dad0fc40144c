//! Messages of a bus.

use conductor_core as core;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A message.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Message {
    pub(crate) msg_id: String,
    #[schema(format = DateTime)]
    pub(crate) timestamp: String,
    pub(crate) r#type: String,
    pub(crate) project_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) task_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) run_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issue_id: Option<String>,
    /// Messages that it answers or rests on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) parents: Vec<Parent>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) links: Vec<Link>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub(crate) meta: Map<String, Value>,
    pub(crate) body: String,
    /// The place behind it, to read on from; its id is one too.
    pub(crate) cursor: String,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Parent {
    msg_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = std::collections::HashMap<String, String>)]
    meta: Map<String, Value>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Link {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}

/// The receipt of a message.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Posted {
    pub(crate) msg_id: String,
    #[schema(format = DateTime)]
    pub(crate) timestamp: String,
}

/// Named texts as an object.
pub(crate) fn texts(pairs: &[(String, String)]) -> Map<String, Value> {
    pairs.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str()))).collect()
}

impl From<&core::Message> for Message {
    fn from(message: &core::Message) -> Message {
        let parent = |parent: &core::Parent| Parent {
            msg_id: parent.msg_id.clone(),
            kind: parent.kind.clone(),
            meta: texts(&parent.meta),
        };
        let link = |link: &core::Link| Link {
            url: link.url.clone(),
            label: link.label.clone(),
            kind: link.kind.clone(),
        };
        Message {
            msg_id: message.msg_id.to_string(),
            timestamp: message.time.to_string(),
            r#type: message.msg_type.clone(),
            project_id: message.project_id.clone(),
            task_id: message.task_id.clone(),
            run_id: message.run_id.clone(),
            issue_id: message.issue_id.clone(),
            parents: message.parents.iter().map(parent).collect(),
            links: message.links.iter().map(link).collect(),
            meta: texts(&message.meta),
            body: message.body.clone(),
            cursor: message.cursor.to_string(),
        }
    }
}
