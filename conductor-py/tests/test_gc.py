"""Garbage collection: planned, looked at, carried out; by the thing, in asyncio, and cut short."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import conductor
from conductor import aio


def finished(c: conductor.Conductor, count: int) -> None:
    for number in range(count):
        c.jobs.start("shop", "true", agent="shell", task=f"t{number}").wait("1m")


def test_a_plan_changes_nothing_and_its_work_tells_of_each_thing(c: conductor.Conductor) -> None:
    finished(c, 3)
    assert [item.reason for item in c.gc.plan().items() if item.kind == "run"] == ["young"] * 3
    assert list(c.gc.plan().actions()) == []
    plan = c.gc.plan(project="shop", older_than=0, keep_last=0, max_bytes=1 << 40)
    assert plan.info.runs == 3 and plan.info.errors == () and plan.info.now is not None
    planned = list(plan.actions())
    assert {(item.action, item.kind, item.reason) for item in planned} == {("delete", "run", "age")}
    assert len(c.runs.list("shop", "t0")) == 1
    with plan.work() as work:
        first = next(work)
        assert (first.result, first.run_id) == ("done", planned[0].run_id)
        rest = list(work)
        report = work.report
    assert [item.path for item in [first, *rest]] == [item.path for item in planned]
    assert (report.runs, report.failed, report.kept) == (3, 0, 0)
    assert report.freed == sum(item.bytes for item in planned)
    assert c.runs.list("shop", "t0") == []
    with pytest.raises(conductor.InvalidInput) as closed:
        work.report
    assert closed.value.code == "handle.closed"
    with pytest.raises(conductor.InvalidInput) as no_work:
        c.bus("shop").read()._open().report()
    assert no_work.value.code == "reader.no_report"


def test_a_plan_is_made_again_of_its_text_and_takes_no_more(c: conductor.Conductor) -> None:
    finished(c, 1)
    text = c.gc.plan(older_than=0).info.plan
    c.jobs.start("shop", "true", agent="shell", task="later").wait("1m")
    report = c.gc.plan_again(text).apply("1m")
    assert report.runs == 1
    assert len(c.runs.list("shop", "later")) == 1
    with pytest.raises(conductor.InvalidInput) as bad:
        c.gc.plan_again("nonsense")
    assert bad.value.code == "gc.token"


def test_what_is_cut_short_is_gone_on_with(c: conductor.Conductor) -> None:
    finished(c, 2)
    switch = conductor.Cancel()
    switch.set()
    plan = c.gc.plan(older_than=0)
    with pytest.raises(conductor.Cancelled):
        plan.apply(cancel=switch)
    with pytest.raises(conductor.Cancelled):
        c.gc.plan(older_than=0, cancel=switch)
    with pytest.raises(conductor.Timeout):
        plan.apply(0)
    left = sum(len(c.runs.list("shop", f"t{number}")) for number in range(2))
    assert plan.apply().runs == left
    assert [c.runs.list("shop", f"t{number}") for number in range(2)] == [[], []]


def test_wrong_options_are_named(c: conductor.Conductor) -> None:
    finished(c, 1)
    with pytest.raises(conductor.InvalidInput) as size:
        c.gc.plan(bus_max_size="huge")
    assert (size.value.code, size.value.field) == ("size.invalid", "bus_max_size")
    with pytest.raises(conductor.NotFound):
        c.gc.plan(project="none")


def test_a_plan_is_carried_out_beside_the_loop(root: Path) -> None:
    async def main() -> None:
        async with aio.open(root) as c:
            for number in range(2):
                run = await c.jobs.start("shop", "true", agent="shell", task=f"t{number}")
                await run.wait()
            plan = await c.gc.plan(older_than=0)
            assert plan.info.runs == 2
            assert [item.kind async for item in plan.actions()] == ["run", "run"]
            async with plan.work() as work:
                assert [item.result async for item in work] == ["done", "done"]
                assert work.report.runs == 2
            again = await c.gc.plan_again(plan.info.plan)
            assert (await again.apply()).runs == 0

    asyncio.run(asyncio.wait_for(main(), 600))
