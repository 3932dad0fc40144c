"""What is told of a root, of the configuration, and of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .base import Value, many, part, to
from .work import Usage


@dataclass(frozen=True)
class Project(Value):
    """A project of a root."""

    project_id: str = ""
    folder: Path | None = to(Path)


@dataclass(frozen=True)
class UsageSum(Value):
    """A sum over runs."""

    name: str | None = None
    """What they have in common; ``None`` for all of them."""
    runs: int = 0
    usage: Usage | None = to(Usage)
    """The tokens of those whose tokens are known."""
    unknown_usage: int = 0
    """How many runs are not in ``usage``."""
    cost_usd: float | None = None
    """The cost of those whose cost is known; ``None`` where none is."""
    unknown_cost: int = 0
    """How many runs are not in ``cost_usd``."""


@dataclass(frozen=True)
class Unreadable(Value):
    """Something that could not be read."""

    error: str = ""
    error_code: str = ""
    error_path: Path | None = to(Path)


@dataclass(frozen=True)
class UsageReport(Value):
    """What runs used, summed up."""

    by: str = ""
    """What the runs of a sum have in common: ``run``, ``task``, ``project``, ``agent`` or ``day``."""
    sums: tuple[UsageSum, ...] = many(UsageSum, empty="known")
    total: UsageSum = part(UsageSum)
    damage: tuple[Unreadable, ...] = many(Unreadable, empty="known")


@dataclass(frozen=True)
class Finding(Value):
    """Something that is wrong with a root, and the way out."""

    kind: str = ""
    path: Path | None = to(Path)
    text: str = ""
    way_out: str = ""


@dataclass(frozen=True)
class Problem(Value):
    """Something wrong or doubtful in the configuration."""

    severity: str = ""
    """``warning`` or ``error``."""
    kind: str = ""
    """What to do about it, as :attr:`conductor.Error.kind`."""
    code: str = ""
    message: str = ""
    hint: str | None = None
    path: Path | None = to(Path)
    line: int | None = None
    column: int | None = None
    field: str | None = None
    """The key with its sections."""


@dataclass(frozen=True)
class Origin(Value):
    """Where a value of the configuration is from."""

    kind: str = ""
    """``default``, ``file`` or ``variable``."""
    line: int | None = None
    column: int | None = None
    name: str | None = None
    """The variable."""


@dataclass(frozen=True)
class ConfigValue(Value):
    """A key of the configuration with the value that holds."""

    key: str = ""
    """The key with its sections: ``agents.claude.model``."""
    value: Any = None
    """Text, number, flag or list; secrets are masked."""
    from_: Origin | None = to(Origin)


@dataclass(frozen=True)
class Config(Value):
    """What is configured."""

    path: Path | None = to(Path)
    """The file; ``None`` where nothing is configured."""
    values: tuple[ConfigValue, ...] = many(ConfigValue, empty="known")
    warnings: tuple[Problem, ...] = many(Problem, empty="known")

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key with its sections."""
        return next((value.value for value in self.values if value.key == key), default)


@dataclass(frozen=True)
class Place(Value):
    """A file or folder, and whether it can be used."""

    path: Path | None = to(Path)
    ok: bool = False


@dataclass(frozen=True)
class AgentCheck(Value):
    """What was found of an agent."""

    name: str = ""
    type: str = ""
    program: Path | None = to(Path)
    version: str | None = None
    """What the program told of itself when it was first started in the root."""
    token: str = ""
    """Where its token is from, for a person."""
    status: str = ""
    """``ok``, ``warning`` or ``error``: the worst of its problems."""


@dataclass(frozen=True)
class Validation(Value):
    """Whether this machine is ready to start work."""

    config: Place | None = to(Place)
    root: Place | None = to(Place)
    agents: tuple[AgentCheck, ...] = many(AgentCheck, empty="known")
    problems: tuple[Problem, ...] = many(Problem, empty="known")
    errors: int = 0
    warnings: int = 0
