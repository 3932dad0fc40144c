"""A root for each test; what was started in it and still lives is stopped in the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import conductor


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("JRUN_ID", "JRUN_TASK_FOLDER", "JRUN_PROJECT_ID", "CONDUCTOR_ROOT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "root"


@pytest.fixture
def c(root: Path) -> Iterator[conductor.Conductor]:
    with conductor.open(root) as opened:
        yield opened
        if not root.exists():
            return
        for project in opened.projects():
            for task in opened.tasks.list(project.project_id):
                latest = task.latest
                if latest is not None and latest.alive:
                    assert latest.project_id and latest.task_id and latest.run_id
                    run = opened.runs.get(latest.project_id, latest.task_id, latest.run_id)
                    run.stop("the test is over", force=True)


@pytest.fixture
def bus(c: conductor.Conductor) -> conductor.Bus:
    c.jobs.start("shop", "true", agent="shell", task="one").wait("1m")
    return c.bus("shop", "one")
