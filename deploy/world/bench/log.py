"""Looks logged a second by many at once: linked just after, against linked inside the request."""

import argparse
import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deploy.runtime.services import Database, OneDatabase, scratch_folder
from deploy.world.bench.figures import cpu
from gateway.api.linker import keep_linked
from gateway.clock import clock_from
from gateway.health import Health
from gateway.settings import Settings
from gateway.store import people
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.chain import verify
from gateway.store.looks import changed
from gateway.store.migrate import migrate
from gateway.store.pool import Connection, Pool, connect, connect_to

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('trygport access_link', 0))"
_LINK = "SELECT link_log(1)"
_ROUNDS = 2
_LINKED_WITHIN = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    rows: int
    seconds: float
    cpu: float

    @property
    def per_s(self) -> float:
        return self.rows / self.seconds

    @property
    def us(self) -> float:
        return self.cpu * 1e6 / max(1, self.rows)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be changed of the run."""
    parser.add_argument("--seconds", type=float, default=5.0, help="of each of the four rounds")
    parser.add_argument("--requests", type=int, default=16, help="how many at once")


async def run(arguments: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Both ways by turns on one database; rows a second and the database's CPU a row."""
    say(f"{arguments.requests} at once log a look each, {arguments.seconds} s a round")
    async with _opened(arguments.requests) as (database, pool, owner, caller):
        after, inside = list[_Round](), list[_Round]()
        for _ in range(_ROUNDS):
            for rounds, in_it in ((after, False), (inside, True)):
                done = await _round(database, pool, caller, arguments, inside=in_it)
                rounds.append(done)
                say(f"{'inside' if in_it else 'after'}: {done.per_s:.0f} rows/s, {done.us:.0f} us")
        await _until_linked(owner)
        counted = await verify(owner)
    best, held = max(after, key=lambda one: one.per_s), max(inside, key=lambda one: one.per_s)
    return {
        "rows_per_s": round(best.per_s),
        "rows_per_s_inside": round(held.per_s),
        "database_cpu_us": round(best.us),
        "database_cpu_us_inside": round(held.us),
        "linked": sum(one.linked for one in counted),
    }


@asynccontextmanager
async def _opened(
    requests: int,
) -> AsyncGenerator[tuple[Database, Pool, Connection, Caller]]:
    with scratch_folder() as folder:
        database = await asyncio.to_thread(Database.start, folder / "database")
        try:
            one = database.create("log")
            await migrate(one.dsn())
            async with (
                connect(_settings(one), "api", most=requests + 1) as pool,
                connect_to(one.dsn()) as owner,
            ):
                yield database, pool, owner, await _caller(owner)
        finally:
            await asyncio.to_thread(database.stop)


def _settings(database: OneDatabase) -> Settings:
    return Settings(database=database.address, production=False)


async def _caller(owner: Connection) -> Caller:
    where = await people.municipality(owner, "Bænken", create=True)
    public, access = await people.add_person(
        owner,
        municipality=where,
        login="anna",
        name="",
        role="staff",
        districts=None,
        password_hash=None,
    )
    person = await owner.fetchval("SELECT id FROM person WHERE public = $1", public)
    return Caller(
        municipality=where,
        person=person,
        public=public,
        name="anna",
        role="staff",
        access=access,
        asked=datetime.now(UTC),
        purpose="care",
    )


async def _round(
    database: Database, pool: Pool, caller: Caller, asked: argparse.Namespace, *, inside: bool
) -> _Round:
    begun, used = time.monotonic(), cpu(database.pid, children=True)
    until = begun + asked.seconds
    keeper = None
    if not inside:
        keeper = asyncio.create_task(keep_linked(pool, None, clock_from("wall"), Health()))
    rows = sum(
        await asyncio.gather(
            *(_requests(pool, caller, until, inside=inside) for _ in range(asked.requests))
        )
    )
    took = time.monotonic() - begun
    if keeper is not None:
        await asyncio.sleep(2)  # what waits is linked, and its cost is counted too
        keeper.cancel()
        await asyncio.wait([keeper])
    return _Round(rows=rows, seconds=took, cpu=cpu(database.pid, children=True) - used)


async def _requests(pool: Pool, caller: Caller, until: float, *, inside: bool) -> int:
    done = 0
    while time.monotonic() < until:
        async with asking(pool, caller) as db:
            await changed(db, caller, "alert.seen", done % 1_000, datetime.now(UTC))
            if inside:
                await db.execute(_LOCK)
                await db.execute(_LINK)
        done += 1
    return done


async def _until_linked(owner: Connection) -> None:
    async with asyncio.timeout(_LINKED_WITHIN):
        while await owner.fetchval("SELECT link_log(2000)"):
            pass
