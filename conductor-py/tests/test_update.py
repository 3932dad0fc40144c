"""The update of a server's program: looked at, asked for, cancelled. No server lives here."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import conductor
from conductor import aio


def test_an_update_is_looked_at_and_cancelled(c: conductor.Conductor) -> None:
    status = c.update.status()
    assert (status.state, status.served, status.active_runs_now) == ("idle", False, 0)
    assert status.requested_at is None and status.installed_version is None
    assert c.update.cancel("not today") == status
    run = c.jobs.start("shop", "sleep 600", agent="shell")
    assert c.update.status().active_runs_now == 1
    run.stop(force=True)


def test_an_update_is_looked_at_in_asyncio(tmp_path: Path) -> None:
    async def look() -> None:
        async with aio.open(tmp_path / "root") as c:
            assert (await c.update.status()).state == "idle"
            assert (await c.update.cancel("no")).state == "idle"
            with pytest.raises(conductor.InvalidInput):
                await c.update.start(tmp_path / "missing")

    asyncio.run(look())


def test_what_is_wrong_with_a_wish_is_raised(c: conductor.Conductor, tmp_path: Path) -> None:
    c.jobs.start("shop", "true", agent="shell").wait("1m")
    with pytest.raises(conductor.InvalidInput) as missing:
        c.update.start(tmp_path / "missing")
    assert (missing.value.code, missing.value.field) == ("update.binary", "binary")
    with pytest.raises(conductor.InvalidInput) as digest:
        c.update.start("/bin/sh", sha256="abc")
    assert (digest.value.code, digest.value.field) == ("update.sha256", "sha256")
    with pytest.raises(conductor.Conflict) as nobody:
        c.update.start("/bin/sh", allow_downgrade=True)
    assert nobody.value.code == "update.no_server"
    assert c.update.status().state == "idle"
