"""One reader for all that comes one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from . import _conductor
from ._conductor import Cancel
from .errors import InvalidInput, Timeout
from .options import Duration, timeout as _seconds
from .values import Message, Value

if TYPE_CHECKING:
    # Part of typing since Python 3.11.
    from typing_extensions import Self

_V = TypeVar("_V", bound=Value)


class Reader(Generic[_V]):
    """Values one after the other. An iterator; ``next(timeout)`` waits for one at most so long.

    One thread at a time reads. ``close()``, or the end of a ``with``, lets go of it.
    """

    def __init__(
        self,
        records: _conductor.Records,
        to: type[_V],
        timeout: Duration | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        self._records: _conductor.Records | None = records
        self._to = to
        self._timeout = timeout
        self._cancel = cancel
        self._deadline = deadline(_seconds(timeout))

    def __iter__(self) -> Iterator[_V]:
        return self

    def __next__(self) -> _V:
        """The next value. Ends with what is read, or when the timeout that it was made with is over."""
        try:
            value = self._next(left(self._deadline))
        except Timeout:
            raise StopIteration from None
        if value is None:
            raise StopIteration
        return value

    def next(self, timeout: Duration | None = None) -> _V | None:
        """Waits for the next value; ``None`` is the end.

        Raises :class:`Timeout` when there is none in time; one can ask again.
        """
        return self._next(_seconds(timeout))

    def _next(self, timeout: float | None, cancel: Cancel | None = None) -> _V | None:
        if self._records is None:
            return None
        record = self._records.next(timeout, cancel or self._cancel)
        return None if record is None else self._to.from_record(record)

    def drain(self, timeout: Duration | None = None) -> None:
        """Reads to the end and keeps nothing. Raises :class:`Timeout` when that does not come in time."""
        end = deadline(_seconds(timeout))
        while self._next(left(end)) is not None:
            pass

    def _open(self) -> _conductor.Records:
        if self._records is None:
            message = "the reader was closed"
            raise InvalidInput(message, code="handle.closed", field="reader", hint="ask it before")
        return self._records

    def fileno(self) -> int:
        """A descriptor that becomes readable when there may be more; -1 where nothing is waited for."""
        return -1 if self._records is None else self._records.fileno()

    def step(self) -> tuple[bool, _V | None]:
        """Without waiting: whether there is an answer, and the value; no value is the end."""
        if self._records is None:
            return True, None
        there, record = self._records.step()
        return there, None if record is None else self._to.from_record(record)

    def commit(self) -> None:
        """Keeps the place behind the last message that was given, for a reader with a ``cursor``.

        Who takes that name up next reads what comes after it. What was given since the last commit is
        given again then: commit once you are done with it.
        """
        if self._records is not None:
            self._records.commit()

    def close(self) -> None:
        """Lets go of what is read."""
        self._records = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Messages(Reader[Message]):
    """Messages of a bus, which are taken from the library by the batch."""

    def __init__(
        self,
        records: _conductor.Records,
        timeout: Duration | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        super().__init__(records, Message, timeout, cancel)
        self._ready: Iterator[Message] = iter(())

    def __iter__(self) -> Iterator[Message]:
        while True:
            yield from self._ready
            try:
                if not self._fill(left(self._deadline)):
                    return
            except Timeout:
                return

    def _fill(self, timeout: float | None, cancel: Cancel | None = None) -> bool:
        if self._records is None:
            return False
        batch = self._records.batch(Message, timeout, cancel or self._cancel)
        self._ready = iter(batch or ())
        return batch is not None

    def _next(self, timeout: float | None, cancel: Cancel | None = None) -> Message | None:
        for message in self._ready:
            return message
        return next(self._ready) if self._fill(timeout, cancel) else None

    def step(self) -> tuple[bool, Message | None]:
        for message in self._ready:
            return True, message
        if self._records is None:
            return True, None
        there, batch = self._records.step_batch(Message)
        self._ready = iter(batch or ())
        return there, next(self._ready, None)

    def close(self) -> None:
        super().close()
        self._ready = iter(())


def deadline(timeout: float | None) -> float | None:
    """The moment at which a wait of so many seconds ends."""
    return None if timeout is None else time.monotonic() + timeout


def left(deadline: float | None) -> float | None:
    """The seconds until that moment."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())
