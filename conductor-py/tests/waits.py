"""Every call that may wait, and how each is made to wait for long: for the tests, and for the bench."""

from __future__ import annotations

import fcntl
import inspect
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import conductor

STUBBORN = "trap '' TERM; touch stubborn; while :; do sleep 0.1; done"

# Whoever starts this in the background of a shell has Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Scene:
    """A root in which every call that may wait would wait for ever."""

    def __init__(self, c: conductor.Conductor, plan: conductor.GcPlan) -> None:
        self.c = c
        self.plan = plan
        self.run = c.jobs.start("shop", "exec sleep 600", agent="shell", task="slow")
        self.task = c.tasks.start("shop", "slower", agent="shell", prompt="exec sleep 600")
        self.stubborn = c.tasks.start(
            "shop", "stubborn", agent="shell", prompt=STUBBORN, grace="10m"
        )
        self.quiet = c.bus("shop", "slow")
        self.held = c.bus("shop", "held")
        # Only from here on the signal does not end it.
        latest_start = time.monotonic() + 60
        while not (c.root / "shop" / "stubborn" / "stubborn").exists():
            assert time.monotonic() < latest_start, "it does not start"
            time.sleep(0.01)
        latest = self.stubborn.info.latest
        assert latest is not None and latest.run_id is not None
        self.hard = c.runs.get("shop", "stubborn", latest.run_id)


@contextmanager
def scene(root: Path) -> Iterator[Scene]:
    """The scene; in the end nothing of it lives any more."""
    root.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as deaf, held(root):
        config = root.parent / f"{root.name}.yaml"
        # Somebody who takes a connection and says nothing.
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        config.write_text(f"webhook:\n  url: {url}\n  timeout: 10m\n")
        with conductor.open(root, config=config, durability="process") as c:
            there = Scene(c, c.gc.plan(older_than="0s"))
            try:
                yield there
            finally:
                for work in (there.run, there.task, there.stubborn):
                    work.stop("the test is over", force=True)


@contextmanager
def held(root: Path) -> Iterator[None]:
    """A task whose bus and whose folder somebody else has locked, and does not give back."""
    with conductor.open(root) as c:
        c.jobs.start("shop", "true", agent="shell", task="held").wait("5m")
        bus = c.bus("shop", "held")
    with bus.path.open("rb") as file, bus.path.with_name(".task.lock").open("rb") as lock:
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def again_and_again(call: Callable[[], object]) -> None:
    """For what works and waits for nobody, so that it is at work whenever the signal comes."""
    while True:
        call()


Wait = Callable[[Scene], object]

WAITS: dict[str, Wait] = {
    "Run.wait": lambda s: s.run.wait(),
    "Run.follow": lambda s: list(s.run.follow()),
    "Run.stop": lambda s: s.hard.stop("enough"),
    "Task.wait": lambda s: s.task.wait(),
    "Task.follow": lambda s: list(s.task.follow()),
    "Task.stop": lambda s: s.stubborn.stop("enough"),
    "as_completed": lambda s: list(conductor.as_completed([s.run, s.hard])),
    "Jobs.start": lambda s: s.c.jobs.start("shop", "true", agent="shell", task="held"),
    "Tasks.start": lambda s: s.c.tasks.start("shop", "held", agent="shell", prompt="true"),
    "Tasks.resume": lambda s: s.c.tasks.resume("shop", "held", agent="shell", prompt="true"),
    "Tasks.cancel": lambda s: s.c.tasks.cancel("shop", "stubborn", "enough"),
    "Tasks.set_back": lambda s: s.c.tasks.set_back("shop", "held"),
    "Tasks.delete": lambda s: s.c.tasks.delete("shop", "held"),
    "Bus.post": lambda s: s.held.post("FACT", "late", wait="10m"),
    "Bus.follow": lambda s: list(s.quiet.follow(after="end")),
    "Bus.rotate": lambda s: s.held.rotate("10m"),
    "Reader.next": lambda s: s.quiet.follow(after="end").next(),
    "Reader.next of the log": lambda s: conductor.log.read("error").next(),
    "Reader.drain": lambda s: s.run.follow().drain(),
    "Outbox.deliver": lambda s: s.c.outbox.deliver("10m"),
}
"""What waits for somebody."""

WORKS: dict[str, Wait] = {
    "Conductor.reconcile": lambda s: again_and_again(s.c.reconcile),
    "Gc.plan": lambda s: again_and_again(s.c.gc.plan),
    "Gc.plan_again": lambda s: again_and_again(lambda: s.c.gc.plan_again(s.plan.info.plan)),
    "GcPlan.apply": lambda s: again_and_again(s.plan.apply),
    "GcPlan.work": lambda s: again_and_again(lambda: list(s.plan.work())),
}
"""What works, and may have much to do."""

_MARKS = {"timeout", "cancel", "wait"}


def calls_that_may_wait() -> set[str]:
    """What of the package takes a deadline or a switch: ``Class.method``, or the name of a function."""
    found = set()
    for module in (conductor, conductor.log):
        for name, thing in vars(module).items():
            if name.startswith("_") or not getattr(thing, "__module__", "").startswith("conductor"):
                continue
            if inspect.isclass(thing):
                for base in thing.__mro__:
                    found |= {
                        f"{base.__name__}.{method}"
                        for method, function in vars(base).items()
                        if not method.startswith("_") and _may_wait(function)
                    }
            elif _may_wait(thing):
                found.add(name)
    return found


def _may_wait(thing: Any) -> bool:
    function = getattr(thing, "__func__", thing)
    try:
        return not _MARKS.isdisjoint(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        # Not callable, or of C and without any.
        return False


def nanoseconds_to_interrupt(wait: Callable[[], object]) -> int:
    """Sends SIGINT to the main thread while it waits: how long until it is out of the wait."""
    sent = 0

    def send() -> None:
        nonlocal sent
        sent = time.perf_counter_ns()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    # Not in step with any beat that the wait might have.
    timer = threading.Timer(0.02 + time.perf_counter_ns() % 101 / 1000, send)
    try:
        timer.start()
        wait()
    except KeyboardInterrupt:
        return time.perf_counter_ns() - sent
    finally:
        timer.join()
    raise AssertionError("the wait was over before the signal came")


def main() -> None:
    """``waits.py ROOT TRIES``: interrupts each call, and says so once it is out of it."""
    root, tries = Path(sys.argv[1]), int(sys.argv[2])
    # In a shell: whether the main thread of this program sleeps.
    waits_now = f"read -r _ _ state _ </proc/{os.getpid()}/stat && [ $state = S ]"
    with scene(root) as there:
        for kind, calls in {"wait": WAITS, "work": WORKS}.items():
            for name, wait in calls.items():
                for number in range(tries):
                    # From outside, as from a terminal: a thread of this program would want the interpreter
                    # meanwhile. Not in step with any beat that the wait might have, and however long it
                    # took to come to it.
                    pause, me = f"{23 + 17 * number}", os.getpid()
                    if kind == "wait":
                        asleep = f"until {waits_now}; do kill -0 {me} || exit; sleep 0.01; done"
                        send = f"sleep 0.0{pause}; {asleep}; kill -INT {me}"
                    else:
                        send = f"sleep 0.{pause}; kill -INT {me}"
                    with subprocess.Popen(["/bin/sh", "-c", send]):
                        try:
                            wait(there)
                        except KeyboardInterrupt:
                            os.write(1, f"{kind} {name}\n".encode())


if __name__ == "__main__":
    main()
