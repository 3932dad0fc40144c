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
}
GROUPS: dict[str, type] = {"waiting": conductor.Waiting, "usage": conductor.Usage}


def names(cls: Any) -> set[str]:
    return {item.name.rstrip("_") for item in fields(cls)}


@pytest.mark.parametrize("row", _conductor.FIELDS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_every_field_can_be_read(row: tuple[str, str, str]) -> None:
    about, name, _ = row
    if about in ("usage", "gc", "update"):
        pytest.skip("only in Rust and on the command line so far")
    if about == "unreadable":
        assert name in names(conductor.RunInfo)
        return
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
}
# Said by the name of the method.
METHODS = {"follow"}


@pytest.mark.parametrize("row", _conductor.OPTIONS, ids=lambda row: row[0])
def test_every_option_is_a_keyword(row: tuple[str, str, bool, list[str]]) -> None:
    name, _, _, nouns = row
    for noun in nouns:
        taken = inspect.signature(TAKERS[noun]).parameters
        assert name in taken or name in METHODS, f"{noun}: {name}"


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
