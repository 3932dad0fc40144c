"""Several tasks at once in one thread, and whoever reads the bus. ``python aio_follow.py [ROOT]``"""

from __future__ import annotations

import asyncio
import sys

from conductor import aio


async def work(c: aio.Conductor, name: str) -> str:
    task = await c.tasks.start(
        "example",
        name,
        agent="shell",
        prompt="echo x >>steps; test $(wc -l <steps) -lt 2 || touch DONE",
        restart_delay="50ms",
    )
    async with task.follow(type="RUN_START") as messages:
        starts = [message async for message in messages]
    result = await task.wait()
    return f"{name} is {result.outcome} after {len(starts)} starts"


async def main() -> None:
    async with aio.open(sys.argv[1] if len(sys.argv) > 1 else None) as c:
        for line in await asyncio.gather(*(work(c, name) for name in ("left", "right"))):
            print(line)
        # What tasks tell their project when they are done.
        bus = await c.bus("example")
        async for message in bus.follow(tail=2, timeout=0.1):
            print(message.type, message.body.splitlines()[0])


if __name__ == "__main__":
    asyncio.run(main())
