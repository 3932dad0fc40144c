"""Runs and tasks that exist, and waiting for many of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar, Union

from . import _conductor
from ._conductor import Cancel
from ._reader import Messages, Reader, deadline, left
from .options import Duration, Texts, pairs, timeout as _seconds
from .values import Message, Output, RunInfo, Stopped, TaskInfo, TaskResult, Why

_W = TypeVar("_W", bound="Union[Run, Task]")


class Run:
    """One execution of one agent, whoever started it. Letting go of it ends nothing."""

    def __init__(self, native: _conductor.Run) -> None:
        self._native = native
        self.project, self.task, self.id = native.ids()

    @property
    def info(self) -> RunInfo:
        """What is known of it now."""
        return RunInfo.from_record(self._native.info())

    def why(self) -> Why:
        """Why it stands where it stands: the evidence, and what to do next."""
        return Why.from_record(self._native.why())

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
        return Messages(self._native.follow(pairs(filters)), timeout, cancel)

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


def as_completed(
    work: Iterable[_W], timeout: Duration | None = None, *, cancel: Cancel | None = None
) -> Iterator[_W]:
    """Gives runs and tasks as they end, in one thread; tasks among them are driven meanwhile.

    Raises :class:`Timeout` when they have not all ended in time.
    """
    waiting: list[_W] = list(work)
    end = deadline(_seconds(timeout))
    while waiting:
        natives: Sequence[_conductor.Run | _conductor.Task] = [one._native for one in waiting]
        yield waiting.pop(_conductor.wait_any(natives, left(end), cancel))
