"""What is told of the webhook's outbox, and of the library's own work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .base import Value


@dataclass(frozen=True)
class OutboxEvent(Value):
    """An event that waits for the webhook."""

    event_id: str = ""
    """What the receiver knows it by; the same at each try."""
    event: str = ""
    """``run_start``, ``run_stop``, ``task_done``, ``task_failed``, ``waiting`` or ``budget``."""
    at: datetime | None = None
    attempts: int = 0
    next_attempt: datetime | None = None
    error: str | None = None
    """Why the last try failed."""
    body: str = ""
    """What is told: one JSON object."""


@dataclass(frozen=True)
class Delivery(Value):
    """What became of what waited for the webhook."""

    delivered: int = 0
    failed: int = 0
    """Tries that failed."""
    left: int = 0
    given_up: int = 0
    """Events that nobody took for days; they no longer wait."""
    error: str | None = None
    """Why the last try failed."""
    next_attempt: datetime | None = None


@dataclass(frozen=True)
class LogLine(Value):
    """What the library says of its own work. Secrets are masked."""

    at: datetime | None = None
    level: str = ""
    """``error``, ``warn``, ``info`` or ``debug``."""
    subsystem: str = ""
    event: str | None = None
    """What happened, as a stable word."""
    message: str | None = None
    fields: Any = None
    """What belongs to it, by name."""
    text: str = ""
    """All of it as pairs on one line."""
