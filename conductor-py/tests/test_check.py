"""Answers that need no root, and the errors that they raise."""

import importlib.metadata
from datetime import timedelta

import pytest

import conductor


def test_version() -> None:
    assert conductor.__version__ == importlib.metadata.version("conductor-loop")


def test_the_package_is_the_installed_wheel() -> None:
    assert "site-packages" in conductor.__file__


@pytest.mark.parametrize("noun", ["project", "task", "run", "message"])
def test_ordinary_ids_pass(noun: str) -> None:
    conductor.check_id(noun, "fix-login")


@pytest.mark.parametrize("bad", ["", "..", "a/b", "/a", "a\0b", "a\nb", "x" * 300, "é", "runs"])
def test_bad_ids_are_one_clear_error(bad: str) -> None:
    with pytest.raises(conductor.InvalidInput) as caught:
        conductor.check_id("task", bad)
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.code == "id.invalid"
    assert error.field == "task"
    assert error.path is None
    assert "\n" not in str(error)
    assert "letter" in error.hint


def test_an_unknown_noun_is_named() -> None:
    with pytest.raises(conductor.InvalidInput, match="bus") as caught:
        conductor.check_id("bus", "x")
    assert caught.value.code == "id.unknown_noun"


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        conductor.check_id("task", "\udcff")


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("0", timedelta()),
        ("500ms", timedelta(milliseconds=500)),
        ("1h30m", timedelta(minutes=90)),
        ("168h", timedelta(days=7)),
        ("1500ns", timedelta(microseconds=1)),
    ],
)
def test_durations(text: str, length: timedelta) -> None:
    assert conductor.parse_duration(text) == length


@pytest.mark.parametrize("bad", ["", "5", "5x", "-1s", "1 s", "9999999h"])
def test_bad_durations_are_one_clear_error(bad: str) -> None:
    with pytest.raises(conductor.InvalidInput) as caught:
        conductor.parse_duration(bad)
    assert caught.value.code == "duration.invalid"
    assert "500ms" in caught.value.hint


def test_other_types_are_a_type_error() -> None:
    with pytest.raises(TypeError):
        conductor.parse_duration(5)  # type: ignore[arg-type]
