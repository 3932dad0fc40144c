"""Messages, and what is found of a bus."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from .base import Value, many, texts, to


@dataclass(frozen=True)
class Parent(Value):
    """A message that another one answers."""

    msg_id: str = ""
    kind: str | None = None
    meta: dict[str, str] = texts()


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
    parents: tuple[Parent, ...] = many(Parent)
    links: tuple[Link, ...] = many(Link)
    meta: dict[str, str] = texts()
    cursor: str | None = None
    """Reading from here gives what comes after it, in any language."""
    path: Path | None = to(Path)
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


class _Moment:
    """Stands in for ``Message.ts``: makes the moment of ``_ns`` when somebody asks for it first."""

    def __get__(self, message: Message | None, of: type[Message]) -> datetime | None:
        ns = None if message is None else message.__dict__.get("_ns")
        if not ns or message is None:
            return None
        moment = _EPOCH + timedelta(microseconds=ns // 1000)
        message.__dict__["ts"] = moment
        return moment


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# A value in the message itself comes before this.
setattr(Message, "ts", _Moment())


@dataclass(frozen=True)
class Rotation(Value):
    """What became of a rotation."""

    result: str = ""
    """``done``; ``empty``: there was nothing; ``older_writer``: one may write that would not notice."""
    archive: Path | None = to(Path)
    """Where the messages are now."""


@dataclass(frozen=True)
class BusFinding(Value):
    """Something on a bus that is not as it should be."""

    kind: str = ""
    """``corrupt``, ``foreign``, ``gap``, ``torn``, ``straggler``, ``adopted``, ``stray``, ``hidden``, ``kept_aside``,
    ``linked``."""
    path: Path | None = to(Path)
    offset: int = 0
    """Its first byte in the file."""
    len: int = 0
    """Its length in bytes; 0 where it has none."""
    text: str = ""
    damage: bool = False
    """Whether messages are lost or hidden by it."""


@dataclass(frozen=True)
class BusCheck(Value):
    """What a look at every byte of a bus found."""

    messages: int = 0
    files: int = 0
    bytes: int = 0
    last_seq: int = 0
    """The number of the last record."""
    damaged: bool = False
    """Whether messages are lost or hidden."""
    findings: tuple[BusFinding, ...] = many(BusFinding, empty="known")
