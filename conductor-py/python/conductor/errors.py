"""One tree of exceptions, rooted in :class:`Error`.

A class says what the caller should do; ``code`` below it says precisely what happened. Where Python
has an exception of the same meaning, it is the second base, so that ``except TimeoutError`` works.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar


class Error(Exception):
    """What went wrong, where, and the way out. ``str()`` is the message alone.

    Never raised itself: each error is of one of the classes below.
    """

    kind: ClassVar[str] = ""
    """The class as a stable word, as it stands in JSON: ``"not_found"``."""

    exit_code: ClassVar[int] = 1
    """What ``run-agent`` exits with for this class."""

    retryable: ClassVar[bool] = False
    """Whether the same call may succeed later without a change by the caller."""

    message: str
    code: str
    """What happened: a stable dotted word, as ``"lock.timeout"``."""
    hint: str
    """The way out, a sentence for a person."""
    path: Path | None
    """The file or folder that the error is about."""
    field: str | None
    """The argument or key that the error is about."""
    cause: str | None
    """What the system or a library said, where the cause lies there."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        hint: str = "",
        path: Path | None = None,
        field: str | None = None,
        cause: str | None = None,
        errno: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.path = path
        self.field = field
        self.cause = cause
        _fill_os_error(self, errno)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        details = {
            "code": self.code,
            "hint": self.hint,
            "path": self.path,
            "field": self.field,
            "cause": self.cause,
            "errno": getattr(self, "errno", None),
        }
        return _rebuild, (type(self), self.message, details)


def _fill_os_error(error: Error, errno: int | None) -> None:
    """Sets what Python's own exceptions about files carry, where ``error`` is one of them too."""
    if isinstance(error, OSError):
        error.errno = errno
        error.strerror = error.message
        error.filename = None if error.path is None else str(error.path)


def _rebuild(cls: type[Error], message: str, details: dict[str, Any]) -> Error:
    return cls(message, **details)


class InvalidInput(Error, ValueError):
    """The call itself is wrong: fix the argument named by the error."""

    kind = "invalid_input"
    exit_code = 2


class NotFound(Error, LookupError):
    """What was named does not exist: check the id."""

    kind = "not_found"
    exit_code = 10


class AlreadyExists(Error, FileExistsError):
    """What should be made exists already: pick another id."""

    kind = "already_exists"
    exit_code = 11


class Conflict(Error):
    """The state changed underneath, or the transition is not allowed: read again and decide again."""

    kind = "conflict"
    exit_code = 12


class Busy(Error, TimeoutError):
    """A lock was not had in time: try again later."""

    kind = "busy"
    exit_code = 13
    retryable = True


class Timeout(Error, TimeoutError):
    """The deadline of a wait passed. An answer rather than a fault: the work goes on."""

    kind = "timeout"
    exit_code = 124
    retryable = True


class Cancelled(Error):
    """The wait was cancelled by its caller. An answer rather than a fault: the work goes on."""

    kind = "cancelled"
    exit_code = 130


class Expired(Error, LookupError):
    """A cursor points before what is kept: start again from the oldest message."""

    kind = "expired"
    exit_code = 14


class Corrupt(Error, ValueError):
    """Bytes on disk are damaged: look at the named file; nothing was changed."""

    kind = "corrupt"
    exit_code = 20


class TooNew(Error):
    """The data was written by a newer version: upgrade; reading may still work."""

    kind = "too_new"
    exit_code = 21


class PermissionDenied(Error, PermissionError):
    """The operating system denies the access: fix the rights of the named path."""

    kind = "permission_denied"
    exit_code = 22


class StorageFull(Error, OSError):
    """The disk or the quota is full: free space and try again."""

    kind = "storage_full"
    exit_code = 23
    retryable = True


class Io(Error, OSError):
    """Another input or output error; the source holds the errno."""

    kind = "io"
    exit_code = 24


class SpawnFailed(Error):
    """The agent could not be started: fix the command or its environment."""

    kind = "spawn_failed"
    exit_code = 25


class UpdateRefused(Error):
    """The offered update was refused (checksum, signature, platform): do not force it."""

    kind = "update_refused"
    exit_code = 26


class UpdateInProgress(Error):
    """An update is pending and no new root run may start: try again after it."""

    kind = "update_in_progress"
    exit_code = 27
    retryable = True


class Unsupported(Error):
    """This platform or file system cannot do what was asked."""

    kind = "unsupported"
    exit_code = 28


class Internal(Error, RuntimeError):
    """A defect of conductor itself: please report it."""

    kind = "internal"
    exit_code = 70
