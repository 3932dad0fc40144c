"""Garbage collection: a plan first, which changes nothing; then carrying it out."""

from __future__ import annotations

from . import _conductor
from ._conductor import Cancel
from ._reader import Reader
from .options import Duration, pairs, timeout as _seconds
from .values import GcItem, GcPlanInfo, GcReport


class GcWork(Reader[GcItem]):
    """A plan while it is carried out: what became of each thing, as soon as that is certain.

    Reading works: what is not read is not done. ``close()``, or the end of a ``with``, ends what was
    begun; nothing is ever half done.
    """

    @property
    def report(self) -> GcReport:
        """What was done so far."""
        return GcReport.from_record(self._open().report())


class GcPlan:
    """What garbage collection would do. It is judged at one moment: what came after it stays."""

    def __init__(self, native: _conductor.Plan) -> None:
        self._native = native

    @property
    def info(self) -> GcPlanInfo:
        """The plan as a whole: its text, its moment, and what could not be looked at."""
        return GcPlanInfo.from_record(self._native.info())

    def items(self) -> Reader[GcItem]:
        """Everything that is judged, what goes and what stays. Each thing is looked at when it is read;
        one that cannot be looked at has an ``error`` and an ``error_code``. Reads only."""
        return Reader(self._native.items(True), GcItem)

    def actions(self) -> Reader[GcItem]:
        """What is to be done. Looks at less than :meth:`items`."""
        return Reader(self._native.items(False), GcItem)

    def apply(self, timeout: Duration | None = None, *, cancel: Cancel | None = None) -> GcReport:
        """Carries it out. What is in use, lives, or changed since it was made stays.

        Raises :class:`Timeout` or :class:`Cancelled` where the wait is over first; what was done by then
        is done.
        """
        with self.work(cancel=cancel) as work:
            work.drain(timeout)
            return work.report

    def work(self, timeout: Duration | None = None, *, cancel: Cancel | None = None) -> GcWork:
        """Carries it out as it is read, for who wants to tell of it meanwhile.

        The loop ends when ``timeout`` is over, as with every reader.
        """
        return GcWork(self._native.apply(), GcItem, timeout, cancel)

    def __repr__(self) -> str:
        return f"<GcPlan {self.info.plan!r}>"


class Gc:
    """Deletes finished runs that are old, archives buses, clears leftovers away."""

    def __init__(self, native: _conductor.Conductor) -> None:
        self._native = native

    def plan(
        self,
        *,
        project: str | None = None,
        older_than: Duration | None = None,
        keep_failed: bool | None = None,
        keep_last: int | None = None,
        max_bytes: str | int | None = None,
        min_free: str | int | None = None,
        rotate_bus: bool | None = None,
        bus_max_size: str | int | None = None,
        prune_archives: Duration | None = None,
        delete_done_tasks: bool | None = None,
        force: bool | None = None,
        timeout: Duration | None = None,
        cancel: Cancel | None = None,
    ) -> GcPlan:
        """Looks at the root, as far as it must be known to judge any of it. Changes nothing on disk.

        What is not given is as configured. ``older_than``: a run goes that ended longer ago than this.
        ``max_bytes``, ``min_free`` (bytes, or ``"10GB"``): the oldest go, whatever their age, until it
        fits; 0 is no limit. What is configured is taken back by ``False``, of these two and of
        ``prune_archives`` by ``"none"``. ``force``: the clock is believed although it ran ahead since the last
        collection.
        """
        given = {
            "project": project,
            "older_than": older_than,
            "keep_failed": keep_failed,
            "keep_last": keep_last,
            "max_bytes": _size(max_bytes),
            "min_free": _size(min_free),
            "rotate_bus": rotate_bus,
            "bus_max_size": _size(bus_max_size),
            "prune_archives": prune_archives,
            "delete_done_tasks": delete_done_tasks,
            "force": force,
        }
        limit = _seconds(timeout)
        return GcPlan(_conductor.gc_plan(self._native, pairs(given), limit, cancel))

    def plan_again(
        self, plan: str, timeout: Duration | None = None, *, cancel: Cancel | None = None
    ) -> GcPlan:
        """Makes a plan again of its text (``info.plan``), in whatever process that was made.

        It takes no more than that one did, unless somebody took away what kept a thing. Its goals are those of
        that plan: nothing is counted again.
        """
        limit = _seconds(timeout)
        return GcPlan(_conductor.gc_plan_again(self._native, plan, limit, cancel))


def _size(value: str | int | None) -> str | None:
    return str(value) if isinstance(value, int) else value
