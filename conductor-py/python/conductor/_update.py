"""The update of a server's program."""

from __future__ import annotations

from pathlib import Path

from . import _conductor
from .options import StrPath
from .values import UpdateStatus


class Update:
    """The exchange of the server's program, which interrupts no run. From :attr:`Conductor.update`.

    The server makes it once no root run is active. Until then new root runs are refused with
    :class:`UpdateInProgress`; the runs that the agents of living ones start are not. Everybody can ask for it,
    look at it and cancel it, also while no server lives; then nothing is held back.
    """

    def __init__(self, native: _conductor.Conductor) -> None:
        self._native = native

    def status(self) -> UpdateStatus:
        """Where it stands, and what it waits for. Reads only."""
        return UpdateStatus.from_record(_conductor.update_status(self._native))

    def start(
        self, binary: StrPath, *, sha256: str | None = None, allow_downgrade: bool = False
    ) -> UpdateStatus:
        """Asks the server to exchange its program for this file. A wish that waits is replaced.

        ``sha256``: the 64 hexadecimal digits that the file must have. ``allow_downgrade``: take it even if it is
        older. Raises :class:`Conflict` where no server lives, or while one is being made; what is wrong with
        the file is found later, and told by ``last_error``.
        """
        path = Path(binary).absolute()
        told = _conductor.update_start(self._native, path, sha256, allow_downgrade)
        return UpdateStatus.from_record(told)

    def cancel(self, reason: str = "") -> UpdateStatus:
        """Takes the wish back, so that new root runs start again; the reason is recorded.

        Raises :class:`Conflict` while the program is being exchanged.
        """
        return UpdateStatus.from_record(_conductor.update_cancel(self._native, reason))
