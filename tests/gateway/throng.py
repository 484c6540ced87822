"""A throng of programs at the served application: real sockets, all asking at the same time."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import asyncpg
import uvicorn
from asyncpg.pool import PoolConnectionProxy
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse

from deploy.runtime.services import OneDatabase
from gateway.api.access import who
from gateway.api.app import around, build
from gateway.api.desk import desk_of
from gateway.health import Health
from gateway.reads.live import Live
from gateway.store.asking import asking
from gateway.store.pool import Connection, Pool, Row, set_up
from tests.gateway.office import Office
from tests.gateway.strangers import nobody

CONNECTIONS = 5
"""Of the pool that all of them share."""
_UNFILTERED = (
    "SELECT public::text FROM alert",
    "SELECT public::text FROM home",
    "SELECT public::text FROM device",
    "SELECT public::text FROM citizen",
    "SELECT name FROM identity.citizen",
    "SELECT room FROM placed_observation",
)


async def _as_it_was(_: object) -> None:
    """Nothing is undone when a connection is given back: nobody shall be saved by that."""


class Patient(Pool):
    """Waits for a connection as long as it takes: hundreds wait for five at the same time."""

    def __init__(self, connections: "asyncpg.Pool[Row]") -> None:
        super().__init__(connections)
        self._all = connections

    @asynccontextmanager
    async def acquire(self) -> AsyncGenerator["PoolConnectionProxy[Row]"]:
        async with self._all.acquire() as connection:
            yield connection


class SaysItForTheSession(asyncpg.Connection):  # pyright: ignore[reportMissingTypeArgument] - it takes none at run time
    """The sabotage: words that do not end with the transaction."""

    async def execute(
        self,
        query: str,
        *arguments: object,
        timeout: float | None = None,  # noqa: ASYNC109 - asyncpg's own signature
    ) -> str:
        if "set_config" in query:
            query = query.replace(", true)", ", false)")
        return await super().execute(query, *arguments, timeout=timeout)


@asynccontextmanager
async def five_connections(
    database: OneDatabase, kind: type = asyncpg.Connection
) -> AsyncGenerator[Pool]:
    async with asyncpg.create_pool(
        database.address,
        user="trygport_api",
        min_size=0,
        max_size=CONNECTIONS,
        init=set_up,
        reset=_as_it_was,
        connection_class=kind,
    ) as connections:
        yield Patient(connections)


@asynccontextmanager
async def served(here: Office, pool: Pool) -> AsyncGenerator[int]:
    """The application on a socket, on that pool alone; its port."""
    desk = replace(here.desk, pool=pool, live=Live(pool, here.clock))
    app = build(desk)
    forget(app)
    with socket.create_server(("127.0.0.1", 0), backlog=1_000) as listening:
        config = uvicorn.Config(
            around(app, Health()), log_config=None, access_log=False, lifespan="off"
        )
        server = uvicorn.Server(config)
        with server.capture_signals():
            running = asyncio.create_task(server._serve([listening]))  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        yield listening.getsockname()[1]
        server.should_exit = True
        await running


def forget(app: FastAPI) -> None:
    """Two routes as a careless colleague writes them: no filter, and not even for whom it asks."""

    async def without_a_filter(request: Request) -> JSONResponse:
        async with asking(desk_of(request).pool, await who(request)) as db:
            return JSONResponse(await _everything(db))

    async def without_saying_for_whom(request: Request) -> JSONResponse:
        await who(request)
        async with nobody(desk_of(request).pool) as db:
            return JSONResponse(await _everything(db))

    app.router.add_route("/careless/filter", without_a_filter)
    app.router.add_route("/careless/whom", without_saying_for_whom)


async def _everything(db: Connection) -> list[str]:
    return [str(row[0]) for question in _UNFILTERED for row in await db.fetch(question)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request, and what its answer is held against: it must have `own`, and no `foreign`."""

    method: str
    path: str
    key: str
    status: int = 200
    own: Sequence[str] = ()
    foreign: Sequence[str] = ()

    @property
    def words(self) -> bytes:
        return (
            f"{self.method} {self.path} HTTP/1.1\r\nHost: gateway\r\n"
            f"Authorization: Bearer {self.key}\r\nContent-Length: 0\r\n\r\n"
        ).encode()

    def faults(self, status: int, body: str) -> list[str]:
        said = f"{self.method} {self.path}"
        wrong = [] if status == self.status else [f"{said}: {status} {body[:200]}"]
        missing = [f"{said}: without {mark}" for mark in self.own if mark not in body]
        return wrong + missing + [f"{said}: CROSSED {m}" for m in self.foreign if m in body]


@dataclass(kw_only=True)
class Throng:
    """Asks one after the other on each of its sockets, on all of them at once."""

    port: int
    faults: list[str]
    asked: int = 0
    at_once: int = 0
    most_at_once: int = 0

    async def ask(self, asks: Iterable[Ask], *, sockets: int, enough: Callable[[], bool]) -> None:
        """All of them, or until the faults found are `enough`."""
        left = iter(asks)
        async with asyncio.TaskGroup() as group:
            for _ in range(sockets):
                group.create_task(self._one_socket(left, enough))

    async def _one_socket(self, left: "Iterable[Ask]", enough: Callable[[], bool]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for ask in left:
                self.faults += ask.faults(*await self._answer(ask, reader, writer))
                if enough():
                    break
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(
        self, ask: Ask, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[int, str]:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        writer.write(ask.words)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        body = await reader.readexactly(length)
        self.at_once -= 1
        return int(head.split(" ", 2)[1]), body.decode()
