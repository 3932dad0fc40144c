//! Looking for a text in a file of a run, a piece of the file at a time.

use super::super::super::answer::Json;
use super::super::super::app::App;
use super::super::super::failure::{ErrorBody, Failure};
use super::super::super::place::InRun;
use super::super::super::query::Query;
use super::super::files::file_of;
use axum::extract::State;
use conductor_core::{Result, RunOutput};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How much of a file one answer looks through, in bytes.
const SPAN: u64 = 32 << 20;
/// How much is read at once, in bytes.
const CHUNK: usize = 1 << 20;
/// The most places of one answer.
const PLACES: usize = 500;
/// The longest text that is looked for, in bytes.
const LONGEST: usize = 256;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(search))
}

/// What to look for, and where.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// `stdout` (unless said), `stderr`, `prompt` or `output.md`.
    name: Option<String>,
    /// The text; letters of ASCII are found in either case.
    text: String,
    /// Where to begin, in bytes.
    from: Option<u64>,
}

#[derive(Serialize, ToSchema)]
struct Found {
    /// Where the text stands, in bytes from the beginning of the file.
    places: Vec<u64>,
    /// Where to go on, where the file goes on behind what was looked through.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
    /// The length of the file.
    size: u64,
}

/// Where a text stands in a file of a run
///
/// Looks through 32 MiB at a time and tells at most 500 places; `next` says where to go on.
#[utoipa::path(get, path = "/api/projects/{project}/tasks/{task}/runs/{run}/search", tag = "files",
    params(("project" = String, Path), ("task" = String, Path), ("run" = String, Path), Asked),
    responses((status = 200, body = Found), (status = "default", body = ErrorBody)))]
async fn search(
    State(app): State<App>,
    InRun(project, task, run): InRun,
    Query(asked): Query<Asked>,
) -> std::result::Result<Json<Found>, Failure> {
    let file = file_of(asked.name.as_deref())?;
    if asked.text.is_empty() || asked.text.len() > LONGEST {
        let message = format!("a text of 1 to {LONGEST} bytes is wanted");
        return Err(Failure::bad_request("search.text", message));
    }
    let found = app.call(move |conductor| {
        let output = conductor.runs().get(&project, &task, &run)?.output(file)?;
        look(output, asked.text.as_bytes(), asked.from.unwrap_or(0))
    });
    Ok(Json(found.await?))
}

fn look(mut output: RunOutput, text: &[u8], from: u64) -> Result<Found> {
    let size = output.size()?;
    let mut found = Found { places: Vec::new(), next: None, size };
    let end = from.saturating_add(SPAN).min(size);
    // The end of each piece is looked at again with the next: the text may stand across the border.
    let across = text.len() - 1;
    let (mut place, mut bytes) = (from.min(size), vec![0; CHUNK + across]);
    while place < end {
        output.seek(place)?;
        let mut filled = 0;
        while filled < bytes.len() {
            let before = output.offset();
            let read = output.read(&mut bytes[filled..])?;
            if read == 0 || output.offset() - before != read as u64 {
                break;
            }
            filled += read;
        }
        // Behind a part that was cut out it goes on at its end.
        let behind = output.offset().max(place + 1);
        for at in places(&bytes[..filled], text) {
            // One that stands in what the next piece looks at again is told by that.
            if at >= CHUNK {
                break;
            }
            found.places.push(place + at as u64);
            if found.places.len() == PLACES {
                found.next = Some(place + at as u64 + 1);
                return Ok(found);
            }
        }
        place = if filled == bytes.len() { place + CHUNK as u64 } else { behind };
    }
    found.next = Some(place).filter(|place| *place < size);
    Ok(found)
}

/// Where a text stands, in either case of ASCII letters.
fn places<'a>(bytes: &'a [u8], text: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let first = text.first().copied().unwrap_or_default();
    let cases = [first.to_ascii_lowercase(), first.to_ascii_uppercase()];
    let last = (bytes.len() + 1).saturating_sub(text.len());
    let begins = bytes[..last.min(bytes.len())]
        .iter()
        .enumerate()
        .filter(move |(_, byte)| **byte == cases[0] || **byte == cases[1]);
    begins
        .map(|(at, _)| at)
        .filter(move |at| bytes[*at..*at + text.len()].eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_in_either_case() {
        let found =
            |bytes: &str, text: &str| places(bytes.as_bytes(), text.as_bytes()).collect::<Vec<_>>();
        assert_eq!(found("an Error, an eRROR", "error"), [3, 13]);
        assert_eq!(found("aaaa", "aa"), [0, 1, 2]);
        assert_eq!(found("abc", "abc"), [0]);
        assert_eq!(found("ab", "abc"), [0_usize; 0]);
        assert_eq!(found("", "a"), [0_usize; 0]);
        assert_eq!(found("x\u{20ac}y", "\u{20ac}"), [1]);
    }
}
