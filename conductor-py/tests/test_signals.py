"""Ctrl-C in every wait: soon, as KeyboardInterrupt, and the work goes on."""

from __future__ import annotations

import fcntl
import signal
import threading
import time
from collections.abc import Callable

import pytest

import conductor


def both(run: conductor.Run, task: conductor.Task) -> list[conductor.Run | conductor.Task]:
    return [run, task]


WAITS: dict[str, Callable[[conductor.Conductor, conductor.Run, conductor.Task], object]] = {
    "run.wait": lambda c, run, task: run.wait(),
    "run.follow": lambda c, run, task: list(run.follow()),
    "task.wait": lambda c, run, task: task.wait(),
    "task.follow": lambda c, run, task: list(task.follow()),
    "bus.follow": lambda c, run, task: list(c.bus("shop", "slow").follow(after="end")),
    "reader.next": lambda c, run, task: c.bus("shop", "slow").follow(after="end").next(),
    "log": lambda c, run, task: conductor.log.read("error").next(),
    "as_completed": lambda c, run, task: list(conductor.as_completed(both(run, task))),
}


@pytest.mark.parametrize("name", WAITS)
def test_ctrl_c_ends_the_wait_and_not_the_work(c: conductor.Conductor, name: str) -> None:
    run = c.jobs.start("shop", "exec sleep 600", agent="shell", task="slow")
    task = c.tasks.start("shop", "slower", agent="shell", prompt="exec sleep 600")
    sent: list[float] = []

    def interrupt() -> None:
        sent.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    timer = threading.Timer(0.3, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        WAITS[name](c, run, task)
    # A bound for a hang, far above the 100 ms that it takes; the bench of the bindings measures it.
    assert time.monotonic() - sent[0] < 5
    timer.join()
    assert run.info.status == "running"
    task.stop("the test is over", force=True)


def test_ctrl_c_while_stopping(c: conductor.Conductor) -> None:
    stubborn = "trap '' TERM; while :; do sleep 0.1; done"
    run = c.jobs.start("shop", stubborn, agent="shell", task="stubborn", grace="10m")
    while run.info.pid is None:
        time.sleep(0.01)
    timer = threading.Timer(
        0.3, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    )
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run.stop("enough")
    assert run.info.status == "running"


@pytest.mark.parametrize(
    "call", [lambda bus: bus.post("FACT", "late", wait="10m"), lambda bus: bus.rotate("10m")]
)
def test_ctrl_c_while_another_writer_is_waited_for(
    bus: conductor.Bus, call: Callable[[conductor.Bus], object]
) -> None:
    bus.post("FACT", "before")
    with bus.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        timer = threading.Timer(
            0.3, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        )
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            call(bus)
        timer.join()
    bus.post("FACT", "after")
    assert [message.body for message in bus.read(type="FACT")] == ["before", "after"]
    assert bus.check().files == 1
