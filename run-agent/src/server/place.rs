//! The project, task and run that a path or a query names: parsing is validating.

use super::failure::Failure;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use conductor_core::{Error, ProjectId, RunId, TaskId};

/// A project in the path.
#[derive(Debug)]
pub(crate) struct InProject(pub(crate) ProjectId);

/// A task in the path.
#[derive(Debug)]
pub(crate) struct InTask(pub(crate) ProjectId, pub(crate) TaskId);

/// A run in the path.
#[derive(Debug)]
pub(crate) struct InRun(pub(crate) ProjectId, pub(crate) TaskId, pub(crate) RunId);

/// A task alone in the path.
#[derive(Debug)]
pub(crate) struct SomeTask(pub(crate) TaskId);

/// A run alone in the path.
#[derive(Debug)]
pub(crate) struct SomeRun(pub(crate) RunId);

/// The part of the path that has this name, decoded once.
struct Names(RawPathParams);

impl Names {
    async fn of<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Names, Failure> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        params.map(Names).map_err(|_| Failure::bad_request("path.invalid", "the path is not UTF-8"))
    }

    fn id<T>(&self, name: &str, parse: fn(&str) -> Result<T, Error>) -> Result<T, Failure> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        checked(parse(found.map(|(_, text)| text).unwrap_or_default()))
    }
}

/// An id that was given, or why it is none.
pub(crate) fn checked<T>(id: Result<T, Error>) -> Result<T, Failure> {
    id.map_err(|error| Failure::of_words(&error))
}

/// A project that was named in a query or a body.
pub(crate) fn project(text: &str) -> Result<ProjectId, Failure> {
    named("project_id", text).and_then(|text| checked(ProjectId::new(text)))
}

/// A task that was named in a query or a body.
pub(crate) fn task(text: &str) -> Result<TaskId, Failure> {
    named("task_id", text).and_then(|text| checked(TaskId::new(text)))
}

fn named<'a>(name: &str, text: &'a str) -> Result<&'a str, Failure> {
    match text.trim() {
        "" => Err(Failure::bad_request("id.missing", format!("{name} is required"))),
        text => Ok(text),
    }
}

macro_rules! extractor {
    ($name:ident { $($part:literal $kind:ident),* }) => {
        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Failure;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
                let names = Names::of(parts, state).await?;
                Ok($name($(names.id($part, |text| $kind::new(text))?),*))
            }
        }
    };
}

extractor!(InProject { "project" ProjectId });
extractor!(InTask { "project" ProjectId, "task" TaskId });
extractor!(InRun { "project" ProjectId, "task" TaskId, "run" RunId });
extractor!(SomeTask { "task" TaskId });
extractor!(SomeRun { "run" RunId });
