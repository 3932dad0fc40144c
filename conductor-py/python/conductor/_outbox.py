"""The events that wait for the webhook."""

from __future__ import annotations

from . import _conductor
from ._conductor import Cancel
from ._reader import Reader
from .options import Duration, timeout as _seconds
from .values import Delivery, OutboxEvent


class Outbox:
    """What waits to be told. From :attr:`Conductor.outbox`.

    The library calls nobody by itself: a program that wants events told calls :meth:`deliver`, at its end
    or in a thread beside its work. ``run-agent`` does so while it works.
    """

    def __init__(self, native: _conductor.Conductor) -> None:
        self._native = native

    def list(self) -> list[OutboxEvent]:
        """The events that wait, the oldest first. Reads only."""
        return [*Reader(_conductor.outbox(self._native), OutboxEvent)]

    def deliver(
        self, timeout: Duration | None = "5s", *, cancel: Cancel | None = None
    ) -> Delivery:
        """Tells the configured webhook what is due, and what becomes due before the timeout is over.

        The end of the timeout is no error. Several processes may do so at once: each event is told by
        one of them.
        """
        told = _conductor.deliver(self._native, _seconds(timeout), cancel)
        return Delivery.from_record(told)
