"""A task, its messages while it runs, its result. ``python task.py [ROOT]``

The agent is ``shell``, so that nothing needs to be installed: its prompt is a shell script. Put ``claude``,
``codex`` or ``gemini`` in its place. Ctrl-C leaves the task running; start it again to go on.
"""

from __future__ import annotations

import sys

import conductor

SCRIPT = "echo x >>steps; wc -l <steps; test $(wc -l <steps) -lt 3 || touch DONE"


def main() -> None:
    root = sys.argv[1] if len(sys.argv) > 1 else None
    with conductor.open(root) as c:
        for run in c.reconcile():
            print("closed", run.id, run.outcome)
        try:
            task = c.tasks.start(
                "example",
                "count-in-python",
                agent="shell",
                prompt=SCRIPT,
                verify='test -s "$JRUN_TASK_FOLDER/steps"',
                max_attempts=10,
                restart_delay="100ms",
            )
        except conductor.Error as error:
            raise SystemExit(f"error: {error}\nhint: {error.hint}") from error
        for message in task.follow():
            print(f"{message.time:%H:%M:%S} {message.type:<10} {message.body.splitlines()[0]}")
        result = task.wait()
        print(result.outcome, "after", result.attempts, "attempts")


if __name__ == "__main__":
    main()
