"""The bus and SQLite from Python, doing the same work: ``python bus.py FOLDER ROUNDS``.

Prints a name, a tab and the nanoseconds of one call, for each piece of work in each round; then how long
Ctrl-C takes to end each wait.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path

import conductor

sys.path.append(str(Path(__file__).resolve().parents[3] / "conductor-py/tests"))
import waits  # noqa: E402 - which the tests have, too

CALLS, DISK, PROCESS, INTERRUPTS = 200_000, 500, 5_000, 8
BODY = "x" * 300
INSERT = """insert into messages (ts, type, run_id, body)
    values (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), ?, ?, ?)"""


def tell(what: str, start: int, count: int) -> None:
    print(f"{what}\t{(time.perf_counter_ns() - start) / count:.1f}")


def use_the_bus(folder: Path, durability: str, count: int) -> None:
    (folder / "bench").mkdir()
    with conductor.open(folder, durability=durability) as c:
        bus = c.bus("bench")
        start = time.perf_counter_ns()
        for _ in range(count):
            bus.post("FACT", BODY)
        tell(f"post {durability}", start, count)
        if durability == "disk":
            return
        start = time.perf_counter_ns()
        seen = sum(len(message.body) for message in bus.read())
        tell("read", start, count)
        assert seen == len(BODY) * count
        switch = conductor.Cancel()
        start = time.perf_counter_ns()
        for _ in range(CALLS):
            switch.is_set()
        tell("call", start, CALLS)


def use_sqlite(folder: Path, durability: str, count: int) -> None:
    db = sqlite3.connect(folder / "bench.db", isolation_level=None)
    db.execute("pragma journal_mode = wal")
    db.execute(f"pragma synchronous = {'full' if durability == 'disk' else 'normal'}")
    db.execute("""create table messages (seq integer primary key autoincrement, ts text, type text,
        run_id text, body text)""")
    start = time.perf_counter_ns()
    for _ in range(count):
        db.execute(INSERT, ("FACT", "", BODY))
    tell(f"sqlite {durability}", start, count)
    if durability == "process":
        start = time.perf_counter_ns()
        rows = db.execute("select seq, ts, type, run_id, body from messages order by seq")
        seen = sum(len(body) for *_, body in rows)
        tell("sqlite read", start, count)
        assert seen == len(BODY) * count
    db.close()


def interrupt_all(folder: Path, tries: int) -> None:
    with waits.scene(folder) as scene:
        calls = {**waits.WAITS, **waits.WORKS}
        for _ in range(tries):
            for what, wait in calls.items():
                took = waits.nanoseconds_to_interrupt(lambda wait=wait: wait(scene))
                print(f"interrupt {what}\t{took}")


def main() -> None:
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    for number in range(rounds):
        for durability, count in (("process", PROCESS), ("disk", DISK)):
            part = folder / f"{number}-{durability}"
            part.mkdir()
            use_the_bus(part, durability, count)
            use_sqlite(part, durability, count)
    interrupt_all(folder / "interrupts", INTERRUPTS * rounds)


if __name__ == "__main__":
    main()
