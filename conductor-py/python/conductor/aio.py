"""The same names for asyncio. Waits are descriptors of the event loop: none of them takes a thread.

::

    async with conductor.aio.open() as c:
        task = await c.tasks.start("shop", "fix-login", agent="claude", prompt="...")
        async for message in task.follow():
            print(message.type, message.body)
        result = await task.wait()

A task is driven by whoever awaits it: its next attempt is started in a callback of the loop, which takes
some milliseconds. What is short but may block (opening, starting, posting, stopping) runs in the loop's
thread pool. Cancelling a wait ends the wait, never the work.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Union

from . import _bus, _gc, _root, _start, _update, _work
from ._conductor import Cancel
from ._reader import Reader, deadline, left
from .errors import Timeout
from .options import Duration, JobOptions, StrPath, TaskOptions, timeout as _seconds
from .values import (
    BusCheck,
    Finding,
    GcItem,
    GcPlanInfo,
    GcReport,
    Message,
    Output,
    Posted,
    Project,
    Rotation,
    RunInfo,
    Stopped,
    TaskInfo,
    TaskResult,
    UpdateStatus,
    UsageReport,
    Value,
    Why,
)

if TYPE_CHECKING:
    # Part of typing since Python 3.11.
    from typing_extensions import Self, Unpack

__all__ = ["Bus", "Conductor", "Follow", "GcPlan", "GcWork", "Run", "Task", "as_completed", "open"]

_T = TypeVar("_T")
_V = TypeVar("_V", bound=Value)


async def _until(
    fileno: int, step: Callable[[], tuple[bool, _T]], timeout: Duration | None
) -> _T:
    """Steps until there is an answer, each time the descriptor is readable."""
    there, answer = step()
    if there:
        return answer
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()
    # A copy: several may wait for one thing, and a loop knows a descriptor once.
    fd = os.dup(fileno)

    def look() -> None:
        if future.done():
            return
        try:
            there, answer = step()
        except BaseException as error:  # noqa: BLE001 - it is passed on, whatever it is
            future.set_exception(error)
        else:
            if there:
                future.set_result(answer)

    loop.add_reader(fd, look)
    try:
        return await asyncio.wait_for(future, _seconds(timeout))
    except asyncio.TimeoutError:
        message = "the deadline of the wait passed"
        raise Timeout(message, code="wait.timeout", hint="wait again, or not") from None
    finally:
        loop.remove_reader(fd)
        os.close(fd)


async def _in_thread(work: Callable[[Cancel], _T]) -> _T:
    """Work in the loop's thread pool, which ends soon once the wait for it is cancelled."""
    cancel = Cancel()
    try:
        return await asyncio.to_thread(work, cancel)
    except asyncio.CancelledError:
        cancel.set()
        raise


class Follow(Generic[_V]):
    """Values as they come, for ``async for``. ``async with`` or ``aclose()`` lets go of them."""

    def __init__(self, reader: Reader[_V], timeout: Duration | None) -> None:
        self._reader = reader
        self._deadline = deadline(_seconds(timeout))

    def __aiter__(self) -> AsyncIterator[_V]:
        return self

    async def __anext__(self) -> _V:
        try:
            value = await self.next(left(self._deadline))
        except Timeout:
            raise StopAsyncIteration from None
        if value is None:
            raise StopAsyncIteration
        return value

    async def next(self, timeout: Duration | None = None) -> _V | None:
        """Waits for the next value; ``None`` is the end. Raises :class:`conductor.Timeout`."""
        return await _until(self._reader.fileno(), self._reader.step, timeout)

    async def commit(self) -> None:
        """Keeps the place behind the last message that was given, as :meth:`conductor.Reader.commit`."""
        await asyncio.to_thread(self._reader.commit)

    async def aclose(self) -> None:
        """Lets go of what is read."""
        self._reader.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class GcWork(Follow[GcItem]):
    """Things one after the other that take work to tell of: each is done in the loop's thread pool."""

    def __init__(self, reader: Reader[GcItem]) -> None:
        super().__init__(reader, None)

    async def next(self, timeout: Duration | None = None) -> GcItem | None:
        """The next thing; ``None`` is the end. Raises :class:`conductor.Timeout`.

        Cancelling ends the work between two things; it can be gone on with.
        """
        return await _in_thread(lambda cancel: self._reader._next(_seconds(timeout), cancel))

    @property
    def report(self) -> GcReport:
        """What was done so far, where a plan is carried out."""
        assert isinstance(self._reader, _gc.GcWork)
        return self._reader.report


class GcPlan:
    """What garbage collection would do."""

    def __init__(self, plan: _gc.GcPlan) -> None:
        self.sync = plan
        """The same plan for code that is not asynchronous."""

    @property
    def info(self) -> GcPlanInfo:
        """The plan as a whole."""
        return self.sync.info

    def items(self) -> GcWork:
        """Everything that is judged, as :meth:`conductor.GcPlan.items`."""
        return GcWork(self.sync.items())

    def actions(self) -> GcWork:
        """What is to be done."""
        return GcWork(self.sync.actions())

    def work(self) -> GcWork:
        """Carries it out as it is read, as :meth:`conductor.GcPlan.work`."""
        return GcWork(self.sync.work())

    async def apply(self, timeout: Duration | None = None) -> GcReport:
        """Carries it out. Cancelling ends it between two things; what was done is done."""
        return await _in_thread(lambda cancel: self.sync.apply(timeout, cancel=cancel))


class _Gc:
    def __init__(self, gc: _gc.Gc) -> None:
        self._gc = gc

    async def plan(self, **options: Any) -> GcPlan:
        """Looks at the root; options as :meth:`conductor.Gc.plan`."""
        return GcPlan(await _in_thread(lambda cancel: self._gc.plan(cancel=cancel, **options)))

    async def plan_again(self, plan: str, timeout: Duration | None = None) -> GcPlan:
        """Makes a plan again of its text."""
        again = await _in_thread(lambda cancel: self._gc.plan_again(plan, timeout, cancel=cancel))
        return GcPlan(again)


class Run:
    """One execution of one agent, whoever started it."""

    def __init__(self, run: _work.Run) -> None:
        self.sync = run
        """The same run for code that is not asynchronous."""
        self.project, self.task, self.id = run.project, run.task, run.id

    @property
    def info(self) -> RunInfo:
        """What is known of it now."""
        return self.sync.info

    async def wait(self, timeout: Duration | None = None) -> RunInfo:
        """Waits for its end."""

        def step() -> tuple[bool, RunInfo | None]:
            end = self.sync.step()
            return end is not None, end

        end = await _until(self.sync.fileno(), step, timeout)
        assert end is not None
        return end

    async def why(self) -> Why:
        """Why it stands where it stands."""
        return await asyncio.to_thread(self.sync.why)

    async def output(self, file: str = "output", *, tail: int | None = None) -> str:
        """What it wrote."""
        return await asyncio.to_thread(self.sync.output, file, tail=tail)

    def follow(
        self, file: str = "stdout", *, tail: int | None = None, timeout: Duration | None = None
    ) -> Follow[Output]:
        """What it writes, as it comes, until it is over."""
        return Follow(self.sync.follow(file, tail=tail), timeout)

    async def stop(self, reason: str | None = None, *, force: bool = False) -> Stopped:
        """Ends it, and all that it started."""
        return await _in_thread(
            lambda cancel: self.sync.stop(reason, force=force, cancel=cancel)
        )

    def __repr__(self) -> str:
        return repr(self.sync)


class Task:
    """Runs of an agent until ``DONE`` stands."""

    def __init__(self, task: _work.Task) -> None:
        self.sync = task
        """The same task for code that is not asynchronous."""
        self.project, self.id = task.project, task.id

    @property
    def info(self) -> TaskInfo:
        """What is known of it now."""
        return self.sync.info

    async def wait(self, timeout: Duration | None = None) -> TaskResult:
        """Drives it until it ends."""

        def step() -> tuple[bool, TaskResult | None]:
            result = self.sync.step()
            return result is not None, result

        result = await _until(self.sync.fileno(), step, timeout)
        assert result is not None
        return result

    def follow(self, *, timeout: Duration | None = None, **filters: Any) -> Follow[Message]:
        """Drives it and gives the messages of its bus; filters as :meth:`conductor.Task.follow`."""
        return Follow(self.sync.follow(**filters), timeout)

    async def stop(self, reason: str | None = None, *, force: bool = False) -> Stopped:
        """Stops it for good."""
        return await _in_thread(
            lambda cancel: self.sync.stop(reason, force=force, cancel=cancel)
        )

    def __repr__(self) -> str:
        return repr(self.sync)


class Bus:
    """The message log of a project or a task."""

    def __init__(self, bus: _bus.Bus) -> None:
        self.sync = bus
        """The same bus for code that is not asynchronous."""

    async def post(self, type: str, body: str, **options: Any) -> Posted:
        """Posts a message; options as :meth:`conductor.Bus.post`."""
        return await _in_thread(
            lambda cancel: self.sync.post(type, body, cancel=cancel, **options)
        )

    async def tail(self, count: int) -> list[Message]:
        """The last messages, oldest first."""
        return await asyncio.to_thread(self.sync.tail, count)

    def follow(self, *, timeout: Duration | None = None, **filters: Any) -> Follow[Message]:
        """What comes, as it comes; filters as :meth:`conductor.Bus.follow`."""
        return Follow(self.sync.follow(**filters), timeout)

    async def rotate(self, timeout: Duration | None = None) -> Rotation:
        """Moves all that is on it into an archive beside it."""
        return await _in_thread(lambda cancel: self.sync.rotate(timeout, cancel=cancel))

    async def check(self) -> BusCheck:
        """Looks at every byte of it and its archives."""
        return await asyncio.to_thread(self.sync.check)


class _Jobs:
    def __init__(self, jobs: _start.Jobs) -> None:
        self._jobs = jobs

    async def start(
        self,
        project: str,
        prompt: str | None = None,
        *,
        agent: str,
        task: str | None = None,
        **options: Unpack[JobOptions],
    ) -> Run:
        """Starts one run, as :meth:`conductor.Jobs.start`."""

        def start(cancel: Cancel) -> _work.Run:
            return self._jobs.start(
                project, prompt, agent=agent, task=task, cancel=cancel, **options
            )

        return Run(await _in_thread(start))


class _Tasks:
    def __init__(self, tasks: _start.Tasks) -> None:
        self._tasks = tasks

    async def start(
        self, project: str, task: str | None = None, **options: Unpack[TaskOptions]
    ) -> Task:
        """Starts a task, as :meth:`conductor.Tasks.start`."""
        start = self._tasks.start
        return Task(
            await _in_thread(lambda cancel: start(project, task, cancel=cancel, **options))
        )

    async def get(self, project: str, task: str) -> Task:
        """A task that exists; it never drives."""
        return Task(await asyncio.to_thread(self._tasks.get, project, task))

    async def attach(self, project: str, task: str) -> Task:
        """A task that was started before, to be driven as it was asked for then."""
        return Task(await asyncio.to_thread(self._tasks.attach, project, task))

    async def list(self, project: str, *, status: str | None = None) -> list[TaskInfo]:
        """What is known of each task of a project."""
        return await asyncio.to_thread(self._tasks.list, project, status=status)

    async def resume(self, project: str, task: str, **options: Unpack[TaskOptions]) -> Task:
        """Starts a task that is done or gave up once more, as :meth:`conductor.Tasks.resume`."""
        resume = self._tasks.resume
        return Task(
            await _in_thread(lambda cancel: resume(project, task, cancel=cancel, **options))
        )

    async def cancel(
        self, project: str, task: str, reason: str | None = None, *, force: bool = False
    ) -> Stopped:
        """Marks a task as cancelled and stops it."""
        end = self._tasks.cancel
        return await _in_thread(
            lambda cancel: end(project, task, reason, force=force, cancel=cancel)
        )

    async def set_back(self, project: str, task: str) -> None:
        """Sets a task back: its next start counts attempts from one."""
        await _in_thread(lambda cancel: self._tasks.set_back(project, task, cancel=cancel))

    async def delete(self, project: str, task: str, *, force: bool = False) -> None:
        """Deletes a task with all its runs."""
        delete = self._tasks.delete
        await _in_thread(lambda cancel: delete(project, task, force=force, cancel=cancel))


class _Runs:
    def __init__(self, runs: _start.Runs) -> None:
        self._runs = runs

    async def get(self, project: str, task: str, run: str | None = None) -> Run:
        """A run that exists; the newest of the task without ``run``."""
        return Run(await asyncio.to_thread(self._runs.get, project, task, run))

    async def list(self, project: str, task: str, *, status: str | None = None) -> list[RunInfo]:
        """What is known of each run of a task."""
        return await asyncio.to_thread(self._runs.list, project, task, status=status)


class _Update:
    def __init__(self, update: _update.Update) -> None:
        self._update = update

    async def status(self) -> UpdateStatus:
        """Where the update of the server's program stands."""
        return await asyncio.to_thread(self._update.status)

    async def start(
        self, binary: StrPath, *, sha256: str | None = None, allow_downgrade: bool = False
    ) -> UpdateStatus:
        """Asks for it, as :meth:`conductor.Update.start`."""
        start = self._update.start
        return await asyncio.to_thread(
            start, binary, sha256=sha256, allow_downgrade=allow_downgrade
        )

    async def cancel(self, reason: str = "") -> UpdateStatus:
        """Takes the wish back."""
        return await asyncio.to_thread(self._update.cancel, reason)


class Conductor:
    """An opened root."""

    def __init__(self, conductor: _root.Conductor) -> None:
        self.sync = conductor
        """The same root for code that is not asynchronous."""
        self.tasks = _Tasks(conductor.tasks)
        self.jobs = _Jobs(conductor.jobs)
        self.runs = _Runs(conductor.runs)
        self.gc = _Gc(conductor.gc)
        self.update = _Update(conductor.update)

    async def bus(self, project: str, task: str | None = None) -> Bus:
        """The bus of a project; with ``task``, of that task."""
        return Bus(await asyncio.to_thread(self.sync.bus, project, task))

    async def projects(self) -> list[Project]:
        """The projects, by name."""
        return await asyncio.to_thread(self.sync.projects)

    async def reconcile(self) -> list[RunInfo]:
        """Writes down the ends of runs that nobody saw ending."""
        return await _in_thread(lambda cancel: self.sync.reconcile(cancel=cancel))

    async def usage(
        self, project: str | None = None, task: str | None = None, *, by: str | None = None
    ) -> UsageReport:
        """What finished runs used, summed up."""
        return await asyncio.to_thread(self.sync.usage, project, task, by=by)

    async def doctor(self) -> list[Finding]:
        """What is wrong with the root."""
        return await asyncio.to_thread(self.sync.doctor)

    async def aclose(self) -> None:
        """Lets go of the root; what runs goes on."""
        self.sync.close()

    async def __aenter__(self) -> Conductor:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


def open(
    root: StrPath | None = None,
    *,
    config: StrPath | None = None,
    run_agent: StrPath | None = None,
    durability: str | None = None,
) -> Conductor:
    """Opens a root, as :func:`conductor.open`. Changes nothing on disk."""
    opened = _root.open(root, config=config, run_agent=run_agent, durability=durability)
    return Conductor(opened)


async def as_completed(
    work: Iterable[Union[Run, Task]], timeout: Duration | None = None
) -> AsyncIterator[Union[Run, Task]]:
    """Gives runs and tasks as they end; tasks among them are driven meanwhile."""
    waits = {asyncio.ensure_future(one.wait()): one for one in work}
    end = deadline(_seconds(timeout))
    try:
        while waits:
            done, _ = await asyncio.wait(
                waits, timeout=left(end), return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                message = "the deadline of the wait passed"
                raise Timeout(message, code="wait.timeout", hint="wait again, or not")
            for wait in done:
                one = waits.pop(wait)
                wait.result()
                yield one
    finally:
        for wait in waits:
            wait.cancel()
