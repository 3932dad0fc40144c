//! What the document of the routes says of all of them alike: ids, the token, the forms of errors.

use serde_json::{Map, Value, json};

/// Ids in paths, by their names there.
const IDS: [(&str, &str); 3] = [("project", "ProjectId"), ("task", "TaskId"), ("run", "RunId")];
/// What an id looks like; the library knows the rest, as that `runs` is none.
const ID: &str = "^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?$";
/// The media type of RFC 9457.
const PROBLEM: &str = "application/problem+json";

/// Completes a document that was made from the routes.
pub(super) fn complete(mut document: Value) -> Value {
    let components = &mut document["components"];
    for (_, name) in IDS {
        components["schemas"][name] = json!({"type": "string", "pattern": ID});
    }
    components["schemas"]["Unauthorized"] = json!({
        "type": "object",
        "description": "The answer to a token that is missing or wrong.",
        "required": ["error", "message"],
        "properties": {"error": {"type": "string"}, "message": {"type": "string"}},
    });
    components["securitySchemes"] = json!({
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    });
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    let operations = paths.flat_map(|(_, methods)| methods.as_object_mut().into_iter().flatten());
    for (method, operation) in operations {
        complete_operation(method, operation);
    }
    document
}

fn complete_operation(method: &str, operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let id = IDS.iter().find(|(name, _)| parameter["name"] == *name);
        if let Some((_, schema)) = id.filter(|_| parameter["in"] == "path") {
            parameter["schema"] = json!({"$ref": format!("#/components/schemas/{schema}")});
        }
    }
    let reads = method == "get";
    // Reads want it only where that is switched on.
    let mut wanted = vec![json!({"bearer": []}), json!({"key": []})];
    wanted.extend(reads.then(|| json!({})));
    operation["security"] = wanted.into();
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for response in responses.values_mut().filter(|response| response["description"].is_null()) {
        response["description"] = "a success".into();
    }
    let streams = responses.get("200").is_some_and(|ok| content(ok).contains_key(STREAM));
    if reads && !streams {
        responses.insert("304".to_owned(), json!({"description": "nothing changed since"}));
    }
    responses.insert(
        "401".to_owned(),
        json!({
            "description": "the token is missing or wrong",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Unauthorized"}}},
        }),
    );
    // What refuses a request before it comes to its route answers so too.
    responses.insert(
        "default".to_owned(),
        json!({
            "description": "an error",
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}},
                PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}},
            },
        }),
    );
}

/// The media type of streams.
const STREAM: &str = "text/event-stream";

fn content(response: &Value) -> Map<String, Value> {
    response["content"].as_object().cloned().unwrap_or_default()
}
