//! The bytes of a run's file, or a range of them: what a page needs that shows a part of a long log.

use super::super::super::app::App;
use super::super::super::calls::Length;
use super::super::super::failure::{ErrorBody, Failure};
use super::super::super::place::InRun;
use super::super::super::query::Query;
use super::super::files::file_of;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::response::Response;
use conductor_core::{OutputFile, RunOutput};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The most that one answer holds, in bytes; a longer range is answered by its beginning.
const MOST: u64 = 4 << 20;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(raw))
}

/// Which file.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Named {
    /// `stdout` (unless said), `stderr`, `prompt` or `output.md`.
    name: Option<String>,
}

/// A part of a file.
struct Part {
    bytes: Vec<u8>,
    from: u64,
    size: u64,
}

/// The bytes of a file of a run
///
/// Answers `Range: bytes=FROM-TO`, `bytes=FROM-` and `bytes=-LAST` with 206 and at most 4 MiB, from the
/// beginning of the range; without a range, with the first 4 MiB. What was cut out of a file that
/// outgrew its limit is told as zeros.
#[utoipa::path(get, path = "/api/projects/{project}/tasks/{task}/runs/{run}/raw", tag = "files",
    params(("project" = String, Path), ("task" = String, Path), ("run" = String, Path), Named,
        ("Range" = Option<String>, Header)),
    responses((status = 200, body = String, content_type = "text/plain; charset=utf-8"),
        (status = 206, body = String, content_type = "text/plain; charset=utf-8"),
        (status = "default", body = ErrorBody)))]
async fn raw(
    State(app): State<App>,
    headers: HeaderMap,
    InRun(project, task, run): InRun,
    Query(named): Query<Named>,
) -> Result<Response, Failure> {
    let file = file_of(named.name.as_deref())?;
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let range = range.and_then(Range::parse);
    let part = app.answer(Length::Short, move |app| {
        let read = || {
            let output = app.conductor().runs().get(&project, &task, &run)?.output(file)?;
            // What the agent printed is not its result.
            match file == OutputFile::Output && output.name() != "output.md" {
                true => Ok(None),
                false => read(output, range).map(Some),
            }
        };
        match read().map_err(|error| app.failure(&error))? {
            Some(part) => Ok(part),
            None => Err(Failure::not_found("output.not_found", "there is no output.md yet")),
        }
    });
    Ok(answer(part.await?, range))
}

fn answer(part: Part, range: Option<Range>) -> Response {
    let Part { bytes, from, size } = part;
    let (length, is_whole) = (bytes.len() as u64, bytes.len() as u64 == size);
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let told = match length {
        0 => format!("bytes */{size}"),
        _ => format!("bytes {from}-{}/{size}", from + length - 1),
    };
    if let Ok(told) = HeaderValue::from_str(&told) {
        headers.insert(header::CONTENT_RANGE, told);
    }
    *response.status_mut() = match (range, length) {
        (Some(_), 0) => StatusCode::RANGE_NOT_SATISFIABLE,
        (None, _) if is_whole => {
            response.headers_mut().remove(header::CONTENT_RANGE);
            StatusCode::OK
        }
        _ => StatusCode::PARTIAL_CONTENT,
    };
    response
}

/// A range of bytes that a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    /// From the first to the last; to the end where there is no last.
    From(u64, Option<u64>),
    /// The last so many.
    Last(u64),
}

impl Range {
    /// Reads the value of the header; several ranges, and what is none, count as not said.
    fn parse(text: &str) -> Option<Range> {
        let (from, to) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
        match (from.trim(), to.trim()) {
            ("", last) => Some(Range::Last(last.parse().ok()?)),
            (from, "") => Some(Range::From(from.parse().ok()?, None)),
            (from, to) => {
                let (from, to) = (from.parse().ok()?, to.parse().ok()?);
                (from <= to).then_some(Range::From(from, Some(to)))
            }
        }
    }

    /// Where it begins and ends in a file of this size; at most `MOST` of it.
    fn within(self, size: u64) -> (u64, u64) {
        let (from, to) = match self {
            Range::From(from, to) => {
                (from.min(size), to.map_or(size, |to| to.saturating_add(1).min(size)))
            }
            Range::Last(count) => (size.saturating_sub(count), size),
        };
        (from, to.min(from.saturating_add(MOST)))
    }
}

fn read(mut output: RunOutput, range: Option<Range>) -> conductor_core::Result<Part> {
    let size = output.size()?;
    let (from, to) = range.unwrap_or(Range::From(0, None)).within(size);
    output.seek(from)?;
    let length = usize::try_from(to - from).unwrap_or(0);
    let mut bytes = Vec::with_capacity(length);
    let mut chunk = vec![0; (64 << 10).min(length)];
    while bytes.len() < length {
        let before = output.offset();
        let most = (length - bytes.len()).min(chunk.len());
        let read = output.read(&mut chunk[..most])?;
        let passed = output.offset() - before;
        if read == 0 && passed == 0 {
            // The file was cut meanwhile.
            break;
        }
        // What stands for a part that was cut out has another length than that part.
        if passed == read as u64 {
            bytes.extend_from_slice(&chunk[..read]);
        } else {
            let zeros = usize::try_from(passed).unwrap_or(usize::MAX).min(length - bytes.len());
            bytes.resize(bytes.len() + zeros, 0);
            skip_note(&mut output)?;
        }
    }
    Ok(Part { bytes, from, size })
}

/// Passes over the rest of the line that stands for a part that was cut out.
fn skip_note(output: &mut RunOutput) -> conductor_core::Result<()> {
    let place = output.offset();
    let mut rest = [0; 512];
    loop {
        if output.read(&mut rest)? == 0 || output.offset() != place {
            return output.seek(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_bounded() {
        let range = |text: &str, size| Range::parse(text).map(|range| range.within(size));
        assert_eq!(range("bytes=0-9", 100), Some((0, 10)));
        assert_eq!(range("bytes=90-", 100), Some((90, 100)));
        assert_eq!(range("bytes=-30", 100), Some((70, 100)));
        assert_eq!(range("bytes=200-300", 100), Some((100, 100)));
        assert_eq!(range("bytes=5-18446744073709551615", 100), Some((5, 100)));
        assert_eq!(range("bytes=0-", 64 << 20), Some((0, MOST)));
        for none in ["", "bytes=9-5", "bytes=x-", "lines=1-2", "bytes=0-1,4-5"] {
            assert_eq!(range(none, 100), None, "{none}");
        }
    }
}
