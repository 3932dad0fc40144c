"""Run AI coding agents as restartable tasks whose whole state is plain files.

::

    with conductor.open() as c:
        task = c.tasks.start("shop", "fix-login", agent="claude", prompt="Make the login tests pass.")
        for message in task.follow():
            print(message.type, message.body)
        print(task.wait().outcome)

Every wait takes a ``timeout`` (seconds, ``"30m"``, a ``timedelta``) and ends at Ctrl-C; its end is never
the end of the work. ``conductor.aio`` has the same names for asyncio.
"""

from . import log
from ._bus import Bus
from ._conductor import Cancel, __version__, check_id, parse_duration
from ._gc import Gc, GcPlan, GcWork
from ._outbox import Outbox
from ._reader import Reader
from ._root import Conductor, config, open, validate
from ._start import Jobs, Runs, Tasks
from ._update import Update
from ._work import Run, Task, as_completed
from .errors import (
    AlreadyExists,
    Busy,
    Cancelled,
    Conflict,
    Corrupt,
    Error,
    Expired,
    Internal,
    InvalidInput,
    Io,
    NotFound,
    PermissionDenied,
    SpawnFailed,
    StorageFull,
    Timeout,
    TooNew,
    Unsupported,
    UpdateInProgress,
    UpdateRefused,
)
from .values import (
    AgentCheck,
    BusCheck,
    BusFinding,
    Config,
    ConfigValue,
    Delivery,
    Finding,
    GcItem,
    GcPlanInfo,
    GcReport,
    Link,
    LogLine,
    Message,
    Origin,
    OutboxEvent,
    Output,
    Parent,
    Place,
    Posted,
    Problem,
    Project,
    Rotation,
    RunInfo,
    Stopped,
    TaskInfo,
    TaskResult,
    Unreadable,
    UpdateStatus,
    Usage,
    UsageReport,
    UsageSum,
    Validation,
    Waiting,
    Why,
)

__all__ = [
    "AgentCheck",
    "AlreadyExists",
    "Bus",
    "BusCheck",
    "BusFinding",
    "Busy",
    "Cancel",
    "Cancelled",
    "Conductor",
    "Config",
    "ConfigValue",
    "Conflict",
    "Corrupt",
    "Delivery",
    "Error",
    "Expired",
    "Finding",
    "Gc",
    "GcItem",
    "GcPlan",
    "GcPlanInfo",
    "GcReport",
    "GcWork",
    "Internal",
    "InvalidInput",
    "Io",
    "Jobs",
    "Link",
    "LogLine",
    "Message",
    "NotFound",
    "Origin",
    "Outbox",
    "OutboxEvent",
    "Output",
    "Parent",
    "PermissionDenied",
    "Place",
    "Posted",
    "Problem",
    "Project",
    "Reader",
    "Rotation",
    "Run",
    "RunInfo",
    "Runs",
    "SpawnFailed",
    "Stopped",
    "StorageFull",
    "Task",
    "TaskInfo",
    "TaskResult",
    "Tasks",
    "Timeout",
    "TooNew",
    "Unreadable",
    "Unsupported",
    "Update",
    "UpdateInProgress",
    "UpdateRefused",
    "UpdateStatus",
    "Usage",
    "UsageReport",
    "UsageSum",
    "Validation",
    "Waiting",
    "Why",
    "__version__",
    "as_completed",
    "check_id",
    "config",
    "log",
    "open",
    "parse_duration",
    "validate",
]
