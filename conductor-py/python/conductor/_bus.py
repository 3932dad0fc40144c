"""The message bus."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from . import _conductor
from ._conductor import Cancel
from ._reader import Messages, Reader
from .options import Duration, Texts, pairs, timeout as _seconds
from .values import BusCheck, Message, Posted, Rotation


class Bus:
    """The message log of a project or a task. Any number of processes post to it and follow it."""

    def __init__(self, native: _conductor.Bus) -> None:
        self._native = native

    @property
    def path(self) -> Path:
        """The file."""
        return self._native.path()

    def post(
        self,
        type: str,
        body: str,
        *,
        run: str | None = None,
        parent: Texts | None = None,
        link: Texts | None = None,
        meta: Mapping[str, str] | None = None,
        once: str | None = None,
        wait: Duration | None = None,
        cancel: Cancel | None = None,
    ) -> Posted:
        """Posts a message. Once it returns, the message survives what the root was opened for.

        ``type``: 1 to 64 of ``A-Z 0-9 _ / -``. ``body``: at most 1 MiB. ``once``: a key; nothing is
        posted where a message has it. ``wait``: at most so long for other writers, 10 s unless given.
        Of the errors only ``bus.unknown`` leaves open whether the message is there.
        """
        given = {
            "run": run, "parent": parent, "link": link, "meta": meta, "once": once, "wait": wait
        }
        return Posted.from_record(self._native.post(type, body, pairs(given), cancel))

    def read(
        self,
        *,
        after: str | None = None,
        tail: int | None = None,
        cursor: str | None = None,
        type: Texts | None = None,
        run: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Reader[Message]:
        """What is there, oldest first. Damage is an item whose ``kind`` is not ``"message"``.

        ``cursor``: the name of a place that the root keeps; the reader goes on from it, is its only one
        (else :class:`Busy`), and moves it by :meth:`Reader.commit`.
        """
        filters = {
            "after": after,
            "tail": tail,
            "cursor": cursor,
            "type": type,
            "run": run,
            "since": since,
            "until": until,
        }
        return self._read(filters, None, None)

    def tail(self, count: int) -> list[Message]:
        """The last messages, oldest first."""
        return list(self.read(tail=count))

    def follow(
        self,
        *,
        after: str | None = None,
        tail: int | None = None,
        cursor: str | None = None,
        type: Texts | None = None,
        run: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        timeout: Duration | None = None,
        cancel: Cancel | None = None,
    ) -> Reader[Message]:
        """What comes after a cursor, as it comes; everything that is there first, without one.

        Ends when ``timeout`` is over. ``after="end"`` is for news alone. ``cursor`` as in :meth:`read`.
        """
        filters = {
            "after": after,
            "tail": tail,
            "cursor": cursor,
            "type": type,
            "run": run,
            "since": since,
            "until": until,
            "follow": True,
        }
        return self._read(filters, timeout, cancel)

    def _read(
        self, filters: Mapping[str, Any], timeout: Duration | None, cancel: Cancel | None
    ) -> Reader[Message]:
        records = self._native.read(pairs(filters))
        # What is committed is what was given, not what was taken from the library.
        if filters["cursor"] is not None:
            return Reader(records, Message, timeout, cancel)
        return Messages(records, timeout, cancel)

    def rotate(
        self, timeout: Duration | None = None, *, cancel: Cancel | None = None
    ) -> Rotation:
        """Moves all that is on it into an archive beside it, which is read as before.

        ``timeout``: how long to wait for other writers.
        """
        return Rotation.from_record(self._native.rotate(_seconds(timeout), cancel))

    def check(self) -> BusCheck:
        """Looks at every byte of it and its archives. Changes nothing."""
        return BusCheck.from_record(self._native.check())

    def __repr__(self) -> str:
        return f"<Bus {str(self.path)!r}>"
