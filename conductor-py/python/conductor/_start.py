"""Starting and finding runs and tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _conductor
from ._conductor import Cancel
from ._reader import Reader
from ._work import Run, Task
from .options import JobOptions, TaskOptions, pairs
from .values import RunInfo, Stopped, TaskInfo

if TYPE_CHECKING:
    # Part of typing since Python 3.11.
    from typing_extensions import Unpack


class Jobs:
    """Starts single runs."""

    def __init__(self, native: _conductor.Conductor) -> None:
        self._native = native

    def start(
        self,
        project: str,
        prompt: str | None = None,
        *,
        agent: str,
        task: str | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[JobOptions],
    ) -> Run:
        """Starts one run. Returns when its agent runs and its record is on disk.

        ``agent`` is ``"claude"``, ``"codex"``, ``"gemini"``, ``"shell"``, or ``"command"`` with a
        ``command``. Without ``task`` one is made of the prompt. All other options are those of
        :class:`conductor.options.JobOptions`. The run lives on without this process.
        """
        given = {"project": project, "prompt": prompt, "agent": agent, "task": task, **options}
        return Run(self._native.start_job(pairs(given), cancel))


class Tasks:
    """Starts and finds tasks."""

    def __init__(self, native: _conductor.Conductor) -> None:
        self._native = native

    def start(
        self,
        project: str,
        task: str | None = None,
        *,
        cancel: Cancel | None = None,
        **options: Unpack[TaskOptions],
    ) -> Task:
        """Starts a task, goes on with one that is unfinished, or attaches to one that somebody drives.

        Attempts of the agent follow each other until a file ``DONE`` stands in the task's folder and
        ``verify`` passes. The next one is started by whoever is inside ``wait`` or ``follow``. The
        options are those of :class:`conductor.options.TaskOptions`: ``agent``, ``prompt``, ...
        """
        given = {"project": project, "task": task, **options}
        return Task(self._native.start_task(pairs(given), False, cancel))

    def resume(
        self,
        project: str,
        task: str,
        *,
        cancel: Cancel | None = None,
        **options: Unpack[TaskOptions],
    ) -> Task:
        """Starts a task that is done or gave up once more, as a continuation.

        Options as :meth:`start`; what is not given stays as it was.
        """
        given = {"project": project, "task": task, **options}
        return Task(self._native.start_task(pairs(given), True, cancel))

    def get(self, project: str, task: str) -> Task:
        """A task that exists, to be looked at, waited for and stopped. It never drives."""
        return Task(self._native.task(project, task, False))

    def attach(self, project: str, task: str) -> Task:
        """A task that was started before, to be driven as it was asked for then."""
        return Task(self._native.task(project, task, True))

    def list(self, project: str, *, status: str | None = None) -> list[TaskInfo]:
        """What is known of each task of a project, by name. One that cannot be read has an ``error``."""
        options = pairs({"project": project, "status": status})
        return [*Reader(self._native.list(options), TaskInfo)]

    def cancel(
        self,
        project: str,
        task: str,
        reason: str | None = None,
        *,
        force: bool = False,
        cancel: Cancel | None = None,
    ) -> Stopped:
        """Marks a task as cancelled and stops it: it is not started again before :meth:`resume`."""
        options = pairs({"reason": reason, "force": force or None})
        return Stopped.from_record(self._native.cancel_task(project, task, options, cancel))

    def set_back(self, project: str, task: str, *, cancel: Cancel | None = None) -> None:
        """Takes ``DONE`` and the mark of a cancelled task away; the next start counts from one.

        Raises :class:`Conflict` while it is driven or a run of it lives.
        """
        self._native.set_back_task(project, task, cancel)

    def delete(
        self, project: str, task: str, *, force: bool = False, cancel: Cancel | None = None
    ) -> None:
        """Deletes a task with all its runs; sums of usage keep what they used.

        ``force`` stops first what lives of it, which else is :class:`Conflict`.
        """
        self._native.delete_task(project, task, pairs({"force": force or None}), cancel)


class Runs:
    """Finds runs."""

    def __init__(self, native: _conductor.Conductor) -> None:
        self._native = native

    def get(self, project: str, task: str, run: str | None = None) -> Run:
        """A run that exists, whoever started it; the newest of the task without ``run``."""
        return Run(self._native.run(project, task, run))

    def list(self, project: str, task: str, *, status: str | None = None) -> list[RunInfo]:
        """What is known of each run of a task, oldest first. One that cannot be read has an ``error``."""
        options = pairs({"project": project, "task": task, "status": status})
        return [*Reader(self._native.list(options), RunInfo)]
