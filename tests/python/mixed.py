"""One of several languages on one bus, for a test: ``mixed.py ROOT COUNT TOTAL`` posts COUNT messages while
it follows the bus until it has seen TOTAL, and prints their ids in order."""

from __future__ import annotations

import sys
import threading

import conductor

root, count, total = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with conductor.open(root, durability="process") as c:
    bus = c.bus("shop")

    def post() -> None:
        for number in range(count):
            bus.post("FACT", f"python {number}")

    poster = threading.Thread(target=post)
    poster.start()
    seen = []
    for message in bus.follow(type="FACT"):
        seen.append(message.msg_id)
        if len(seen) == total:
            break
    poster.join()
    print("\n".join(str(id) for id in seen))
