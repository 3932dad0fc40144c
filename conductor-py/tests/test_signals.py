"""Ctrl-C in every wait: it is over, as KeyboardInterrupt, and the work goes on.

How soon is not judged by a clock here, since the machine may be busy: ``tests/tests/python/interrupts.rs`` looks that
nothing is waited for between the signal and the end of the wait, and the bench of the bindings measures it.
"""

from __future__ import annotations

import fcntl
import signal
import threading
from collections.abc import Iterator

import pytest
from waits import WAITS, WORKS, Scene, calls_that_may_wait, nanoseconds_to_interrupt, scene

import conductor

ALL = {**WAITS, **WORKS}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("waits") / "root") as opened:
        yield opened


def test_every_call_that_may_wait_is_here() -> None:
    assert calls_that_may_wait() == {name.split()[0] for name in ALL}


@pytest.mark.parametrize("name", ALL)
def test_ctrl_c_ends_the_wait_and_not_the_work(there: Scene, name: str) -> None:
    nanoseconds_to_interrupt(lambda: ALL[name](there))
    assert there.run.info.status == "running"
    latest = there.task.info.latest
    assert latest is not None and latest.status == "running"
    latest = there.stubborn.info.latest
    assert latest is not None and latest.status == "running"


def test_a_signal_whose_handler_raises_nothing_ends_no_wait(there: Scene) -> None:
    heard = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.set())
    try:
        main = threading.main_thread().ident or 0
        timer = threading.Timer(0.05, lambda: signal.pthread_kill(main, signal.SIGUSR1))
        timer.start()
        with pytest.raises(conductor.Timeout):
            there.run.wait("300ms")
        timer.join()
        assert heard.is_set()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_what_ctrl_c_kept_from_being_done_is_not_done_later(bus: conductor.Bus) -> None:
    bus.post("FACT", "before")
    with bus.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        nanoseconds_to_interrupt(lambda: bus.post("FACT", "late", wait="10m"))
        nanoseconds_to_interrupt(lambda: bus.rotate("10m"))
    bus.post("FACT", "after")
    assert [message.body for message in bus.read(type="FACT")] == ["before", "after"]
    assert bus.check().files == 1
