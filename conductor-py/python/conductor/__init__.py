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

from ._conductor import Cancel, __version__, check_id, parse_duration
from ._work import (
    Bus,
    Conductor,
    Jobs,
    Reader,
    Run,
    Runs,
    Task,
    Tasks,
    as_completed,
    open,
)
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
    Link,
    Message,
    Output,
    Parent,
    Posted,
    Project,
    RunInfo,
    Stopped,
    TaskInfo,
    TaskResult,
    Usage,
    Waiting,
)

__all__ = [
    "AlreadyExists",
    "Bus",
    "Busy",
    "Cancel",
    "Cancelled",
    "Conductor",
    "Conflict",
    "Corrupt",
    "Error",
    "Expired",
    "Internal",
    "InvalidInput",
    "Io",
    "Jobs",
    "Link",
    "Message",
    "NotFound",
    "Output",
    "Parent",
    "PermissionDenied",
    "Posted",
    "Project",
    "Reader",
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
    "Unsupported",
    "UpdateInProgress",
    "UpdateRefused",
    "Usage",
    "Waiting",
    "__version__",
    "as_completed",
    "check_id",
    "open",
    "parse_duration",
]
