#!/usr/bin/env python3
"""Reads a message bus with nothing but the standard library, as docs/FORMAT.md describes it.

    python3 read_bus.py PATH-OF-THE-BUS

Prints one JSON object for each record of the bus and its archives, oldest first: `seq`, `msg_id`, `ts`,
`type`, `body` and the other fields of its header. Where numbers are missing there is an object with `gap`.
What is no record of this format is one with `damage`, or with `older` where the older program may have written
it: where it lies and how long it is. The records that begin and end files are left out, and so is what is
still being written. Nothing is changed, whatever a crash left behind.
"""

import fcntl
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

BEGIN = b"---\nmsg_id: "
MARK = b"\n\n" + BEGIN
START, END = "BUS_SEGMENT_START", "BUS_SEGMENT_END"
LINE = re.compile(rb"^\\+---[ \t\r]*$", re.MULTILINE)
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
ONCE = "ts type project_id task_id run_id issue_id parents links meta".split()
SHORT = {"n": "\n", "r": "\r", "t": "\t"}
MOST_HEADER, MOST_BODY = 64 << 10, 32 << 20

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


def value(key: str, text: str) -> Any:
    """A value of the header: text in quotes, or lists and maps of such texts. ValueError where it is none."""
    if text[:1] in ("[", "{"):
        return json.loads(QUOTED.sub(lambda match: json.dumps(unquote(match[0])), text))
    if QUOTED.fullmatch(text):
        return unquote(text)
    if key not in ("ts", "type") or text[:1] == '"':
        raise ValueError(f"{key} is not in quotes")
    return text


def fields_of(lines: list[bytes]) -> dict[str, Any]:
    """What the lines of a header say. ValueError where that is no message."""
    fields: dict[str, Any] = {}
    for line in lines:
        key, is_field, text = line.decode().partition(": ")
        if not is_field or ":" in key:
            continue
        if key in fields and key in ONCE:
            raise ValueError(f"{key} stands twice")
        # What a newer writer says is not ours to judge.
        fields.setdefault(key, value(key, text) if key in ONCE else text)
    fields["seq"] = int(fields["seq"])
    json.dumps(fields, ensure_ascii=False).encode()  # No halves of characters.
    return fields


def record(data: bytes, start: int) -> tuple[int, dict[str, Any] | None, int] | None:
    """The number of the record at `start`, what it says and its end; None where there is no whole one.

    What it says is None where that is no message, although the checksum fits.
    """
    head = data.find(b"\n---\n", start, start + MOST_HEADER)
    if not data.startswith(BEGIN, start) or head < 0 or 0 in data[start:head]:
        return None
    lines = data[start + 4 : head].split(b"\n")
    length = re.fullmatch(rb"len: (0|[1-9]\d{0,7})", lines[-2]) if len(lines) > 3 else None
    crc = re.fullmatch(rb'crc32c: "([0-9a-f]{8})"', lines[-1])
    seq = re.fullmatch(rb"seq: ([1-9]\d{0,15})", lines[1]) if length else None
    if not length or not crc or not seq or int(length[1]) > MOST_BODY or int(seq[1]) >= 1 << 53:
        return None
    body = head + 5
    end = body + int(length[1])
    checked = data[start : head - len(lines[-1])] + data[body:end]
    if data[end : end + 1] != b"\n" or crc32c(checked) != int(crc[1], 16):
        return None
    try:
        fields = fields_of(lines[:-2])
        fields["body"] = LINE.sub(lambda match: match[0][1:], data[body:end]).decode()
    except (ValueError, OverflowError, RecursionError):
        return int(seq[1]), None, end + 1
    return int(seq[1]), fields, end + 1


def is_unfinished(rest: bytes) -> bool:
    """Whether this, at the end of a file, is the beginning of a record, perhaps with a hole of zeros."""
    begun = len(os.path.commonprefix([rest, BEGIN]))
    if begun < len(BEGIN):
        return not rest[begun:].strip(b"\0")
    head = rest.find(b"\n---\n")
    if head < 0:
        return 0 in rest or len(rest) < MOST_HEADER
    length = re.search(rb"\nlen: (\d{1,8})\ncrc32c: [^\n]*$", rest[:head])
    if not length or int(length[1]) > MOST_BODY:
        return False
    return 0 in rest or len(rest) < head + 5 + int(length[1]) + 1


class Reader:
    """What was read so far."""

    def __init__(self) -> None:
        self.last = 0
        self.sealed = False

    def read(self, path: str, is_archive: bool) -> Iterator[dict[str, Any]]:
        """What one file holds."""
        try:
            file = open(path, "rb")
        except FileNotFoundError:  # Removed meanwhile: the numbers tell.
            return
        with file:
            yield from self.records(file, path, is_archive)

    def records(self, file: BinaryIO, path: str, is_archive: bool) -> Iterator[dict[str, Any]]:
        data, at, self.sealed = file.read(), 0, False
        is_sure = is_archive
        while not self.sealed:
            while data[at : at + 1] == b"\n":
                at += 1
            if at == len(data):
                return
            found = record(data, at)
            if not found and not is_sure:
                # A writer may be at work. Looked at again while none is, and from there on believed.
                data, is_sure = read_locked(file), True
                continue
            if found and 0 < found[0] - self.last <= 1 << 32:
                (seq, fields, end), start = found, at
                if seq > self.last + 1:
                    yield {"gap": {"from": self.last + 1, "to": seq - 1}}
                self.last, at = seq, end
                if fields is None:
                    yield {"damage": {"path": path, "offset": start, "len": end - start}}
                    continue
                self.sealed = fields.get("type") == END
                if fields.get("type") not in (START, END):
                    yield fields
                continue
            mark = data.find(MARK, at)
            end = len(data) if mark < 0 else mark + 2
            if mark < 0 and not is_archive and is_unfinished(data[at:]):
                return
            older = not re.search(rb"^crc32c: ", data[at:end], re.MULTILINE) and 0 not in data[at:end]
            yield {"older" if older else "damage": {"path": path, "offset": at, "len": end - at}}
            at = end


def read_locked(file: BinaryIO) -> bytes:
    """The whole file, at a moment at which nobody writes, if there is one within a tenth of a second."""
    for _ in range(100):
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            time.sleep(0.001)
    file.seek(0)
    data = file.read()
    fcntl.flock(file, fcntl.LOCK_UN)
    return data


def first_number(path: str) -> int:
    """The number of a file's first record; 0 where it has none."""
    try:
        with open(path, "rb") as file:
            data = file.read().lstrip(b"\n")
    except FileNotFoundError:
        return 0
    found = record(data, 0)
    return found[0] if found else 0


def archives(folder: str, name: str) -> list[str]:
    """The paths of the archives, oldest first."""
    ours = re.compile(re.escape(name) + r"\.s(\d{20})-\d{20}(-\d+)?\.archived")
    dated = re.compile(re.escape(name) + r"\.\d{8}-\d{6}\.archived")
    found, before = [], 0
    for entry in sorted(os.listdir(folder)):
        path = os.path.join(folder, entry)
        if match := ours.fullmatch(entry):
            found.append((int(match[1]), entry, path))
        elif dated.fullmatch(entry):
            # The older program's. Without a number it follows the one before it.
            before = first_number(path) or before
            found.append((before, entry, path))
    return [path for _, _, path in sorted(found)]


def read_bus(path: str) -> Iterator[dict[str, Any]]:
    """What a bus and its archives hold, oldest first."""
    folder, name = os.path.split(os.path.abspath(path))
    live, waiting = os.path.join(folder, name), os.path.join(folder, f".{name}.next")
    reader = Reader()
    # Opened before archives are listed: if it is archived in between, it is among them.
    file = open(live, "rb") if os.path.exists(live) else None
    older = archives(folder, name)
    if file:
        same = [os.path.exists(old) and os.path.samestat(os.stat(old), os.fstat(file.fileno())) for old in older]
        older = older[: same.index(True)] if True in same else older
    for old in older:
        yield from reader.read(old, True)
    if file:
        with file:
            yield from reader.records(file, live, False)
        if not reader.sealed:
            return
    elif not older and not os.path.exists(waiting):
        raise FileNotFoundError(f"there is no bus {path}")
    # What follows was published meanwhile, or waits for it: a power cut may have taken that back.
    for following in (live, waiting, live):
        if first_number(following) == reader.last + 1:
            yield from reader.read(following, False)
            return


if __name__ == "__main__":
    for item in read_bus(sys.argv[1]):
        print(json.dumps(item, ensure_ascii=False))
