"""Runs and tasks: started, waited for, followed, stopped, found again."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

import conductor

COUNT = "echo x >>steps; test $(wc -l <steps) -lt 3 || touch DONE"


def test_opening_changes_nothing(root: Path) -> None:
    with conductor.open(root) as c:
        assert c.root == root
        assert str(root) in repr(c)
    assert not root.exists()
    with pytest.raises(conductor.InvalidInput) as caught:
        c.projects()
    assert caught.value.code == "handle.closed"


def test_a_run_is_started_waited_for_and_read(c: conductor.Conductor, tmp_path: Path) -> None:
    run = c.jobs.start(
        "shop", "echo $A; pwd; exit 3", agent="shell", task="one", cwd=tmp_path, env={"A": "b=c"}
    )
    end = run.wait(timedelta(minutes=1))
    assert (end.outcome, end.exit_code, end.signal) == ("failed", 3, None)
    assert end.id == run.id and end.cwd == tmp_path
    assert end.start_time is not None and end.start_time.tzinfo is not None
    assert run.output() == f"b=c\n{tmp_path}\n"
    assert run.output(tail=1) == f"{tmp_path}\n"
    assert run.output("prompt").endswith("exit 3\n")
    assert c.runs.get("shop", "one").id == run.id == c.runs.list("shop", "one")[0].run_id
    assert c.runs.list("shop", "one", status="running") == []
    assert c.projects()[0].project_id == "shop"
    assert repr(run) == f"<Run shop/one/{run.id}>"


def test_a_task_is_driven_by_who_follows_it(c: conductor.Conductor) -> None:
    task = c.tasks.start("shop", "count", agent="shell", prompt=COUNT, restart_delay=0.01)
    types = [message.type for message in task.follow()]
    assert types.count("RUN_START") == 3
    result = task.wait(0)
    assert (result.outcome, result.attempts, result.reason) == ("done", 3, None)
    info = task.info
    assert info.done and info.latest is not None and info.latest.outcome == "completed"
    assert info.waiting is None and info.blocked_by == ()
    assert c.tasks.get("shop", "count").wait(0) == result
    assert [task.id for task in c.tasks.list("shop")] == ["count"]
    assert task.follow(type="run_start").next("1m") is not None


def test_a_task_that_is_done_can_be_resumed(c: conductor.Conductor) -> None:
    c.tasks.start("shop", "count", agent="shell", prompt=COUNT, restart_delay="10ms").wait("1m")
    result = c.tasks.resume("shop", "count").wait("1m")
    assert (result.outcome, result.attempts) == ("done", 1)
    assert c.tasks.attach("shop", "count").wait(0) == result


def test_the_end_of_a_wait_is_not_the_end_of_the_work(c: conductor.Conductor) -> None:
    run = c.jobs.start("shop", "exec sleep 600", agent="shell", task="slow")
    for timeout in (0, 0.05, "50ms", timedelta(milliseconds=50)):
        with pytest.raises(conductor.Timeout):
            run.wait(timeout)
    with pytest.raises(TimeoutError):
        next(conductor.as_completed([run], 0.05))
    assert run.step() is None and run.fileno() >= 0
    assert run.info.status == "running" and run.info.outcome is None
    report = run.stop("enough", force=True)
    assert report.signalled == (run.id,)
    assert run.wait(0).stop_reason == "enough"
    assert run.stop().signalled == ()


def test_a_switch_ends_waits_in_other_threads(c: conductor.Conductor) -> None:
    run = c.jobs.start("shop", "exec sleep 600", agent="shell", task="slow")
    cancel = conductor.Cancel()
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            run.wait(cancel=cancel)
        except conductor.Cancelled as error:
            ended.append(error)

    threads = [threading.Thread(target=wait) for _ in range(8)]
    for thread in threads:
        thread.start()
    cancel.set()
    for thread in threads:
        thread.join(60)
    assert len(ended) == 8 and cancel.is_set()


def test_many_are_waited_for_at_once(c: conductor.Conductor) -> None:
    runs = [
        c.jobs.start("shop", f"echo {part}", agent="shell", task=f"part-{part}") for part in "abcde"
    ]
    done = [run.output() for run in conductor.as_completed(runs, "1m")]
    assert sorted(done) == [f"{part}\n" for part in "abcde"]


def test_the_output_is_followed_while_it_comes(c: conductor.Conductor) -> None:
    run = c.jobs.start("shop", "echo one; sleep 0.2; echo two", agent="shell", task="talk")
    assert "".join(piece.text for piece in run.follow()) == "one\ntwo\n"


def test_what_cannot_be_read_is_told_in_its_place(c: conductor.Conductor, root: Path) -> None:
    c.jobs.start("shop", "true", agent="shell", task="one").wait("1m")
    broken = root / "shop/one/runs/broken"
    broken.mkdir()
    (broken / "run-info.yaml").write_text("\0")
    listed = {run.run_id: run for run in c.runs.list("shop", "one")}
    assert listed["broken"].error and listed["broken"].error_code
    assert sum(run.error is None for run in listed.values()) == 1


def test_errors_say_what_to_do(c: conductor.Conductor) -> None:
    with pytest.raises(conductor.NotFound) as found:
        c.runs.get("shop", "none")
    assert found.value.hint and found.value.path is not None
    with pytest.raises(conductor.InvalidInput) as invalid:
        c.jobs.start("../x", "true", agent="shell")
    assert (invalid.value.code, invalid.value.field) == ("id.invalid", "project")
    with pytest.raises(conductor.InvalidInput) as missing:
        c.jobs.start("shop", "true", agent="shell", cwd="/does/not/exist")
    assert missing.value.code == "cwd.not_a_folder"


def test_reconcile_gives_what_ended_unseen(c: conductor.Conductor) -> None:
    run = c.jobs.start("shop", "true", agent="shell", task="unseen")
    deadline = time.monotonic() + 60
    closed: list[conductor.RunInfo] = []
    while not closed and time.monotonic() < deadline:
        closed = c.reconcile()
    assert [info.id for info in closed] == [run.id]


def test_a_task_is_cancelled_set_back_and_deleted(c: conductor.Conductor) -> None:
    def start() -> conductor.Task:
        return c.tasks.start("shop", "unwanted", agent="shell", prompt="exec sleep 600")

    task = start()
    for refused in (c.tasks.set_back, c.tasks.delete):
        with pytest.raises(conductor.Conflict) as running:
            refused("shop", "unwanted")
        assert running.value.code == "task.running"
    del task
    assert len(c.tasks.cancel("shop", "unwanted", "not wanted", force=True).signalled) == 1
    ended = c.tasks.get("shop", "unwanted").wait(0)
    assert (ended.outcome, ended.reason) == ("stopped", "not wanted")
    with pytest.raises(conductor.Conflict) as cancelled:
        start()
    assert cancelled.value.code == "task.cancelled"
    c.tasks.set_back("shop", "unwanted")
    start()
    c.tasks.delete("shop", "unwanted", force=True)
    with pytest.raises(conductor.NotFound):
        c.tasks.get("shop", "unwanted")
    assert c.usage("shop").total.runs == 2, "what deleted runs used is kept"
