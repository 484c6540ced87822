"""The command `gateway`: stages on their own feet, a clean stop, clear exit codes."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.runtime.services import Broker, Guarded, OneDatabase, free_port
from gateway.clock import Clock, WallClock
from gateway.health import Health
from gateway.main import _keep_running  # pyright: ignore[reportPrivateUsage]
from gateway.settings import Settings
from gateway.store.pool import DatabaseDown
from tests.gateway.test_ingest import GATEWAY

GATEWAY_COMMAND = Path(sys.executable).with_name("gateway")


def environment(**settings: object) -> dict[str, str]:
    usual = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    settings = {"production": "false", **settings}
    return usual | {f"GATEWAY_{name.upper()}": str(value) for name, value in settings.items()}


def gateway(*words: str, **settings: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [GATEWAY_COMMAND, *words],
        env=environment(**settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
    )


@pytest.mark.parametrize(
    ("words", "settings", "code", "said"),
    [
        (["run"], {"clock": "sundial"}, 78, "GATEWAY_CLOCK"),
        (["run", "--only", "ingest,nothing"], {}, 2, "'nothing' is none of"),
        (["run", "--only", "api"], {"production": "yes"}, 78, "GATEWAY_IDENTITY_KEY"),
        (["migrate"], {}, 78, "GATEWAY_DATABASE_OWNER: this command needs it"),
        (
            ["migrate"],
            {"database_owner": "postgresql://owner@127.0.0.1:1/none"},
            69,
            "the database is not to be reached",
        ),
        ([], {}, 2, "usage"),
    ],
)
def test_what_cannot_run_says_why_in_one_sentence(
    words: list[str], settings: dict[str, object], code: int, said: str
) -> None:
    done = gateway(*words, **settings)

    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_migrate_brings_an_empty_database_up_to_date(fresh_database: OneDatabase) -> None:
    done = gateway("migrate", database_owner=fresh_database.dsn())

    assert (done.returncode, done.stdout) == (0, "")


def test_ingest_alone_starts_and_stops_within_three_seconds(
    fresh_database: OneDatabase, tmp_path: Path
) -> None:
    broker = Broker.start(tmp_path / "broker", passwords=dict(GATEWAY))
    running = Guarded.start(
        [GATEWAY_COMMAND, "run", "--only", "ingest"],
        log=tmp_path / "log",
        env=environment(
            database=fresh_database.address,
            broker_port=broker.gateway_port,
            broker_password=GATEWAY["gateway-urgent"],
        ),
    )
    running.wait_until(lambda: (tmp_path / "log").read_text().count("connected to the broker") == 3)

    started = time.monotonic()
    running.stop()

    assert time.monotonic() - started < 3
    broker.stop()


def test_without_broker_and_database_it_still_stops_within_three_seconds(tmp_path: Path) -> None:
    running = Guarded.start(
        [GATEWAY_COMMAND, "run"],
        log=tmp_path / "log",
        env=environment(
            database="postgresql://127.0.0.1:1/none",
            broker_port=1,
            http_listen=f"127.0.0.1:{free_port()}",
        ),
    )
    running.wait_until(lambda: "no connection to the broker" in (tmp_path / "log").read_text())

    started = time.monotonic()
    running.stop()

    assert time.monotonic() - started < 3


async def test_a_stage_that_fails_runs_again_and_says_why_meanwhile() -> None:
    health, starts = Health(), asyncio.Queue[str | None]()

    async def stage(settings: Settings, clock: Clock, health: Health) -> None:  # noqa: ARG001
        starts.put_nowait(health.parts.get("watch"))
        raise ExceptionGroup("both tasks", [DatabaseDown("it is gone")])

    task = asyncio.create_task(_keep_running("watch", stage, Settings(), WallClock(), health))
    first, second = await starts.get(), await starts.get()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

    assert first is None
    assert second == "DatabaseDown: it is gone"
    assert not health.ready
