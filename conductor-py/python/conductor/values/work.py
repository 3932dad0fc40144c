"""Runs and tasks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from .base import Value, many, texts, to


@dataclass(frozen=True)
class Usage(Value):
    """What a run cost in tokens."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_creation_tokens: int | None = None


@dataclass(frozen=True)
class RunInfo(Value):
    """What is known of a run at one moment."""

    run_id: str | None = None
    project_id: str | None = None
    task_id: str | None = None
    agent: str | None = None
    status: str | None = None
    """``running``, ``completed``, ``failed`` or ``unknown``."""
    outcome: str | None = None
    """How it ended; ``None`` while it lives."""
    exit_code: int | None = None
    """128 + n for death by signal n."""
    signal: int | None = None
    error_summary: str | None = None
    error_class: str | None = None
    stop_reason: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    limit_reset: datetime | None = None
    account: str | None = None
    agent_name: str | None = None
    resumed_session: str | None = None
    slept_seconds: int | None = None
    waiting_for: str | None = None
    waiting_until: datetime | None = None
    alive: bool | None = None
    """``None`` where only the number of a process is known."""
    phase: str | None = None
    session_id: str | None = None
    model: str | None = None
    parser: str | None = None
    attached: bool = False
    usage: Usage | None = to(Usage)
    cost_usd: float | None = None
    folder: Path | None = to(Path)
    cwd: Path | None = to(Path)
    prompt_path: Path | None = to(Path)
    output_path: Path | None = to(Path)
    stdout_path: Path | None = to(Path)
    stderr_path: Path | None = to(Path)
    commandline: str | None = None
    parent_run_id: str | None = None
    previous_run_id: str | None = None
    agent_version: str | None = None
    process_ownership: str | None = None
    pid: int | None = None
    pgid: int | None = None
    version: int | None = None
    rev: int | None = None
    process_start: int | None = None
    boot_id: str | None = None
    pid_ns: int | None = None
    keeper_pid: int | None = None
    keeper_start: int | None = None
    series: int | None = None
    start_msg: str | None = None
    stop_msg: str | None = None
    error: str | None = None
    """In a list: why its record cannot be read; all else but its ids is then ``None``."""
    error_code: str | None = None
    error_path: Path | None = to(Path)

    @property
    def id(self) -> str | None:
        """The run."""
        return self.run_id


@dataclass(frozen=True)
class Waiting(Value):
    """What a task waits for."""

    for_: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    position: int | None = None
    """Its place in the line, where it waits for a slot."""


@dataclass(frozen=True)
class TaskInfo(Value):
    """What is known of a task at one moment."""

    project_id: str | None = None
    task_id: str | None = None
    status: str | None = None
    """Where it stands, in one word."""
    done: bool | None = None
    runs: int | None = None
    attempts: int | None = None
    driver_pid: int | None = None
    blocked_by: tuple[str, ...] = many(str, empty="known")
    waiting: Waiting | None = to(Waiting)
    outcome: str | None = None
    """``done``, ``gave_up`` or ``stopped``; ``None`` while it has not ended."""
    reason: str | None = None
    latest: RunInfo | None = to(RunInfo)
    last_activity: datetime | None = None
    folder: Path | None = to(Path)
    error: str | None = None
    """In a list: why its files cannot be read; all else but its ids is then ``None``."""
    error_code: str | None = None
    error_path: Path | None = to(Path)

    @property
    def id(self) -> str | None:
        """The task."""
        return self.task_id


@dataclass(frozen=True)
class TaskResult(Value):
    """How a task ended."""

    outcome: str = ""
    """``done``, ``gave_up`` or ``stopped``."""
    attempts: int = 0
    reason: str | None = None
    run_id: str | None = None
    """The last attempt."""


@dataclass(frozen=True)
class Stopped(Value):
    """What stopping did."""

    signalled: tuple[str, ...] = many(str, empty="known")
    """Runs that were asked to end."""
    killed: int = 0
    """Processes that had to be killed."""


@dataclass(frozen=True)
class Output(Value):
    """A piece of what a run wrote: whole lines, where lines are not longer than 64 KiB."""

    text: str = ""
    offset: int = 0
    """Its first byte in the file."""


@dataclass(frozen=True)
class Why(RunInfo):
    """Why a run stands where it stands, and what is known of it."""

    because: str = ""
    """What happened, in a sentence."""
    evidence: dict[str, str] = texts()
    """What proves it: where it stands, and what it says."""
    next: str = ""
    """What to do next."""
