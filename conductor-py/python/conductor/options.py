"""Keyword arguments as the library's options: one vocabulary in every language."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, TypedDict, Union

from . import _conductor
from .errors import InvalidInput

Duration = Union[str, int, float, timedelta]
"""A length of time: ``"20m"`` as on the command line, seconds, or a ``timedelta``."""

StrPath = Union[str, "os.PathLike[str]"]
"""A path of a file or folder."""

Texts = Union[str, Iterable[str]]
"""One text, or several."""


class WorkOptions(TypedDict, total=False):
    """What a job and a task can be given besides their names and what to do. None is not given."""

    prompt_file: StrPath | None
    """The file that says what to do."""
    command: Texts | None
    """Program and arguments of the agent ``"command"``."""
    cwd: StrPath | None
    """The folder that the agent starts in."""
    parent_run_id: str | None
    """The run whose agent starts this work."""
    env: Mapping[str, str] | None
    """Variables for the agent."""
    first_byte_timeout: Duration | None
    """Ends a run that wrote nothing for this long."""
    idle_timeout: Duration | None
    """Ends a run whose output did not grow for this long."""
    total_timeout: Duration | None
    """Ends a run after this long."""
    grace: Duration | None
    """Between SIGTERM and SIGKILL."""
    output_limit: str | None
    """The most that is kept of each output stream: ``"256MB"``."""
    on_output_limit: str | None
    """``"trim"`` or ``"stop"`` when an output is longer."""
    max_depth: int | None
    """The deepest nesting of runs that start runs."""
    max_children: int | None
    """The most living runs that one agent has started."""


class JobOptions(WorkOptions, total=False):
    """What :meth:`conductor.Jobs.start` takes besides."""

    previous_run_id: str | None
    """The run that this one goes on from."""


class TaskOptions(WorkOptions, total=False):
    """What :meth:`conductor.Tasks.start` and :meth:`conductor.Tasks.resume` take besides."""

    agent: str | None
    """``"claude"``, ``"codex"``, ``"gemini"``, ``"shell"``, ``"command"``, or one that is configured."""
    prompt: str | None
    """What to do."""
    depends_on: Texts | None
    """Tasks of the project that must be ready first."""
    max_attempts: int | None
    max_wall: Duration | None
    """The longest time that its attempts run, all together."""
    max_tokens: int | None
    max_cost_usd: float | None
    result_grace: Duration | None
    """How long an agent that told its result may take to exit."""
    restart_delay: Duration | None
    """The pause between two attempts."""
    child_wait_timeout: Duration | None
    """How long a finished task waits for its children."""
    verify: str | None
    """A line for ``/bin/sh`` that says whether the work is done."""
    verify_timeout: Duration | None
    on_question: str | None
    """``"go_on"`` or ``"wait"`` while a question has no answer."""
    question_timeout: Duration | None
    """How long to wait for an answer."""


_KINDS: dict[str, tuple[str, bool]] = {
    name: (kind, is_list) for name, kind, is_list, _ in _conductor.OPTIONS
}


def pairs(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Options as the compiled half takes them. ``None`` is not given."""
    out: list[tuple[str, str]] = []
    for name, value in given.items():
        if value is None:
            continue
        if name not in _KINDS:
            # The library knows which name is the nearest.
            out.append((name, str(value)))
            continue
        kind, is_list = _KINDS[name]
        if not is_list:
            out.append((name, text(name, kind, value)))
        elif isinstance(value, Mapping):
            out.extend((name, f"{key}={item}") for key, item in value.items())
        elif isinstance(value, str):
            out.append((name, value))
        elif isinstance(value, Iterable):
            out.extend((name, text(name, "text", item)) for item in value)
        else:
            raise _invalid(name, value, "a list of texts is wanted")
    return out


def text(name: str, kind: str, value: object) -> str:
    """A value as on a command line."""
    if kind == "duration":
        if isinstance(value, str):
            return value
        return f"{round(seconds(value, name) * 1e9)}ns"
    if kind == "flag" and isinstance(value, bool):
        return "true" if value else "false"
    if kind == "time" and isinstance(value, datetime):
        if value.tzinfo is None:
            raise _invalid(name, value, "a datetime with a time zone is wanted")
        return value.astimezone(timezone.utc).isoformat()
    if kind == "number" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if kind == "decimal" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        if isinstance(path, str):
            return path
    raise _invalid(name, value, f"this cannot be a {kind}")


def seconds(value: object, name: str = "timeout") -> float:
    """A length of time in seconds."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    elif isinstance(value, str):
        value = _conductor.parse_duration(value).total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _invalid(name, value, 'seconds, "30m" or a timedelta is wanted')
    if math.isnan(value) or value < 0:
        raise _invalid(name, value, "a length of time is never negative")
    return float(value)


def timeout(value: Duration | None) -> float | None:
    """The timeout of a wait in seconds; ``None`` waits for ever."""
    return None if value is None else seconds(value)


def _invalid(name: str, value: object, hint: str) -> InvalidInput:
    message = f"invalid {name} {value!r}"
    return InvalidInput(message, code="option.type", field=name, hint=hint)
