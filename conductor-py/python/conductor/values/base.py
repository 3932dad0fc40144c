"""What all values have in common."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T", bound="Value")


@dataclass(frozen=True)
class Value:
    """A value that never changes."""

    @classmethod
    def from_record(cls: type[_T], record: Mapping[str, Any]) -> _T:
        """From a dictionary with the names on disk; what this version does not know is left out."""
        form = _form(cls)
        # As the class's own __init__ would, which takes several times as long for so many fields.
        value = object.__new__(cls)
        attributes = value.__dict__
        attributes.update(form.defaults)
        for name, make in form.makers:
            attributes[name] = make()
        for name, given in record.items():
            known = form.fields.get(name)
            if known is not None and given is not None:
                attribute, convert = known
                attributes[attribute] = given if convert is None else _convert(convert, given)
        return value

    def to_dict(self) -> dict[str, Any]:
        """Plain data with the names on disk, as ``run-agent --json`` prints it. What is not known is
        left out."""
        out = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if value or not (value is None or item.metadata.get("empty") == "unknown"):
                out[_on_disk(item.name)] = _plain(value)
        return out


@dataclass(frozen=True)
class _Form:
    """What is known of a class's fields."""

    fields: dict[str, tuple[str, Any]]
    """By the name on disk: the attribute, and what converts to it."""
    defaults: dict[str, Any]
    makers: tuple[tuple[str, Callable[[], Any]], ...]


_FORMS: dict[type[Value], _Form] = {}


def _form(cls: type[Value]) -> _Form:
    known = _FORMS.get(cls)
    if known is None:
        all = fields(cls)
        known = _FORMS[cls] = _Form(
            {_on_disk(item.name): (item.name, item.metadata.get("to")) for item in all},
            {item.name: item.default for item in all if item.default is not MISSING},
            tuple(
                (item.name, item.default_factory)
                for item in all
                if item.default_factory is not MISSING
            ),
        )
    return known


def _on_disk(name: str) -> str:
    bare = name.rstrip("_")
    return bare if keyword.iskeyword(bare) else name


def _convert(to: Any, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_convert(to, item) for item in value)
    if isinstance(to, type) and issubclass(to, Value):
        return to.from_record(value)
    return to(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Value):
        return value.to_dict()
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return dict(value)
    return value


def to(convert: Any) -> Any:
    """A field that is made by ``convert`` of what stands on disk."""
    return field(default=None, metadata={"to": convert})


def part(cls: Any) -> Any:
    """A value that is always known."""
    return field(default_factory=cls, metadata={"to": cls})


def many(convert: Any, empty: str = "unknown") -> Any:
    """A field of several things. ``empty="known"``: that there are none is known."""
    return field(default=(), metadata={"to": convert, "empty": empty})


def texts() -> Any:
    """A field of named texts."""
    return field(default_factory=dict, metadata={"to": dict, "empty": "unknown"})
