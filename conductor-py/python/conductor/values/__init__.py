"""What the library tells of something, as values that never change.

Each is a frozen dataclass that compares, hashes where its parts do, pickles, and turns into plain data
with ``to_dict()``. What is not known is ``None``, never zero and never an empty text. Times are aware
datetimes in UTC, cut to microseconds; sizes are bytes.
"""

from .base import Value
from .bus import BusCheck, BusFinding, Link, Message, Parent, Posted, Rotation
from .gc import GcGoal, GcHeld, GcItem, GcPlanInfo, GcReport
from .outbox import Delivery, LogLine, OutboxEvent
from .root import (
    AgentCheck,
    Config,
    ConfigValue,
    Finding,
    Origin,
    Place,
    Problem,
    Project,
    Unreadable,
    UsageReport,
    UsageSum,
    Validation,
)
from .update import UpdateStatus
from .work import Output, RunInfo, Stopped, TaskInfo, TaskResult, Usage, Waiting, Why

__all__ = [
    "AgentCheck",
    "BusCheck",
    "BusFinding",
    "Config",
    "ConfigValue",
    "Delivery",
    "Finding",
    "GcGoal",
    "GcHeld",
    "GcItem",
    "GcPlanInfo",
    "GcReport",
    "Link",
    "LogLine",
    "Message",
    "Origin",
    "OutboxEvent",
    "Output",
    "Parent",
    "Place",
    "Posted",
    "Problem",
    "Project",
    "Rotation",
    "RunInfo",
    "Stopped",
    "TaskInfo",
    "TaskResult",
    "Unreadable",
    "UpdateStatus",
    "Usage",
    "UsageReport",
    "UsageSum",
    "Validation",
    "Value",
    "Waiting",
    "Why",
]
