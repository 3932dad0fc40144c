"""Roots, runs, tasks and buses, around the compiled handles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar, Union

from . import _conductor
from ._conductor import Cancel
from .errors import Timeout
from .options import Duration, StrPath, pairs, timeout as _seconds
from .values import (
    Message,
    Output,
    Posted,
    Project,
    RunInfo,
    Stopped,
    TaskInfo,
    TaskResult,
    Value,
)

_V = TypeVar("_V", bound=Value)
_W = TypeVar("_W", bound="Union[Run, Task]")

Texts = Union[str, Iterable[str]]
"""One text, or several."""


class Reader(Generic[_V]):
    """Values one after the other. An iterator; ``next(timeout)`` waits for one at most so long.

    One thread at a time reads. ``close()``, or the end of a ``with``, lets go of it.
    """

    def __init__(
        self,
        records: _conductor.Records,
        to: type[_V],
        timeout: Duration | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        self._records: _conductor.Records | None = records
        self._to = to
        self._timeout = timeout
        self._cancel = cancel
        self._deadline = _deadline(_seconds(timeout))

    def __iter__(self) -> Iterator[_V]:
        return self

    def __next__(self) -> _V:
        """The next value. Ends with what is read, or when the timeout that it was made with is over."""
        try:
            value = self._next(_left(self._deadline))
        except Timeout:
            raise StopIteration from None
        if value is None:
            raise StopIteration
        return value

    def next(self, timeout: Duration | None = None) -> _V | None:
        """Waits for the next value; ``None`` is the end.

        Raises :class:`Timeout` when there is none in time; one can ask again.
        """
        return self._next(_seconds(timeout))

    def _next(self, timeout: float | None) -> _V | None:
        if self._records is None:
            return None
        record = self._records.next(timeout, self._cancel)
        return None if record is None else self._to.from_record(record)

    def fileno(self) -> int:
        """A descriptor that becomes readable when there may be more; -1 where nothing is waited for."""
        return -1 if self._records is None else self._records.fileno()

    def step(self) -> tuple[bool, _V | None]:
        """Without waiting: whether there is an answer, and the value; no value is the end."""
        if self._records is None:
            return True, None
        there, record = self._records.step()
        return there, None if record is None else self._to.from_record(record)

    def close(self) -> None:
        """Lets go of what is read."""
        self._records = None

    def __enter__(self) -> Reader[_V]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Conductor:
    """An opened root. A context manager; leaving it ends no work."""

    def __init__(
        self,
        root: StrPath | None = None,
        *,
        run_agent: StrPath | None = None,
        durability: str | None = None,
    ) -> None:
        if run_agent is None:
            run_agent = _own_run_agent()
        options = pairs({"run_agent": run_agent, "durability": durability})
        path = None if root is None else Path(root)
        self._native = _conductor.Conductor(path, options)
        self.tasks = Tasks(self._native)
        """Tasks: start, come back, list."""
        self.jobs = Jobs(self._native)
        """Single runs: start."""
        self.runs = Runs(self._native)
        """Runs that exist: come back, list."""

    @property
    def root(self) -> Path:
        """The root's folder."""
        return self._native.root()

    def bus(self, project: str, task: str | None = None) -> Bus:
        """The bus of a project; with ``task``, of that task."""
        return Bus(self._native.bus(project, task))

    def projects(self) -> list[Project]:
        """The projects, by name."""
        return list(Reader(self._native.list([]), Project))

    def reconcile(self, *, cancel: Cancel | None = None) -> list[RunInfo]:
        """Writes down the ends of runs that nobody saw ending, once in all; gives their records."""
        return list(Reader(self._native.reconcile(cancel), RunInfo))

    def close(self) -> None:
        """Lets go of the root. What runs goes on, and what was opened from it stays open."""
        self._native.close()

    def __enter__(self) -> Conductor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        try:
            return f"<Conductor {str(self.root)!r}>"
        except ValueError:
            return "<Conductor, closed>"


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
        command: Texts | None = None,
        prompt_file: StrPath | None = None,
        cwd: StrPath | None = None,
        parent_run_id: str | None = None,
        previous_run_id: str | None = None,
        env: Mapping[str, str] | None = None,
        first_byte_timeout: Duration | None = None,
        idle_timeout: Duration | None = None,
        total_timeout: Duration | None = None,
        grace: Duration | None = None,
        cancel: Cancel | None = None,
    ) -> Run:
        """Starts one run. Returns when its agent runs and its record is on disk.

        ``agent`` is ``"claude"``, ``"codex"``, ``"gemini"``, ``"shell"``, or ``"command"`` with a
        ``command``. Without ``task`` one is made of the prompt. The run lives on without this process.
        """
        given = {key: value for key, value in locals().items() if key not in ("self", "cancel")}
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
        agent: str | None = None,
        prompt: str | None = None,
        prompt_file: StrPath | None = None,
        command: Texts | None = None,
        cwd: StrPath | None = None,
        parent_run_id: str | None = None,
        env: Mapping[str, str] | None = None,
        first_byte_timeout: Duration | None = None,
        idle_timeout: Duration | None = None,
        total_timeout: Duration | None = None,
        grace: Duration | None = None,
        depends_on: Texts | None = None,
        max_attempts: int | None = None,
        restart_delay: Duration | None = None,
        child_wait_timeout: Duration | None = None,
        verify: str | None = None,
        verify_timeout: Duration | None = None,
        on_question: str | None = None,
        question_timeout: Duration | None = None,
        cancel: Cancel | None = None,
    ) -> Task:
        """Starts a task, goes on with one that is unfinished, or attaches to one that somebody drives.

        Attempts of the agent follow each other until a file ``DONE`` stands in the task's folder and
        ``verify`` passes. The next one is started by whoever is inside ``wait`` or ``follow``.
        """
        given = {key: value for key, value in locals().items() if key not in ("self", "cancel")}
        return Task(self._native.start_task(pairs(given), False, cancel))

    def resume(
        self,
        project: str,
        task: str,
        *,
        agent: str | None = None,
        prompt: str | None = None,
        prompt_file: StrPath | None = None,
        command: Texts | None = None,
        cwd: StrPath | None = None,
        parent_run_id: str | None = None,
        env: Mapping[str, str] | None = None,
        first_byte_timeout: Duration | None = None,
        idle_timeout: Duration | None = None,
        total_timeout: Duration | None = None,
        grace: Duration | None = None,
        depends_on: Texts | None = None,
        max_attempts: int | None = None,
        restart_delay: Duration | None = None,
        child_wait_timeout: Duration | None = None,
        verify: str | None = None,
        verify_timeout: Duration | None = None,
        on_question: str | None = None,
        question_timeout: Duration | None = None,
        cancel: Cancel | None = None,
    ) -> Task:
        """Starts a task that is done or gave up once more, as a continuation.

        What is not given stays as it was.
        """
        given = {key: value for key, value in locals().items() if key not in ("self", "cancel")}
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


class Run:
    """One execution of one agent, whoever started it. Letting go of it ends nothing."""

    def __init__(self, native: _conductor.Run) -> None:
        self._native = native
        self.project, self.task, self.id = native.ids()

    @property
    def info(self) -> RunInfo:
        """What is known of it now."""
        return RunInfo.from_record(self._native.info())

    def wait(self, timeout: Duration | None = None, *, cancel: Cancel | None = None) -> RunInfo:
        """Waits for its end. Raises :class:`Timeout` when that does not come in time."""
        return RunInfo.from_record(self._native.wait(_seconds(timeout), cancel))

    def output(self, file: str = "output", *, tail: int | None = None) -> str:
        """What it wrote: its final text, and what the agent printed while there is none.

        ``file``: ``"output"``, ``"stdout"``, ``"stderr"`` or ``"prompt"``; ``tail``: the last lines.
        """
        options = pairs({"file": file, "tail": tail})
        pieces = Reader(self._native.output(options), Output)
        return "".join(piece.text for piece in pieces)

    def follow(
        self,
        file: str = "stdout",
        *,
        tail: int | None = None,
        timeout: Duration | None = None,
        cancel: Cancel | None = None,
    ) -> Reader[Output]:
        """What it writes, as it comes, until it is over."""
        options = pairs({"file": file, "tail": tail, "follow": True})
        return Reader(self._native.output(options), Output, timeout, cancel)

    def stop(
        self, reason: str | None = None, *, force: bool = False, cancel: Cancel | None = None
    ) -> Stopped:
        """Ends it: SIGTERM to its whole tree, its grace, SIGKILL, until nothing is left.

        ``force`` leaves the grace out. A run that is over already is no error.
        """
        options = pairs({"reason": reason, "force": force or None})
        return Stopped.from_record(self._native.stop(options, cancel))

    def fileno(self) -> int:
        """A descriptor that becomes readable when :meth:`step` may find its end."""
        return self._native.fileno()

    def step(self) -> RunInfo | None:
        """One look, without waiting: how it ended, or ``None``."""
        record = self._native.step()
        return None if record is None else RunInfo.from_record(record)

    def __repr__(self) -> str:
        return f"<Run {self.project}/{self.task}/{self.id}>"


class Task:
    """Runs of an agent until ``DONE`` stands. Letting go of it ends nothing."""

    def __init__(self, native: _conductor.Task) -> None:
        self._native = native
        self.project, self.id = native.ids()

    @property
    def info(self) -> TaskInfo:
        """What is known of it now. Drives nothing."""
        return TaskInfo.from_record(self._native.info())

    def wait(self, timeout: Duration | None = None, *, cancel: Cancel | None = None) -> TaskResult:
        """Drives it until it ends. Raises :class:`Timeout` when that does not come in time."""
        return TaskResult.from_record(self._native.wait(_seconds(timeout), cancel))

    def follow(
        self,
        *,
        after: str | None = None,
        type: Texts | None = None,
        run: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        timeout: Duration | None = None,
        cancel: Cancel | None = None,
    ) -> Reader[Message]:
        """Drives it and gives the messages of its bus, from the beginning of its present loop.

        Ends with the task, or when ``timeout`` is over; :meth:`wait` then says which.
        """
        filters = {"after": after, "type": type, "run": run, "since": since, "until": until}
        return Reader(self._native.follow(pairs(filters)), Message, timeout, cancel)

    def stop(
        self, reason: str | None = None, *, force: bool = False, cancel: Cancel | None = None
    ) -> Stopped:
        """Stops it for good: its loop, and everything that its attempt started."""
        options = pairs({"reason": reason, "force": force or None})
        return Stopped.from_record(self._native.stop(options, cancel))

    def fileno(self) -> int:
        """A descriptor that becomes readable when :meth:`step` may have something to do."""
        return self._native.fileno()

    def step(self) -> TaskResult | None:
        """Does what it needs now, without waiting: how it ended, or ``None``."""
        record = self._native.step()
        return None if record is None else TaskResult.from_record(record)

    def __repr__(self) -> str:
        return f"<Task {self.project}/{self.id}>"


class Bus:
    """The message log of a project or a task. Any number of processes post to it and follow it."""

    def __init__(self, native: _conductor.Bus) -> None:
        self._native = native

    @property
    def path(self) -> Path:
        """The file."""
        return self._native.path()

    def post(
        self,
        type: str,
        body: str,
        *,
        run: str | None = None,
        parent: Texts | None = None,
        link: Texts | None = None,
        meta: Mapping[str, str] | None = None,
        once: str | None = None,
        wait: Duration | None = None,
        cancel: Cancel | None = None,
    ) -> Posted:
        """Posts a message. Once it returns, the message survives what the root was opened for.

        ``type``: 1 to 64 of ``A-Z 0-9 _ / -``. ``body``: at most 1 MiB. ``once``: a key; nothing is
        posted where a message has it. ``wait``: at most so long for other writers, 10 s unless given.
        Of the errors only ``bus.unknown`` leaves open whether the message is there.
        """
        given = {
            "run": run, "parent": parent, "link": link, "meta": meta, "once": once, "wait": wait
        }
        return Posted.from_record(self._native.post(type, body, pairs(given), cancel))

    def read(
        self,
        *,
        after: str | None = None,
        tail: int | None = None,
        type: Texts | None = None,
        run: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Reader[Message]:
        """What is there, oldest first. Damage is an item whose ``kind`` is not ``"message"``."""
        filters = {
            "after": after, "tail": tail, "type": type, "run": run, "since": since, "until": until
        }
        return Reader(self._native.read(pairs(filters)), Message)

    def tail(self, count: int) -> list[Message]:
        """The last messages, oldest first."""
        return list(self.read(tail=count))

    def follow(
        self,
        *,
        after: str | None = None,
        tail: int | None = None,
        type: Texts | None = None,
        run: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        timeout: Duration | None = None,
        cancel: Cancel | None = None,
    ) -> Reader[Message]:
        """What comes after a cursor, as it comes; everything that is there first, without one.

        Ends when ``timeout`` is over. ``after="end"`` is for news alone.
        """
        filters: dict[str, Any] = {
            "after": after, "tail": tail, "type": type, "run": run, "since": since, "until": until
        }
        return Reader(self._native.read(pairs({**filters, "follow": True})), Message, timeout, cancel)

    def __repr__(self) -> str:
        return f"<Bus {str(self.path)!r}>"


def open(
    root: StrPath | None = None,
    *,
    run_agent: StrPath | None = None,
    durability: str | None = None,
) -> Conductor:
    """Opens a root, which need not exist yet. Changes nothing on disk.

    Without ``root``: ``CONDUCTOR_ROOT`` of the environment, inside an agent the root of its task, else
    ``~/run-agent``. ``run_agent``: a working ``run-agent``, which agents find first on their ``PATH``;
    without one they are not told of the bus. ``durability``: what a message survives, ``"disk"`` (a
    power cut) or ``"process"`` (the death of any process).
    """
    return Conductor(root, run_agent=run_agent, durability=durability)


def as_completed(
    work: Iterable[_W], timeout: Duration | None = None, *, cancel: Cancel | None = None
) -> Iterator[_W]:
    """Gives runs and tasks as they end, in one thread; tasks among them are driven meanwhile.

    Raises :class:`Timeout` when they have not all ended in time.
    """
    left: list[_W] = list(work)
    end = _deadline(_seconds(timeout))
    while left:
        natives: Sequence[_conductor.Run | _conductor.Task] = [one._native for one in left]
        yield left.pop(_conductor.wait_any(natives, _left(end), cancel))


def _deadline(timeout: float | None) -> float | None:
    import time

    return None if timeout is None else time.monotonic() + timeout


def _left(deadline: float | None) -> float | None:
    import time

    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _own_run_agent() -> str | None:
    """The ``run-agent`` that was installed together with this package."""
    import sysconfig

    program = Path(sysconfig.get_path("scripts")) / "run-agent"
    return str(program) if program.is_file() else None
