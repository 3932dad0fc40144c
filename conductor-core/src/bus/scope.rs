//! Whose bus it is.

use crate::error::{Error, Result};
use crate::id::{ProjectId, TaskId};

/// A project, or a task of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The project.
    pub project: ProjectId,
    /// The task, where the bus is a task's own.
    pub task: Option<TaskId>,
}

impl From<ProjectId> for Scope {
    fn from(project: ProjectId) -> Scope {
        Scope { project, task: None }
    }
}

impl From<(ProjectId, TaskId)> for Scope {
    fn from((project, task): (ProjectId, TaskId)) -> Scope {
        Scope { project, task: Some(task) }
    }
}

impl TryFrom<&str> for Scope {
    type Error = Error;

    fn try_from(project: &str) -> Result<Scope> {
        Ok(ProjectId::new(project)?.into())
    }
}

impl TryFrom<(&str, &str)> for Scope {
    type Error = Error;

    fn try_from((project, task): (&str, &str)) -> Result<Scope> {
        Ok((ProjectId::new(project)?, TaskId::new(task)?).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_make_scopes_and_bad_names_are_refused_by_field() {
        let scope = Scope::try_from(("shop", "fix-login")).unwrap();
        assert_eq!(scope.task.as_ref().unwrap().as_str(), "fix-login");
        assert_eq!(Scope::try_from("shop").unwrap().task, None);
        assert_eq!(Scope::try_from(("shop", "..")).unwrap_err().field(), Some("task"));
    }
}
