"""One run for each part of the work, all at once, as they finish. ``python fan_out.py [ROOT]``"""

from __future__ import annotations

import sys

import conductor


def main() -> None:
    root = sys.argv[1] if len(sys.argv) > 1 else None
    with conductor.open(root) as c:
        runs = [
            c.jobs.start(
                "example", 'echo "part $PART"', agent="shell", task=f"part-{part}", env={"PART": part}
            )
            for part in ("one", "two", "three")
        ]
        try:
            for run in conductor.as_completed(runs, timeout="1h"):
                print(run.info.outcome, run.output().strip())
        except conductor.Timeout:
            for run in runs:
                run.stop("too slow")
        posted = c.bus("example").post("DECISION", "All parts are done.", meta={"by": "fan_out.py"})
        print("go on from", posted.cursor)


if __name__ == "__main__":
    main()
