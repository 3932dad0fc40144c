"""The bus and SQLite from Python, doing the same work: ``python bus.py FOLDER ROUNDS``.

Prints a name, a tab and the nanoseconds of one call, for each piece of work in each round; then how long
Ctrl-C takes to end each wait.
"""

from __future__ import annotations

import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import conductor

CALLS, DISK, PROCESS = 200_000, 500, 5_000
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


def interrupt(what: str, wait: Callable[[], object]) -> None:
    """Sends SIGINT to the main thread while it waits, and measures until it is out."""
    sent = 0

    def send() -> None:
        nonlocal sent
        sent = time.perf_counter_ns()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    # Not in step with the waits' own beat.
    timer = threading.Timer(0.2 + time.perf_counter_ns() % 97 / 1000, send)
    timer.start()
    try:
        wait()
    except KeyboardInterrupt:
        tell(f"interrupt {what}", sent, 1)
    timer.join()


def interrupt_all(folder: Path, rounds: int) -> None:
    stubborn = "trap '' TERM; while :; do sleep 0.1; done"
    with conductor.open(folder) as c:
        run = c.jobs.start("bench", "exec sleep 600", agent="shell", task="slow")
        hard = c.jobs.start("bench", stubborn, agent="shell", task="stubborn", grace="10m")
        task = c.tasks.start("bench", "slower", agent="shell", prompt="exec sleep 600")
        bus = c.bus("bench", "slow")
        waits: dict[str, Callable[[], object]] = {
            "run.wait": run.wait,
            "run.follow": lambda: list(run.follow()),
            "run.stop": lambda: hard.stop("enough"),
            "task.wait": task.wait,
            "task.follow": lambda: list(task.follow()),
            "bus.follow": lambda: list(bus.follow(after="end")),
            "reader.next": lambda: bus.follow(after="end").next(),
            "log": lambda: conductor.log.read("error").next(),
            "as_completed": lambda: list(conductor.as_completed([run, hard])),
        }
        for _ in range(rounds):
            for what, wait in waits.items():
                interrupt(what, wait)
        for work in (run, hard, task):
            work.stop("the bench is over", force=True)


def main() -> None:
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    for number in range(rounds):
        for durability, count in (("process", PROCESS), ("disk", DISK)):
            part = folder / f"{number}-{durability}"
            part.mkdir()
            use_the_bus(part, durability, count)
            use_sqlite(part, durability, count)
    interrupt_all(folder / "interrupts", rounds)


if __name__ == "__main__":
    main()
