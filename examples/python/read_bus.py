#!/usr/bin/env python3
"""Reads a message bus with nothing but the standard library, as docs/FORMAT.md describes it.

    python3 read_bus.py PATH-OF-THE-BUS

Prints one JSON object for each record of the bus and its archives, oldest first: `seq`, `msg_id`, `ts`,
`type`, `body` and the other fields of its header. What is no record of this format is an object with
`damage`: where it lies and how long it is. The records that begin and end files are left out.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

MARK = b"\n\n---\nmsg_id: "
LINE = re.compile(rb"^\\+---[ \t\r]*$", re.MULTILINE)
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
ONCE = "ts type project_id task_id run_id issue_id parents links meta".split()
SHORT = {"n": "\n", "r": "\r", "t": "\t"}

TABLE = []
for entry in range(256):
    for _ in range(8):
        entry = entry >> 1 ^ (0x82F63B78 if entry & 1 else 0)
    TABLE.append(entry)


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def unquote(text: str) -> str:
    """The text between double quotes, its escapes taken back."""

    def plain(match: re.Match[str]) -> str:
        kind = match[1][0]
        if kind in "xuU":
            return chr(int(match[1][1:], 16))
        return SHORT.get(kind, kind)

    return re.sub(r"\\(x..|u....|U........|.)", plain, text[1:-1])


def value(text: str) -> Any:
    """A value of the header: text in quotes, or lists and maps of such texts, or a plain word."""
    if text[:1] == '"':
        return unquote(text)
    if text[:1] in ("[", "{"):
        return json.loads(QUOTED.sub(lambda match: json.dumps(unquote(match[0])), text))
    return text


def record(data: bytes, start: int) -> tuple[dict[str, Any], int] | None:
    """The record at `start` and its end; None where there is no whole one."""
    head = data.find(b"\n---\n", start)
    if not data.startswith(b"---\nmsg_id: ", start) or head < 0:
        return None
    lines = data[start + 4 : head].split(b"\n")
    length = re.fullmatch(rb"len: (0|[1-9]\d{0,7})", lines[-2]) if len(lines) > 3 else None
    crc = re.fullmatch(rb'crc32c: "([0-9a-f]{8})"', lines[-1])
    body = head + 5
    if not length or not crc or not re.fullmatch(rb"seq: [1-9]\d{0,15}", lines[1]):
        return None
    end = body + int(length[1])
    checked = data[start : head - len(lines[-1])] + data[body:end]
    if data[end : end + 1] != b"\n" or crc32c(checked) != int(crc[1], 16):
        return None
    fields: dict[str, Any] = {}
    for line in lines[:-2]:
        key, _, text = line.decode().partition(": ")
        if key in fields and key in ONCE:
            return None
        fields[key] = int(text) if key == "seq" else value(text)
    fields["body"] = LINE.sub(lambda match: match[0][1:], data[body:end]).decode()
    return fields, end + 1


def read(path: str) -> Iterator[dict[str, Any]]:
    """What one file holds."""
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while True:
        while data[at : at + 1] == b"\n":
            at += 1
        if at == len(data):
            return
        found = record(data, at)
        if found:
            fields, at = found
            yield fields
            continue
        # Up to the next record; at the very end it may be one that is still being written.
        mark = data.find(MARK, at)
        end = len(data) if mark < 0 else mark + 2
        yield {"damage": {"path": path, "offset": at, "len": end - at}}
        at = end


def read_bus(path: str) -> Iterator[dict[str, Any]]:
    """What a bus and its archives hold, oldest first."""
    folder, name = os.path.split(os.path.abspath(path))
    archive = re.compile(re.escape(name) + r"\.s\d{20}-\d{20}(-\d+)?\.archived")
    files = sorted(found for found in os.listdir(folder) if archive.fullmatch(found)) + [name]
    for file in files:
        for fields in read(os.path.join(folder, file)):
            if fields.get("type") not in ("BUS_SEGMENT_START", "BUS_SEGMENT_END"):
                yield fields


if __name__ == "__main__":
    for item in read_bus(sys.argv[1]):
        print(json.dumps(item, ensure_ascii=False))
