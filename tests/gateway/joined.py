"""Boxes that have joined, without a stage that signs: what the database keeps of them is real."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from gateway.main import main
from gateway.settings import Settings
from gateway.store import boxes, certificates
from gateway.store.certificates import Certificate
from gateway.store.pool import Connection, connect
from gateway.store.secrets import digest
from tests.gateway.office import Flat, Office

LIFE = timedelta(days=90)


def certified(edge: str, now: datetime, *, key: bytes | None = None) -> Certificate:
    """What an authority would give, but for the signature."""
    return Certificate(
        edge=edge,
        serial=secrets.randbits(150) | 1,
        key=key or secrets.token_bytes(32),
        pem=f"of {edge}",
        issued=now,
        renew=now + timedelta(days=60),
        expires=now + LIFE,
    )


async def a_joined_box(
    here: Office, flat: Flat, *, now: datetime | None = None, sticker: str | None = None
) -> tuple[str, Certificate]:
    """A box in the flat that has joined, by its id, and its certificate."""
    at = now or here.clock.now()
    made = await boxes.add_box(
        here.owner, municipality=flat.municipality, home=flat.home_public, now=at, sticker=sticker
    )
    async with as_edges(here.desk.settings) as pool:
        wanted = certified(made.name, at)
        given = await certificates.take(
            pool, digest(made.secret), key=wanted.key, now=at, wall=at, certify=lambda _edge: wanted
        )
    return made.name, given


def as_edges(settings: Settings):  # noqa: ANN201 - of `connect`
    """The connections of the stage `edges`."""
    return connect(settings, "edges")


@asynccontextmanager
async def a_keeper(here: Office) -> AsyncGenerator[None]:
    """Says at once that the broker was told, as the stage `edges` does."""

    async def keep() -> None:
        async with as_edges(here.desk.settings) as pool:
            while True:
                now = here.clock.now()
                await certificates.told(pool, await certificates.shut_out(pool, now), now)
                await asyncio.sleep(0.05)

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


async def gateway_edges(*words: str) -> int:
    """The command, in a thread of its own, as it has a loop of its own; its exit code."""
    return await asyncio.to_thread(command, "edges", *words)


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert isinstance(ended.value.code, int)
    return ended.value.code


async def logged(here: Office) -> list[tuple[str, int | None]]:
    """What was done about whom, as the access log has it."""
    rows = await here.owner.fetch("SELECT what, citizen FROM access_log ORDER BY id")
    return [(row["what"], row["citizen"]) for row in rows]


async def home_of(db: Connection, name: str) -> UUID | None:
    return await db.fetchval(
        "SELECT h.public FROM edge e LEFT JOIN home h ON h.id = e.home WHERE e.name = $1", name
    )
