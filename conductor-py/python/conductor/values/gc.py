"""What is told of garbage collection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from .base import Value, many, to
from .root import Unreadable


@dataclass(frozen=True)
class GcItem(Value):
    """What garbage collection does with one thing, and why."""

    action: str = ""
    """``keep``, ``delete`` or ``rotate``."""
    kind: str = ""
    """``run``, ``task``, ``bus``, ``archive``, ``orphan``, ``temporary``, ``trash``, ``lock``, ``entry``."""
    reason: str = ""
    path: Path | None = to(Path)
    bytes: int = 0
    project_id: str | None = None
    task_id: str | None = None
    run_id: str | None = None
    status: str | None = None
    """The status of the run."""
    start_time: datetime | None = None
    end_time: datetime | None = None
    """When the run ended; of other things, when they last changed."""
    cursor: str | None = None
    """The name of the cursor that has yet to read an archive."""
    result: str | None = None
    """What became of it: ``done``, ``gone``, ``kept`` or ``failed``; ``None`` in a plan."""
    kept_for: str | None = None
    """Why it stays for now although it was to go."""
    error: str | None = None
    error_code: str | None = None
    """Only of what could not be looked at."""
    error_path: Path | None = to(Path)


@dataclass(frozen=True)
class GcHeld(Value):
    """What stays, and lies in the way of a goal."""

    what: str = ""
    """``runs``, ``buses``, ``archives``, ``tasks``, ``projects`` or ``root``."""
    reason: str | None = None
    """Of runs: why they stay."""
    count: int = 0
    """Of runs: how many they are."""
    bytes: int = 0


@dataclass(frozen=True)
class GcGoal(Value):
    """How far a goal of a policy is reached."""

    goal: str = ""
    """``max_bytes`` or ``min_free``."""
    wanted: int = 0
    now: int = 0
    """The bytes that there are, held or free."""
    short: int = 0
    """The bytes that are missing once the plan is carried out; 0 where the goal is reached."""
    held: tuple[GcHeld, ...] = many(GcHeld, empty="known")
    """What stays, most bytes first, where the goal is not reached."""


@dataclass(frozen=True)
class GcPlanInfo(Value):
    """A plan as a whole."""

    plan: str = ""
    """The policy and the moment as one text: :meth:`Gc.plan_again` makes the plan again."""
    now: datetime | None = None
    """The moment that ages are counted from."""
    runs: int = 0
    """How many runs the root holds."""
    goals: tuple[GcGoal, ...] = many(GcGoal, empty="known")
    """How far each goal of the policy is reached."""
    errors: tuple[Unreadable, ...] = many(Unreadable, empty="known")
    """What could not be looked at elsewhere in the root. The first hundred."""


@dataclass(frozen=True)
class GcReport(Value):
    """What a collection did."""

    runs: int = 0
    tasks: int = 0
    buses: int = 0
    archives: int = 0
    strays: int = 0
    freed: int = 0
    """The bytes of all that was deleted."""
    kept: int = 0
    """Things that stay for now although they were to go."""
    failed: int = 0
    goals: tuple[GcGoal, ...] = many(GcGoal, empty="known")
    """How far each goal of the policy is reached, once the work is over."""
    errors: tuple[Unreadable, ...] = many(Unreadable, empty="known")
    """Why; of the first hundred."""
