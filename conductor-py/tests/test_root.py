"""What is told of a root, of the configuration, and of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

import conductor

AGENT = """
import json, sys
print(json.dumps({"type": "result", "subtype": "success", "is_error": False, "result": "done",
                  "total_cost_usd": 0.25, "usage": {"input_tokens": 3, "output_tokens": 4}}))
"""


@pytest.fixture
def claude(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that tells what it used as Claude Code does."""
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text("#!/usr/bin/env python3" + AGENT)
    program.chmod(0o755)
    path = f"{program.parent}:/usr/local/bin:/usr/bin:/bin"
    monkeypatch.setenv("PATH", path)


@pytest.mark.usefixtures("claude")
def test_usage_is_summed_up_and_what_is_unknown_is_not_zero(c: conductor.Conductor) -> None:
    for task in ("one", "two"):
        c.jobs.start("shop", "work", agent="claude", task=task).wait("1m")
    c.jobs.start("shop", "true", agent="shell", task="two").wait("1m")
    report = c.usage()
    assert report.by == "project" and report.damage == ()
    (shop,) = report.sums
    assert (shop.name, shop.runs, shop.cost_usd, shop.unknown_cost) == ("shop", 3, 0.5, 1)
    assert shop.usage is not None and shop.usage.output_tokens == 8
    assert report.total.name is None and report.total.runs == 3
    assert [(s.name, s.runs) for s in c.usage("shop").sums] == [("shop/one", 1), ("shop/two", 2)]
    assert len(c.usage("shop", "two").sums) == 2
    assert {s.name: s.cost_usd for s in c.usage(by="agent").sums} == {"claude": 0.5, "shell": None}
    with pytest.raises(conductor.InvalidInput) as caught:
        c.usage(by="week")
    assert caught.value.code == "usage.unknown_group" and caught.value.field == "by"
    with pytest.raises(conductor.NotFound):
        c.usage("none")


def test_a_root_without_fault_has_no_finding(c: conductor.Conductor, root: Path) -> None:
    c.jobs.start("shop", "true", agent="shell", task="one").wait("1m")
    assert [finding.kind for finding in c.doctor() if finding.kind != "little_space"] == []
    (root / ".conductor" / "open" / "nonsense").write_text("x")
    found = [finding for finding in c.doctor() if finding.path is not None]
    assert any("nonsense" in str(finding.path) and finding.way_out for finding in found)


def test_why_a_run_failed(c: conductor.Conductor) -> None:
    run = c.jobs.start("shop", "echo no luck >&2; exit 3", agent="shell", task="one")
    run.wait("1m")
    why = run.why()
    assert why.run_id == run.id and "3" in why.because and why.next
    assert any("no luck" in text for text in why.evidence.values())


CONFIG = """\
agents:
  mine:
    type: command
    command: ["sh", "-c", "echo configured"]
defaults:
  agent: mine
"""


def test_the_configuration_is_shown_and_heeded(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    config = conductor.config(path)
    assert config.path == path and config.warnings == ()
    assert config.get("defaults.agent") == "mine" and config.get("nothing", 7) == 7
    (value,) = [value for value in config.values if value.key == "agents.mine.command"]
    assert value.value == ["sh", "-c", "echo configured"]
    assert value.from_ is not None and (value.from_.kind, value.from_.line) == ("file", 4)
    assert value.to_dict()["from"]["kind"] == "file"
    with conductor.open(root, config=path) as c:
        run = c.jobs.start("shop", "x", agent="mine", task="one")
        run.wait("1m")
        assert run.output() == "configured\n"


def test_a_configuration_that_cannot_be_used_is_never_passed_over(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("agents:\n  mine:\n    tipe: command\n")
    for call in (lambda: conductor.open(root, config=path), lambda: conductor.config(path)):
        with pytest.raises(conductor.InvalidInput) as caught:
            call()
        assert caught.value.code == "config.unknown_key" and caught.value.path == path
    found = conductor.validate(root, config=path)
    assert found.config == conductor.Place(path, ok=False) and found.errors >= 1
    problem = next(p for p in found.problems if p.code == "config.unknown_key")
    assert (problem.severity, problem.line, problem.path) == ("error", 3, path)
    monkeypatch.setenv("CONDUCTOR_CONFIG", str(path))
    with pytest.raises(conductor.InvalidInput):
        conductor.open(root)


def test_this_machine_is_looked_at(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    found = conductor.validate(root, config=path, agent="mine")
    assert found.root == conductor.Place(root, ok=True)
    assert [(agent.name, agent.type, agent.status) for agent in found.agents] == [
        ("mine", "command", "ok")
    ]
    assert found.errors == 0 and not root.exists()
