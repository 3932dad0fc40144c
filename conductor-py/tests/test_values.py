"""Values never change, pickle, and hold every field; options are the vocabulary's."""

from __future__ import annotations

import inspect
import json
import pickle
from dataclasses import FrozenInstanceError, fields
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import conductor
from conductor import _conductor, options

ABOUT: dict[str, type] = {
    "project": conductor.Project,
    "run": conductor.RunInfo,
    "task": conductor.TaskInfo,
    "result": conductor.TaskResult,
    "stop": conductor.Stopped,
    "message": conductor.Message,
    "posted": conductor.Posted,
    "output": conductor.Output,
    "unreadable": conductor.RunInfo,
    "usage": conductor.UsageSum,
    "usagereport": conductor.UsageReport,
    "buscheck": conductor.BusCheck,
    "busfinding": conductor.BusFinding,
    "rotation": conductor.Rotation,
    "config": conductor.Config,
    "configvalue": conductor.ConfigValue,
    "problem": conductor.Problem,
    "validation": conductor.Validation,
    "agentcheck": conductor.AgentCheck,
    "finding": conductor.Finding,
    "why": conductor.Why,
    "event": conductor.OutboxEvent,
    "delivery": conductor.Delivery,
    "log": conductor.LogLine,
    "gc": conductor.GcItem,
    "gcplan": conductor.GcPlanInfo,
    "gcreport": conductor.GcReport,
    "gcgoal": conductor.GcGoal,
    "gcheld": conductor.GcHeld,
    "update": conductor.UpdateStatus,
}
GROUPS: dict[str, type] = {"waiting": conductor.Waiting, "usage": conductor.Usage}
VALUES = [
    value
    for value in vars(conductor.values).values()
    if isinstance(value, type) and value is not conductor.values.Value
]


def names(cls: Any) -> set[str]:
    return {item.name.rstrip("_") for item in fields(cls)}


@pytest.mark.parametrize("row", _conductor.FIELDS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_every_field_can_be_read(row: tuple[str, str, str]) -> None:
    about, name, _ = row
    group, _, part = name.rpartition(".")
    if group:
        assert group in names(ABOUT[about]) and part in names(GROUPS[group])
    else:
        assert name in names(ABOUT[about])


TAKERS: dict[str, Any] = {
    "job": conductor.Jobs.start,
    "task": conductor.Tasks.start,
    "open": conductor.open,
    "post": conductor.Bus.post,
    "read": conductor.Bus.follow,
    "output": conductor.Run.follow,
    "stop": conductor.Run.stop,
    "list": conductor.Runs.list,
    "delete": conductor.Tasks.delete,
    "usage": conductor.Conductor.usage,
    "config": conductor.config,
    "validate": conductor.validate,
    "gc": conductor.Gc.plan,
}
# Said by the name of the method.
METHODS = {"follow"}
# Given in one place for several methods.
MORE: dict[str, Any] = {"job": options.JobOptions, "task": options.TaskOptions}


@pytest.mark.parametrize("row", _conductor.OPTIONS, ids=lambda row: row[0])
def test_every_option_is_a_keyword(row: tuple[str, str, bool, list[str]]) -> None:
    name, _, _, nouns = row
    for noun in nouns:
        taken = {*inspect.signature(TAKERS[noun]).parameters}
        if noun in MORE:
            taken |= MORE[noun].__optional_keys__
        assert name in taken or name in METHODS, f"{noun}: {name}"


@pytest.mark.parametrize("noun", MORE)
def test_no_keyword_is_unknown_to_the_library(noun: str) -> None:
    known = {name for name, _, _, nouns in _conductor.OPTIONS if noun in nouns}
    assert MORE[noun].__optional_keys__ <= known


def test_a_keyword_that_does_not_exist_is_told_with_the_nearest(c: conductor.Conductor) -> None:
    with pytest.raises(conductor.InvalidInput) as unknown:
        c.tasks.start("shop", agent="shell", prompt="x", max_attemps=3)  # type: ignore[call-arg]
    assert unknown.value.code == "option.unknown" and "max_attempts" in (unknown.value.hint or "")


def test_values_never_change_and_pickle(c: conductor.Conductor) -> None:
    run = c.jobs.start("shop", "true", agent="shell", task="one")
    end = run.wait("1m")
    with pytest.raises(FrozenInstanceError):
        end.status = "x"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(end)) == end
    plain = end.to_dict()
    assert json.loads(json.dumps(plain))["run_id"] == run.id
    assert "signal" not in plain and plain["exit_code"] == 0
    for message in c.bus("shop", "one").read():
        assert pickle.loads(pickle.dumps(message)) == message
        json.dumps(message.to_dict())


def full(cls: Any) -> Any:
    """A value of the class in which every field is set."""
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    samples: list[tuple[str, Any]] = [
        ("datetime", at),
        ("Path", Path("/x")),
        ("dict", {"a": "b"}),
        ("tuple[str", ("a",)),
        ("bool", True),
        ("int", 1),
        ("float", 0.5),
        ("str", "x"),
        ("Any", ["a", 1]),
    ]
    given = {}
    for item in fields(cls):
        to = item.metadata.get("to")
        if isinstance(to, type) and issubclass(to, conductor.values.Value):
            inner = full(to)
            given[item.name] = (inner,) if "tuple" in str(item.type) else inner
        else:
            given[item.name] = next(sample for word, sample in samples if word in str(item.type))
    return cls(**given)


@pytest.mark.parametrize("cls", VALUES, ids=lambda cls: cls.__name__)
def test_every_value_pickles_and_turns_into_plain_data_and_back(cls: Any) -> None:
    value = full(cls)
    assert pickle.loads(pickle.dumps(value)) == value
    plain = value.to_dict()
    assert len(plain) == len(fields(cls)), plain
    assert json.loads(json.dumps(plain)) == plain
    if not any("datetime" in str(item.type) for item in fields(cls)):
        assert cls.from_record(plain).to_dict() == plain
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(cls)[0].name, "y")
    assert repr(value).startswith(cls.__name__ + "(")


@pytest.mark.parametrize("cls", VALUES, ids=lambda cls: cls.__name__)
def test_a_value_of_nothing_is_that_of_its_class(cls: Any) -> None:
    assert cls.from_record({}) == cls() and hash(repr(cls())) == hash(repr(cls.from_record({})))
    assert vars(cls.from_record({})).keys() == vars(cls()).keys()


def test_every_value_is_public() -> None:
    assert {cls.__name__ for cls in VALUES} <= set(conductor.__all__)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20m", "20m"),
        (1.5, "1500000000ns"),
        (2, "2000000000ns"),
        (timedelta(milliseconds=1), "1000000ns"),
    ],
)
def test_lengths_of_time(value: Any, expected: str) -> None:
    assert options.pairs({"idle_timeout": value}) == [("idle_timeout", expected)]


def test_other_kinds_of_values() -> None:
    at = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    assert options.pairs(
        {
            "agent": None,
            "cwd": Path("/x"),
            "env": {"A": "b", "C": "d"},
            "depends_on": ["a", "b"],
            "command": "one",
            "follow": True,
            "since": at,
            "max_attempts": 3,
        }
    ) == [
        ("cwd", "/x"),
        ("env", "A=b"),
        ("env", "C=d"),
        ("depends_on", "a"),
        ("depends_on", "b"),
        ("command", "one"),
        ("follow", "true"),
        ("since", "2026-01-01T00:00:00+00:00"),
        ("max_attempts", "3"),
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [("idle_timeout", -1), ("idle_timeout", True), ("max_attempts", 1.5), ("env", 3), ("cwd", b"x")],
)
def test_wrong_values_name_their_option(name: str, value: Any) -> None:
    with pytest.raises(conductor.InvalidInput) as caught:
        options.pairs({name: value})
    assert caught.value.field == name and caught.value.hint
