"""What is told of the update of a server's program."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from .base import Value, to


@dataclass(frozen=True)
class UpdateStatus(Value):
    """Where the update of a server's program stands."""

    state: str = ""
    """``idle``, ``deferred``, ``applying`` or ``failed``."""
    served: bool = False
    """Whether a server lives that can carry it out. Without one, no run is held back."""
    binary_path: Path | None = to(Path)
    """The program that was asked for."""
    requested_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    active_runs_at_request: int = 0
    active_runs_now: int = 0
    """The root runs that it waits for. What cannot be read counts."""
    active_runs_error: str | None = None
    """The first thing that could not be read."""
    step: str | None = None
    """What is being done: ``staging``, ``trying``, ``starting`` or ``exchanging``."""
    installed_version: str | None = None
    """The version that the last one brought; ``None`` where it failed or was cancelled."""
    last_error: str | None = None
    """Why the last one failed."""
    last_note: str | None = None
    """How the last one ended otherwise."""
