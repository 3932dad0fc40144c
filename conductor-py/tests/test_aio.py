"""asyncio: waits are descriptors of the loop, and no wait takes a thread."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from waits import Scene, scene

import conductor
from conductor import aio


def run(root: Path, work: Any) -> None:
    async def main() -> None:
        async with aio.open(root) as c:
            await work(c)

    coroutine: Coroutine[Any, Any, None] = main()
    # Ends a hang; it measures nothing.
    asyncio.run(asyncio.wait_for(coroutine, 600))


def test_a_task_is_driven_by_the_loop(root: Path) -> None:
    async def work(c: aio.Conductor) -> None:
        script = "echo x >>steps; test $(wc -l <steps) -lt 3 || touch DONE"
        task = await c.tasks.start(
            "shop", "count", agent="shell", prompt=script, restart_delay="10ms"
        )
        types = [message.type async for message in task.follow()]
        assert types.count("RUN_START") == 3
        assert (await task.wait()).outcome == "done"

    run(root, work)


async def begun() -> None:
    """Until each task that was just made has come to its first wait."""
    for _ in range(3):
        await asyncio.sleep(0)


def test_a_wait_ends_with_its_timeout_or_its_task(root: Path) -> None:
    async def work(c: aio.Conductor) -> None:
        slow = await c.jobs.start("shop", "exec sleep 600", agent="shell", task="slow")
        with pytest.raises(conductor.Timeout):
            await slow.wait(0.05)
        waiting = asyncio.ensure_future(slow.wait())
        await begun()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert slow.info.status == "running"
        both = asyncio.gather(slow.wait(), slow.wait())
        await slow.stop("enough", force=True)
        assert [end.stop_reason for end in await both] == ["enough", "enough"]

    run(root, work)


def test_a_hundred_follows_at_once_take_no_thread_and_leave_no_descriptor(root: Path) -> None:
    async def work(c: aio.Conductor) -> None:
        first = await c.jobs.start("shop", "true", agent="shell", task="one")
        await first.wait()
        bus = await c.bus("shop", "one")
        await bus.post("FACT", "warm")
        before = len(os.listdir("/proc/self/fd"))
        threads = threading.active_count()
        readers = [bus.follow(after="end") for _ in range(100)]
        follows = [asyncio.ensure_future(reader.next()) for reader in readers]
        await begun()
        assert threading.active_count() == threads
        await bus.post("FACT", "for all")
        told = await asyncio.gather(*follows)
        assert [message.body for message in told if message is not None] == ["for all"] * 100
        for reader in readers:
            await reader.aclose()
        # What worked in the pool lets go of its own a moment after its answer.
        while len(os.listdir("/proc/self/fd")) > before + 2:
            await asyncio.sleep(0.01)

    run(root, work)


def test_a_hundred_tasks_are_driven_at_once(root: Path) -> None:
    async def work(c: aio.Conductor) -> None:
        tasks = await asyncio.gather(
            *(
                c.tasks.start("shop", f"t{number}", agent="shell", prompt="touch DONE")
                for number in range(100)
            )
        )
        ended = [task.id async for task in aio.as_completed(tasks, "10m")]
        assert sorted(ended) == sorted(f"t{number}" for number in range(100))

    run(root, work)


def test_output_and_lists(root: Path) -> None:
    async def work(c: aio.Conductor) -> None:
        one = await c.jobs.start("shop", "echo one; sleep 0.1; echo two", agent="shell", task="one")
        pieces = [piece.text async for piece in one.follow()]
        assert "".join(pieces) == "one\ntwo\n" == await one.output()
        assert [run.id for run in await c.runs.list("shop", "one")] == [one.id]
        assert [project.project_id for project in await c.projects()] == ["shop"]
        # Looking on writes nothing down; who asks for it does.
        assert [run.id for run in await c.reconcile()] == [one.id]

    run(root, work)


def test_what_is_told_of_a_root_and_its_buses(root: Path) -> None:
    async def work(c: aio.Conductor) -> None:
        one = await c.jobs.start("shop", "exit 3", agent="shell", task="one")
        await one.wait()
        assert "3" in (await one.why()).because
        assert (await c.usage("shop")).total.runs == 1
        assert isinstance(await c.doctor(), list)
        bus = await c.bus("shop", "one")
        await bus.post("FACT", "x")
        async with bus.follow(cursor="mailer", type="FACT") as messages:
            message = await messages.next("1m")
            assert message is not None and message.body == "x"
            await messages.commit()
        assert (await bus.rotate()).result == "done"
        assert not (await bus.check()).damaged
        task = await c.tasks.start("shop", "two", agent="shell", prompt="exec sleep 600")
        del task
        await c.tasks.cancel("shop", "two", "enough", force=True)
        await c.tasks.set_back("shop", "two")
        await c.tasks.delete("shop", "two")

    run(root, work)


def test_what_works_in_the_pool_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    async def work(there: Scene) -> None:
        c, held = aio.Conductor(there.c), aio.Bus(there.held)
        for call in (
            aio.Run(there.hard).stop("enough"),
            aio.Task(there.stubborn).stop("enough"),
            held.post("FACT", "late", wait="10m"),
            held.rotate("10m"),
            c.jobs.start("shop", "true", agent="shell", task="held"),
            c.tasks.start("shop", "held", agent="shell", prompt="true"),
            c.tasks.resume("shop", "held", agent="shell", prompt="true"),
            c.tasks.cancel("shop", "stubborn", "enough"),
            c.tasks.set_back("shop", "held"),
            c.tasks.delete("shop", "held"),
        ):
            waiting = asyncio.ensure_future(call)
            done, _ = await asyncio.wait({waiting}, timeout=0.05)
            assert not done
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        # As the end of asyncio.run() does, also after Ctrl-C: it waits for what is at work there.
        pool = asyncio.get_running_loop().shutdown_default_executor()
        await asyncio.wait_for(pool, 60)

    with scene(tmp_path / "root") as there:
        asyncio.run(work(there))
        latest = there.stubborn.info.latest
        assert latest is not None and latest.status == "running"
