"""The live stream: each board hears of its own alerts, and silence is never taken for quiet."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.runtime.services import Certificate, Database, OneDatabase, certificate, free_port
from gateway.api import app as api
from gateway.api import stream
from gateway.health import Health
from gateway.settings import BadSetting
from gateway.store.migrate import migrate
from gateway.web.board import pages
from tests.gateway.office import Office, office


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(
        fresh_database, tmp_path, pages, http_listen=f"127.0.0.1:{free_port()}"
    ) as made:
        yield made


@asynccontextmanager
async def served(here: Office, **settings: Any) -> AsyncGenerator[str]:
    """The stage `api` itself, over a real socket; its address."""
    chosen = here.desk.settings.model_copy(update=settings)
    health = Health()
    running = asyncio.create_task(api.run(chosen, here.clock, health, pages=(pages,)))
    while not health.ready and not running.done():  # noqa: ASYNC110 - it has no bell
        await asyncio.sleep(0.02)
    try:
        yield f"http://{chosen.http_listen}"
    finally:
        await stopped(running)


async def stopped(running: asyncio.Task[None]) -> None:
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


class Told:
    """One open stream, read as a browser reads it."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[tuple[str, Any] | None] = asyncio.Queue()

    async def read(self, answer: httpx2.Response) -> None:
        name = ""
        with suppress(httpx2.TransportError):
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                if line.startswith("data: "):
                    self._events.put_nowait((name, json.loads(line.removeprefix("data: "))))
        self._events.put_nowait(None)

    async def next(self, *, seconds: float = 5) -> tuple[str, Any] | None:
        """The next event's name and data, or None at the stream's end. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            return await self._events.get()


@asynccontextmanager
async def board(address: str, key: str) -> AsyncGenerator[Told]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(base_url=address, headers=headers, timeout=10) as client,
        client.stream("GET", "/stream") as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = Told()
        reading = asyncio.create_task(told.read(answer))
        try:
            assert await told.next() == ("reload", {})
            yield told
        finally:
            await stopped(reading)


async def name(told: Told, *, seconds: float = 5) -> str:
    event = await told.next(seconds=seconds)
    return event[0] if event else "the end"


async def alert_of(told: Told) -> str:
    event = await told.next()
    assert event is not None
    return event[1]["alert"]


async def test_a_new_alert_and_each_move_are_told_with_ids_only(here: Office) -> None:
    flat, key = await here.flat(), await here.key("staff")
    carer = await here.as_("staff")

    async with served(here) as address, board(address, key) as told:
        alert = await here.alert(flat)
        raised = await told.next()
        await carer.post(f"/alerts/{alert}/take")
        taken = await told.next()

    data = {"alert": str(alert), "kind": "call_pressed"}
    assert raised == ("alert", {**data, "state": "new"})
    assert taken == ("alert", {**data, "state": "taken"})


async def test_each_board_hears_only_of_its_own_districts(here: Office) -> None:
    north, south, away = [
        await here.flat(),
        await here.flat(district="Syd"),
        await here.flat(within="Odense"),
    ]
    keys = [
        await here.key("staff", districts=["Nord"]),
        await here.key("staff"),
        await here.key("staff", within="Odense"),
    ]

    async with (
        served(here) as address,
        board(address, keys[0]) as in_north,
        board(address, keys[1]) as everywhere,
        board(address, keys[2]) as in_odense,
    ):
        alerts = [str(await here.alert(flat)) for flat in (away, south, north)]
        heard = {
            "north": [await alert_of(in_north)],
            "everywhere": {await alert_of(everywhere) for _ in range(2)},  # in either order
            "odense": [await alert_of(in_odense)],
        }

    assert heard == {"north": alerts[2:], "everywhere": set(alerts[1:]), "odense": alerts[:1]}


@pytest.mark.slow
async def test_a_quiet_stream_beats_and_a_deaf_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BEAT", 0.2)  # the beat's length is not what is tested
    database = await asyncio.to_thread(Database.start, tmp_path / "database")
    try:
        await migrate(database.dsn())
        listen = f"127.0.0.1:{free_port()}"
        async with office(database.one(), tmp_path, http_listen=listen) as here:
            key = await here.key("staff")
            async with served(here) as address, board(address, key) as told:
                assert await name(told) == "beat"
                await asyncio.to_thread(database.kill)
                await last_beat(told)
                await asyncio.to_thread(database.restart)
                assert await told.next(seconds=15) == ("reload", {})
                assert await name(told) == "beat"
    finally:
        await asyncio.to_thread(database.stop)


async def last_beat(told: Told) -> None:
    """Returns when no beat has come for a while."""
    with suppress(TimeoutError):
        while True:
            assert await name(told, seconds=2) == "beat"


async def test_a_stream_that_was_deaf_is_told_to_ask_anew(here: Office) -> None:
    flat, key = await here.flat(), await here.key("staff")

    async with served(here) as address, board(address, key) as told:
        await here.owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND query LIKE '%LISTEN%'"
        )
        assert await told.next(seconds=15) == ("reload", {})
        alert = await here.alert(flat)
        assert await alert_of(told) == str(alert)


async def test_a_stream_ends_with_its_key(here: Office) -> None:
    flat, key = await here.flat(), await here.key("staff")

    async with served(here) as address, board(address, key) as told:
        await here.owner.execute("UPDATE api_key SET expires = $1", here.clock.now())
        await here.alert(flat)
        assert await told.next() is None


async def test_the_server_stops_at_once_though_boards_are_open(here: Office) -> None:
    key, loop, health = await here.key("staff"), asyncio.get_running_loop(), Health()
    running = asyncio.create_task(api.run(here.desk.settings, here.clock, health))
    while not health.ready:  # noqa: ASYNC110 - it has no bell
        await asyncio.sleep(0.02)
    address = f"http://{here.desk.settings.http_listen}"

    async with board(address, key) as first, board(address, key):
        stopping = loop.time()
        await stopped(running)
        took = loop.time() - stopping
        assert await first.next() is None

    assert took < 1.5


async def test_boxes_and_boards_come_over_tls(here: Office, tmp_path: Path) -> None:
    made: Certificate = certificate(tmp_path)
    listen = f"127.0.0.1:{free_port()}"

    async with (
        served(here, https_listen=listen, tls_cert=made.cert, tls_key=made.key),
        httpx2.AsyncClient(verify=False) as client,
    ):
        answer = await client.get(f"https://{listen}/healthz")

    assert answer.json() == {"status": "ok"}
    assert "server" not in answer.headers


async def test_https_without_a_certificate_is_refused_in_a_sentence(here: Office) -> None:
    chosen = here.desk.settings.model_copy(update={"https_listen": "127.0.0.1:0"})

    with pytest.raises(BadSetting, match="needs GATEWAY_TLS_CERT"):
        await api.run(chosen, here.clock, Health())


async def test_a_used_port_is_said_and_waited_for(
    here: Office, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    async with served(here):
        waiting = asyncio.create_task(api.run(here.desk.settings, here.clock, Health()))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        await stopped(waiting)

    said = caplog.text + capsys.readouterr().out
    assert f"another program uses {here.desk.settings.http_listen} (GATEWAY_HTTP_LISTEN)" in said
