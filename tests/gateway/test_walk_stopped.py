"""A `gateway walk` that is stopped, or hung up on, leaves no home silent that nobody looks at."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from deploy.runtime.services import OneDatabase
from tests.frames import BUTTON
from tests.gateway.ingest_home import furnish, look

ROOT = Path(__file__).parents[2]


async def typed(home: OneDatabase) -> asyncio.subprocess.Process:
    """The command in a process of its own, on the wall clock, as it has told of the button."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GATEWAY_")}
    words = (sys.executable, "-P", "-m", "gateway.main", "walk", "box-01")
    told = {"GATEWAY_DATABASE_OWNER": home.dsn(), "GATEWAY_DATABASE": home.address}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *words, env=kept | told, cwd=ROOT, stdout=pipe, stderr=pipe
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        while BUTTON.encode() not in await process.stdout.readline():
            assert process.returncode is None
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_command_that_is_stopped_ends_its_test_and_names_what_was_not_heard(
    fresh_database: OneDatabase, number: signal.Signals
) -> None:
    await furnish(fresh_database.dsn())
    process = await typed(fresh_database)

    process.send_signal(number)
    async with asyncio.timeout(20):
        said, wrong = await process.communicate()

    (test,) = await look(fresh_database.dsn(), "SELECT ended < until AS early, * FROM walk_test")
    assert (process.returncode, wrong.decode()) == (1, "")
    assert f"not heard: no room, call ({BUTTON})" in said.decode()
    assert "ended before all were heard; all calls alert again" in said.decode()
    assert (test["ended_by"], test["early"], test["remark"][:8]) == ("person", True, "Afbrudt ")
