//! What stands behind the question mark of a path.

use super::failure::Failure;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// A query; what nobody asks for is passed over.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

/// Whether a switch is on. A word that is neither `true` nor `false` is refused: who meant a dry run
/// by another one would have things deleted.
pub(crate) fn is_on(name: &str, word: Option<&str>) -> Result<bool, Failure> {
    switch(name, word).map(Option::unwrap_or_default)
}

/// What a switch says, refused as by [`is_on`]; `None` where nothing is said.
pub(crate) fn switch(name: &str, word: Option<&str>) -> Result<Option<bool>, Failure> {
    match word {
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        None | Some("") => Ok(None),
        Some(other) => {
            let message = format!("{name} is {other:?}, which is neither true nor false");
            Err(Failure::bad_request("query.invalid", message))
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Query<T>, Failure> {
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(asked)) => Ok(Query(asked)),
            Err(error) => Err(Failure::bad_request("query.invalid", error.body_text())),
        }
    }
}
