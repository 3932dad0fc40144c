"""A server's update holds new root runs back, from Python too: ``update.py ROOT BINARY``, while somebody has the
part of the server and a root run lives."""

from __future__ import annotations

import sys

import conductor

root, binary = sys.argv[1:]
with conductor.open(root) as c:
    assert c.update.status().state == "idle"
    status = c.update.start(binary, allow_downgrade=True)
    assert (status.state, status.served, status.active_runs_now) == ("deferred", True, 1), status
    for start in (c.jobs.start, c.tasks.start):
        try:
            start("shop", agent="shell", prompt="true", task="refused-in-python")
        except conductor.UpdateInProgress as error:
            assert error.code == "update.in_progress" and error.hint, error
        else:
            raise AssertionError("it was let in")
    status = c.update.cancel("from Python")
    assert (status.state, status.last_note) == ("idle", "cancelled: from Python"), status
    run = c.jobs.start("shop", "exit 3", agent="shell", task="let-in-python")
    assert run.wait("2m").exit_code == 3
print("python is fine")
