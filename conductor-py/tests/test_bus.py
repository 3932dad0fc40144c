"""Posting, reading and following, also from several threads and processes."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from dataclasses import FrozenInstanceError
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import conductor


def test_a_message_keeps_all_that_it_was_given(bus: conductor.Bus) -> None:
    # Also before the run of the fixture, however long that took.
    before = datetime.now(timezone.utc) - timedelta(days=1)
    first = bus.post("fact", "one\ntwo", meta={"by": "me", "a.b": "c=d"}, link="/x")
    second = bus.post("DECISION", "", parent=first.msg_id, run="run-1")
    told = bus.tail(2)
    assert [m.type for m in told] == ["FACT", "DECISION"]
    assert told[0].body == "one\ntwo" and told[0].meta == {"by": "me", "a.b": "c=d"}
    assert told[0].links == (conductor.Link("/x"),)
    assert told[1].parents == (conductor.Parent(first.msg_id),) and told[1].run_id == "run-1"
    assert told[1].cursor == second.cursor and told[1].seq == second.seq == first.seq + 1
    assert told[0].time is not None and before < told[0].time
    assert not told[0].is_damage
    assert [m.body for m in bus.read(after=first.cursor)] == [""]
    assert [m.seq for m in bus.read(since=before, type=["fact", "x"])] == [first.seq]
    assert list(bus.read(until=before)) == []


def test_what_comes_by_the_batch_is_what_comes_one_by_one(bus: conductor.Bus) -> None:
    for number in range(700):
        bus.post("FACT", f"{number}", meta={"by": "me"} if number % 100 == 7 else None)
    batched = list(bus.read())
    one_by_one = list(bus.read(cursor="one-by-one"))
    assert batched == one_by_one and len(batched) > 700
    assert [m.ts for m in batched] == [m.ts for m in one_by_one]
    for told, same in zip(batched, one_by_one):
        assert pickle.loads(pickle.dumps(told)) == same and repr(told) == repr(same)
        assert told.to_dict() == same.to_dict()
    with pytest.raises(FrozenInstanceError):
        batched[0].body = "x"  # type: ignore[misc]
    reader = bus.read()
    first = next(reader)
    rest: list[conductor.Message | None] = []
    for message in reader:
        rest.append(message)
        if len(rest) == 5:
            break
    rest += [reader.next(0), *reader]
    assert [first, *rest] == batched and reader.next(0) is None
    assert bus.read().step() == (True, batched[0])
    follower = bus.follow(after=batched[-3].cursor)
    assert [follower.step(), follower.step()] == [(True, m) for m in batched[-2:]]
    assert follower.step() == (False, None)
    follower.close()
    assert follower.step() == (True, None) and list(follower) == []


def test_a_key_is_posted_once(bus: conductor.Bus) -> None:
    assert bus.post("FACT", "x", once="key") == bus.post("FACT", "x", once="key")


def test_bad_input_is_told_before_anything_is_written(bus: conductor.Bus) -> None:
    size = bus.path.stat().st_size
    naive = datetime(2026, 1, 1)
    with pytest.raises(conductor.InvalidInput, match="type"):
        bus.post("no type", "x")
    with pytest.raises(conductor.InvalidInput, match="cursor"):
        bus.read(after="nonsense!")
    with pytest.raises(conductor.InvalidInput, match="since"):
        bus.read(since=naive)
    with pytest.raises(conductor.InvalidInput, match="wait"):
        bus.post("FACT", "x", wait=-1)
    with pytest.raises(UnicodeEncodeError):
        bus.post("FACT", "\udcff")
    assert bus.path.stat().st_size == size


def test_eight_threads_post_while_one_follows(bus: conductor.Bus) -> None:
    follower = bus.follow(after="end")

    def post() -> None:
        for number in range(25):
            bus.post("FACT", str(number))

    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    seen = [follower.next("1m") for _ in range(200)]
    for thread in threads:
        thread.join()
    numbers = [message.seq for message in seen if message is not None and message.seq is not None]
    assert numbers == list(range(numbers[0], numbers[0] + 200))
    with pytest.raises(conductor.Timeout):
        follower.next(0)
    follower.close()
    assert follower.next(0) is None


def test_a_follower_ends_with_its_timeout(bus: conductor.Bus) -> None:
    bus.post("FACT", "x")
    with bus.follow(tail=1, timeout=0.05) as follower:
        assert [message.body for message in follower] == ["x"]


def test_damage_is_an_item(bus: conductor.Bus) -> None:
    bus.post("FACT", "before")
    with bus.path.open("ab") as file:
        file.write(b"somebody wrote this\n")
    bus.post("FACT", "after")
    told = list(bus.read(tail=2))
    assert [m.is_damage for m in told] == [False, True, False]
    assert "somebody wrote this" in told[1].body and told[1].path == bus.path


def in_child(bus: conductor.Bus, root: Path) -> None:
    try:
        bus.post("FACT", "from a copy")
    except conductor.InvalidInput as error:
        assert error.code == "handle.forked"
    else:
        os._exit(3)
    with conductor.open(root) as again:
        again.bus("shop", "one").post("FACT", "from the child")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_opens_again(
    c: conductor.Conductor, bus: conductor.Bus, root: Path
) -> None:
    child = multiprocessing.get_context("fork").Process(target=in_child, args=(bus, root))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert bus.tail(1)[0].body == "from the child"
    bus.post("FACT", "from the parent")


def in_spawned(root: Path) -> None:
    with conductor.open(root) as c:
        c.bus("shop", "one").post("FACT", "from another interpreter")


def test_a_spawned_child_opens_the_same_root(bus: conductor.Bus, root: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(target=in_spawned, args=(root,))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert bus.tail(1)[0].body == "from another interpreter"


def test_a_kept_place_is_read_on_from_and_committed(bus: conductor.Bus) -> None:
    for number in range(3):
        bus.post("FACT", str(number))
    with bus.read(cursor="mailer", type="FACT") as reader:
        assert next(reader).body == "0"
        reader.commit()
        assert next(reader).body == "1"
        with pytest.raises(conductor.Busy) as busy:
            bus.follow(cursor="mailer")
        assert busy.value.code == "cursor.busy"
    with bus.follow(cursor="mailer", type="FACT", timeout=0.05) as follower:
        assert [message.body for message in follower] == ["1", "2"]
        follower.commit()
    assert list(bus.read(cursor="mailer")) == []
    with pytest.raises(conductor.InvalidInput) as conflict:
        bus.read(cursor="mailer", tail=1)
    assert conflict.value.code == "option.conflict" and conflict.value.field == "tail"
    with pytest.raises(conductor.InvalidInput) as none:
        bus.read().commit()
    assert none.value.code == "cursor.none"


def test_a_bus_is_rotated_and_checked(bus: conductor.Bus) -> None:
    cursor = bus.post("FACT", "before").cursor
    rotation = bus.rotate("10s")
    assert rotation.result == "done" and rotation.archive is not None and rotation.archive.exists()
    assert bus.rotate().result == "empty"
    bus.post("FACT", "after")
    assert [message.body for message in bus.read(after=cursor)] == ["after"]
    report = bus.check()
    assert (report.files, report.damaged, report.findings) == (2, False, ())
    bytes = bytearray(bus.path.read_bytes())
    at = bytes.rindex(b"after")
    bytes[at] ^= 1
    bus.path.write_bytes(bytes)
    damaged = bus.check()
    assert damaged.damaged and damaged.findings[0].kind == "corrupt"
    assert damaged.findings[0].path == bus.path and damaged.findings[0].damage
