"""What the library says of its own work, and the events for the webhook."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import conductor


def test_lines_are_read_one_after_the_other(c: conductor.Conductor) -> None:
    with conductor.log.read("info") as lines:
        c.jobs.start("shop", "true", agent="shell", task="one").wait("1m")
        line = lines.next("1m")
        assert line is not None and line.event == "run_started"
        assert (line.level, line.subsystem) == ("info", "runner")
        assert line.fields["task_id"] == "one"
        assert "event=run_started" in line.text
        assert line.at is not None and line.at.tzinfo is not None


def test_a_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(conductor.InvalidInput, match="no level"):
        conductor.log.read("loud")


def test_logging_gets_what_was_said(
    c: conductor.Conductor, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "conductor"), conductor.log.to_logging("info"):
        c.jobs.start("shop", "exit 3", agent="shell", task="one").wait("1m")
    events = [getattr(record, "conductor_event", None) for record in caplog.records]
    assert events == ["run_started", "run_execution_failed"]
    ended = caplog.records[1]
    assert ended.name == "conductor.runner" and ended.levelno == logging.INFO
    assert "exit_code=3" in ended.getMessage()
    assert vars(ended)["conductor_fields"]["outcome"] == "failed"


LEFT_OPEN = """
import logging, sys
import conductor
logging.basicConfig(stream=sys.stdout, level=logging.DEBUG)
bridge = conductor.log.to_logging("debug")
with conductor.open(sys.argv[1]) as c:
    c.jobs.start("shop", "true", agent="shell", task="one").wait("1m")
"""


def test_a_script_may_end_while_lines_are_passed_on(root: Path) -> None:
    for _ in range(20):
        script = [sys.executable, "-c", LEFT_OPEN, str(root)]
        ended = subprocess.run(script, capture_output=True, text=True, timeout=120, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")
        # What was said last was passed on, too.
        assert "run execution completed" in ended.stdout


def test_a_bridge_is_closed_once(c: conductor.Conductor) -> None:
    bridge = conductor.log.to_logging("info")
    bridge.close()
    bridge.close()
    assert not any(thread.name == "conductor-log" for thread in threading.enumerate())


def test_what_waits_for_the_webhook_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            calls.append(json.loads(body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = tmp_path / "config.yaml"
    config.write_text(f"webhook:\n  url: http://127.0.0.1:{server.server_port}/hook\n")
    config.chmod(0o600)
    monkeypatch.delenv("JRUN_TASK_FOLDER", raising=False)
    with conductor.open(tmp_path / "root", config=config) as c:
        c.jobs.start("shop", "true", agent="shell", task="one").wait("1m")
        assert [event.event for event in c.outbox.list()] == ["run_start", "run_stop"]
        told = c.outbox.deliver("1m")
        assert (told.delivered, told.left, told.error) == (2, 0, None)
        assert [call["event"] for call in calls] == ["run_start", "run_stop"]
        assert c.outbox.list() == []
    server.shutdown()
    server.server_close()
