"""What the library says of its own work, passed on to :mod:`logging`.

::

    with conductor.log.to_logging("info"):
        ...

It is silent until somebody listens. Secrets are masked before they come here.
"""

from __future__ import annotations

import atexit
import logging
import threading
from types import TracebackType

from . import _conductor
from ._conductor import Cancel
from ._reader import Reader
from .errors import Cancelled
from .values import LogLine

_LEVELS = {
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}


def read(levels: str = "info") -> Reader[LogLine]:
    """The lines themselves, one after the other, from now on.

    ``levels``: ``"error"``, ``"warn"``, ``"info"`` or ``"debug"`` for all, and others for parts:
    ``"warn,runner=debug"``. Lines that come faster than they are read are left out, and counted in a
    line of their own.
    """
    return Reader(_conductor.log(levels), LogLine)


class Bridge:
    """Passes lines on until it is closed; a context manager."""

    def __init__(self, levels: str, logger: logging.Logger) -> None:
        self._cancel = Cancel()
        self._reader: Reader[LogLine] = Reader(_conductor.log(levels), LogLine, cancel=self._cancel)
        self._logger = logger
        self._thread = threading.Thread(target=self._pass_on, name="conductor-log", daemon=True)
        self._thread.start()
        # A thread that comes back from a wait while the interpreter goes down would find none.
        atexit.register(self.close)

    def close(self) -> None:
        """Passes on what was said so far, and stops. At the interpreter's end this is done for you."""
        atexit.unregister(self.close)
        self._cancel.set()
        self._thread.join()

    def __enter__(self) -> Bridge:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _pass_on(self) -> None:
        try:
            while (line := self._reader.next()) is not None:
                self._log(line)
        except Cancelled:
            # What waits is given before the end of a wait is told.
            pass

    def _log(self, line: LogLine) -> None:
        logger = self._logger.getChild(line.subsystem)
        level = _LEVELS.get(line.level, logging.INFO)
        if not logger.isEnabledFor(level):
            return
        message = line.message or (line.event or "").replace("_", " ")
        fields = dict(line.fields or {})
        if fields:
            message += " " + " ".join(f"{name}={value!r}" for name, value in fields.items())
        extra = {"conductor_event": line.event, "conductor_fields": fields}
        record = logger.makeRecord(
            logger.name, level, "conductor", 0, message, (), None, extra=extra
        )
        if line.at is not None:
            record.created = line.at.timestamp()
            record.msecs = line.at.microsecond / 1000
        logger.handle(record)


def to_logging(levels: str = "info", logger: str | logging.Logger = "conductor") -> Bridge:
    """Passes what the library says on to ``logger``, each part to a child of its own
    (``conductor.runner``), in a thread, until it is closed.

    ``levels`` as in :func:`read`. A record has ``conductor_event`` and ``conductor_fields``.
    """
    if isinstance(logger, str):
        logger = logging.getLogger(logger)
    return Bridge(levels, logger)
