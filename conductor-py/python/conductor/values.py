"""What the library tells of something, as values that never change.

Each is a frozen dataclass that compares, hashes where its parts do, pickles, and turns into plain data
with ``to_dict()``. What is not known is ``None``, never zero and never an empty text. Times are aware
datetimes in UTC, cut to microseconds; sizes are bytes.
"""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T", bound="Value")


@dataclass(frozen=True)
class Value:
    """What all values have in common."""

    @classmethod
    def from_record(cls: type[_T], record: Mapping[str, Any]) -> _T:
        """From a dictionary with the names on disk; what this version does not know is left out."""
        given = {}
        for item in fields(cls):
            name = _on_disk(item.name)
            if record.get(name) is not None:
                given[item.name] = _convert(item.metadata.get("to"), record[name])
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """Plain data with the names on disk, as ``run-agent --json`` prints it. What is not known is
        left out."""
        out = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if value or not (value is None or item.metadata.get("empty") == "unknown"):
                out[_on_disk(item.name)] = _plain(value)
        return out


def _on_disk(name: str) -> str:
    bare = name.rstrip("_")
    return bare if keyword.iskeyword(bare) else name


def _convert(to: Any, value: Any) -> Any:
    if to is None:
        return value
    if isinstance(value, list):
        return tuple(_convert(to, item) for item in value)
    if isinstance(to, type) and issubclass(to, Value):
        return to.from_record(value)
    return to(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Value):
        return value.to_dict()
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return dict(value)
    return value


def _to(to: Any) -> Any:
    return field(default=None, metadata={"to": to})


def _many(to: Any, empty: str = "unknown") -> Any:
    return field(default=(), metadata={"to": to, "empty": empty})


def _texts() -> Any:
    return field(default_factory=dict, metadata={"to": dict, "empty": "unknown"})


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
    waiting_for: str | None = None
    waiting_until: datetime | None = None
    alive: bool | None = None
    """``None`` where only the number of a process is known."""
    phase: str | None = None
    session_id: str | None = None
    model: str | None = None
    parser: str | None = None
    usage: Usage | None = _to(Usage)
    cost_usd: float | None = None
    folder: Path | None = _to(Path)
    cwd: Path | None = _to(Path)
    prompt_path: Path | None = _to(Path)
    output_path: Path | None = _to(Path)
    stdout_path: Path | None = _to(Path)
    stderr_path: Path | None = _to(Path)
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
    error_path: Path | None = _to(Path)

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
    blocked_by: tuple[str, ...] = _many(str, empty="known")
    waiting: Waiting | None = _to(Waiting)
    outcome: str | None = None
    """``done``, ``gave_up`` or ``stopped``; ``None`` while it has not ended."""
    reason: str | None = None
    latest: RunInfo | None = _to(RunInfo)
    last_activity: datetime | None = None
    folder: Path | None = _to(Path)
    error: str | None = None
    """In a list: why its files cannot be read; all else but its ids is then ``None``."""
    error_code: str | None = None
    error_path: Path | None = _to(Path)

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

    signalled: tuple[str, ...] = _many(str, empty="known")
    """Runs that were asked to end."""
    killed: int = 0
    """Processes that had to be killed."""


@dataclass(frozen=True)
class Parent(Value):
    """A message that another one answers."""

    msg_id: str = ""
    kind: str | None = None
    meta: dict[str, str] = _texts()


@dataclass(frozen=True)
class Link(Value):
    """Something that a message points to."""

    url: str = ""
    label: str | None = None
    kind: str | None = None


@dataclass(frozen=True)
class Posted(Value):
    """The receipt for a message."""

    msg_id: str = ""
    seq: int = 0
    cursor: str = ""
    """The place right behind it, in any language."""


@dataclass(frozen=True)
class Message(Value):
    """A message of a bus; or, where ``kind`` is not ``"message"``, what stands in its place."""

    kind: str = "message"
    """``message``, ``gap``, ``corrupt``, ``foreign`` or ``replaced``."""
    msg_id: str | None = None
    seq: int | None = None
    ts: datetime | None = None
    type: str | None = None
    body: str = ""
    project_id: str | None = None
    task_id: str | None = None
    run_id: str | None = None
    issue_id: str | None = None
    parents: tuple[Parent, ...] = _many(Parent)
    links: tuple[Link, ...] = _many(Link)
    meta: dict[str, str] = _texts()
    cursor: str | None = None
    """Reading from here gives what comes after it, in any language."""
    path: Path | None = _to(Path)
    offset: int | None = None
    len: int | None = None
    after_seq: int | None = None
    from_seq: int | None = None
    to_seq: int | None = None

    @property
    def time(self) -> datetime | None:
        """When it was posted."""
        return self.ts

    @property
    def is_damage(self) -> bool:
        """Whether it is no message, but what stands in the place of one."""
        return self.kind != "message"


@dataclass(frozen=True)
class Project(Value):
    """A project of a root."""

    project_id: str = ""
    folder: Path | None = _to(Path)


@dataclass(frozen=True)
class Output(Value):
    """A piece of what a run wrote: whole lines, where lines are not longer than 64 KiB."""

    text: str = ""
    offset: int = 0
    """Its first byte in the file."""
