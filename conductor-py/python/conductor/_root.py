"""The root, and what is known without one: the configuration, this machine."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from types import TracebackType

from . import _conductor
from ._bus import Bus
from ._conductor import Cancel
from ._gc import Gc
from ._outbox import Outbox
from ._reader import Reader
from ._start import Jobs, Runs, Tasks
from ._update import Update
from .options import StrPath, pairs
from .values import Config, Finding, Project, RunInfo, UsageReport, Validation


class Conductor:
    """An opened root. A context manager; leaving it ends no work."""

    def __init__(
        self,
        root: StrPath | None = None,
        *,
        config: StrPath | None = None,
        run_agent: StrPath | None = None,
        durability: str | None = None,
    ) -> None:
        if run_agent is None:
            run_agent = _own_run_agent()
        options = pairs({"config": config, "run_agent": run_agent, "durability": durability})
        path = None if root is None else Path(root)
        self._native = _conductor.Conductor(path, options)
        self.tasks = Tasks(self._native)
        """Tasks: start, come back, list."""
        self.jobs = Jobs(self._native)
        """Single runs: start."""
        self.runs = Runs(self._native)
        """Runs that exist: come back, list."""
        self.outbox = Outbox(self._native)
        """Events that wait for the webhook: list, deliver."""
        self.gc = Gc(self._native)
        """Garbage collection: plan."""
        self.update = Update(self._native)
        """The exchange of the server's program: look at it, ask for it, cancel it."""

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

    def usage(
        self, project: str | None = None, task: str | None = None, *, by: str | None = None
    ) -> UsageReport:
        """What finished runs used, summed up: tokens and cost, as their agents told. Reads only.

        ``by``: ``"run"``, ``"task"``, ``"project"``, ``"agent"`` or ``"day"``; unless it is given, the
        parts of what is looked at. Runs that did not tell are counted as unknown, never as zero.
        """
        options = pairs({"project": project, "task": task, "by": by})
        return UsageReport.from_record(self._native.usage(options))

    def doctor(self) -> list[Finding]:
        """What is wrong with the root, and the way out of each. Reads only."""
        return list(Reader(self._native.doctor(), Finding))

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


def open(
    root: StrPath | None = None,
    *,
    config: StrPath | None = None,
    run_agent: StrPath | None = None,
    durability: str | None = None,
) -> Conductor:
    """Opens a root, which need not exist yet. Changes nothing on disk.

    Without ``root``: ``CONDUCTOR_ROOT`` of the environment, inside an agent the root of its task,
    ``storage.runs_dir`` of the configuration, else ``~/run-agent``. ``config``: the configuration; else
    ``CONDUCTOR_CONFIG`` of the environment, else the usual places. ``run_agent``: a working ``run-agent``, which agents find first on their ``PATH``;
    without one they are not told of the bus. ``durability``: what a message survives, ``"disk"`` (a
    power cut) or ``"process"`` (the death of any process).
    """
    return Conductor(root, config=config, run_agent=run_agent, durability=durability)


def config(config: StrPath | None = None) -> Config:
    """What is configured, and where each value is from. Secrets are masked.

    ``config``: the file; else ``CONDUCTOR_CONFIG`` of the environment, else the usual places. Raises
    the first thing that is wrong with it; :func:`validate` tells everything.
    """
    return Config.from_record(_conductor.config(pairs({"config": config})))


def validate(
    root: StrPath | None = None,
    *,
    config: StrPath | None = None,
    agent: str | None = None,
    check_tokens: bool = False,
) -> Validation:
    """Whether this machine is ready to start work: configuration, root, agents and their tokens.

    ``agent``: only this one. ``check_tokens``: warn of each agent without a token. Starts nothing,
    changes nothing, and raises nothing for what is wrong: it is in ``problems``.
    """
    options = pairs({"config": config, "agent": agent, "check_tokens": check_tokens or None})
    path = None if root is None else Path(root)
    return Validation.from_record(_conductor.validate(path, options))


def _own_run_agent() -> str | None:
    """The ``run-agent`` that was installed together with this package."""
    program = Path(sysconfig.get_path("scripts")) / "run-agent"
    return str(program) if program.is_file() else None
