"""The exceptions form one tree, and it is the core's table of kinds."""

import builtins
import pickle
from pathlib import Path

import pytest

import conductor
from conductor import _conductor, errors

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, errors.Error) and value is not errors.Error
]


@pytest.mark.parametrize("row", _conductor.KINDS, ids=lambda row: row[0])
def test_every_kind_has_its_class(row: tuple[str, str, str, int, bool]) -> None:
    name, base, kind, exit_code, retryable = row
    cls = getattr(conductor, name)
    assert cls is getattr(errors, name)
    assert issubclass(cls, conductor.Error)
    assert issubclass(cls, getattr(builtins, base))
    assert (cls.kind, cls.exit_code, cls.retryable) == (kind, exit_code, retryable)
    assert cls.__doc__
    assert name in conductor.__all__


def test_there_is_no_class_without_a_kind() -> None:
    assert len(_conductor.KINDS) >= 18
    assert {cls.__name__ for cls in CLASSES} == {row[0] for row in _conductor.KINDS}


@pytest.mark.parametrize("cls", CLASSES)
def test_errors_keep_everything_through_pickle(cls: type[conductor.Error]) -> None:
    error = cls(
        "cannot open /x",
        code="io.other",
        hint="look",
        path=Path("/x"),
        field="root",
        cause="broken",
        errno=5,
    )
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert str(copy) == str(error) == "cannot open /x"
    for name in ("message", "code", "hint", "path", "field", "cause"):
        assert getattr(copy, name) == getattr(error, name)
    if isinstance(error, OSError):
        assert isinstance(copy, OSError)
        assert (copy.errno, copy.filename) == (5, "/x")


def test_everything_public_is_there() -> None:
    for name in conductor.__all__:
        assert getattr(conductor, name) is not None
