"""Settles a benchmark's homes in bulk: as the owner of the schema, one statement a table.

The public way (deploy/world/settling.py) is what an installer does, a home at a time; 160 000
homes would take it hours.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.world.bench.homes import PASSWORD, SLOTS, address, edge_name, is_encrypted, key
from deploy.world.bench.issued import issue
from deploy.world.progress import Progress
from deploy.world.settling import DISTRICT, MUNICIPALITY
from deploy.world.stack import Stack
from gateway.edges.authority import Authority
from gateway.edges.passwords import hash_password, write_password_file
from gateway.store.pool import Connection, connect_owner

_EARLIER = timedelta(days=3_650)
"""Placements begin before any frame of a benchmark."""
_ADDRESS = "Kirsebærvej 1"
_AT_ONCE = 2_000
"""Homes of one statement."""

_HOMES = """
    WITH h AS (
        INSERT INTO home (municipality, district)
        SELECT $1, $2 FROM unnest($3::text[])
        RETURNING municipality, id
    ), numbered AS (
        SELECT id, row_number() OVER (ORDER BY id) AS place FROM h
    ), box AS (
        INSERT INTO edge (municipality, name, home, joined, broker_password, config_published)
        SELECT $1, w.name, n.id, $4, $5, 1
        FROM unnest($3::text[]) WITH ORDINALITY AS w (name, place) JOIN numbered n USING (place)
        RETURNING name, home
    )
    SELECT name, home FROM box
"""
_CITIZENS = """
    WITH c AS (
        INSERT INTO citizen (municipality, district, home)
        SELECT $1, $2, unnest($3::integer[])
        RETURNING municipality, id, home
    ), named AS (
        INSERT INTO identity.citizen (municipality, citizen, name, address)
        SELECT municipality, id, 'Borger ' || id, $4 FROM c
    )
    SELECT home, id FROM c
"""
_DEVICES = """
    WITH w AS (
        SELECT *
        FROM unnest($2::text[], $3::integer[], $4::text[], $5::text[])
            AS w (address, citizen, role, room)
    ), d AS (
        INSERT INTO device (municipality, address, model) SELECT $1, address, 'bthome' FROM w
        RETURNING id, address
    ), placed AS (
        INSERT INTO placement (municipality, device, citizen, role, room, "from")
        SELECT $1, d.id, w.citizen, w.role, w.room, $6 FROM d JOIN w USING (address)
    )
    SELECT address, id FROM d
"""
_SECRETS = """
    INSERT INTO device_secret (municipality, device, key, given)
    SELECT $1, w.device, w.key, $4
    FROM unnest($2::integer[], $3::bytea[]) AS w (device, key)
"""
_ANALYZE = "ANALYZE home, citizen, edge, device, device_secret, placement"
"""What is filled here, and nothing that is still empty: a plan made for an empty table reads all of
it when it is not empty any more."""


async def settle(
    stack: Stack, homes: int, *, now: datetime, first: int = 0, say: Callable[[str], None]
) -> None:
    """So many homes with one citizen, a box and nine devices each; the broker knows the boxes."""
    progress = Progress("homes are settled", homes, say)
    settings, hashed = stack.settings(), hash_password(PASSWORD)
    numbers = range(first, first + homes)
    async with connect_owner(settings) as db:
        place = await _place(db)
        for start in range(0, homes, _AT_ONCE):
            async with db.transaction():
                await _some(db, place, numbers[start : start + _AT_ONCE], now, hashed)
            progress.at(min(start + _AT_ONCE, homes))
        await db.execute(_ANALYZE)
        accounts = await db.fetch("SELECT name, broker_password FROM edge")
    if settings.authority is not None:
        names, authority = map(edge_name, numbers), Authority.read(settings.authority)
        await asyncio.to_thread(issue, authority, names, certificates(stack), now=now)
        return
    known = [(row["name"], row["broker_password"]) for row in accounts if row["broker_password"]]
    await asyncio.to_thread(write_password_file, settings, known)


def certificates(stack: Stack) -> Path:
    """Where the boxes' keys and certificates are, where there are any."""
    return stack.folder / "boxes"


async def _place(db: Connection) -> tuple[int, int]:
    """Municipality and district, made where they are not there."""
    await db.execute(
        "INSERT INTO municipality (name) VALUES ($1) ON CONFLICT DO NOTHING", MUNICIPALITY
    )
    municipality = await db.fetchval("SELECT id FROM municipality WHERE name = $1", MUNICIPALITY)
    await db.execute(
        "INSERT INTO district (municipality, name) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        municipality,
        DISTRICT,
    )
    district = await db.fetchval(
        "SELECT id FROM district WHERE municipality = $1 AND name = $2", municipality, DISTRICT
    )
    return municipality, district


async def _some(
    db: Connection, place: tuple[int, int], homes: Sequence[int], now: datetime, hashed: str
) -> None:
    names = [edge_name(home) for home in homes]
    rows = await db.fetch(_HOMES, *place, names, now, hashed)
    home_of = {row["name"]: row["home"] for row in rows}
    rows = await db.fetch(_CITIZENS, *place, list(home_of.values()), _ADDRESS)
    citizen_in = {row["home"]: row["id"] for row in rows}
    citizens = {home: citizen_in[home_of[edge_name(home)]] for home in homes}
    columns = [list(column) for column in zip(*_devices(citizens), strict=True)]
    rows = await db.fetch(_DEVICES, place[0], *columns, now - _EARLIER)
    numbers = {row["address"]: row["id"] for row in rows}
    keys = dict(_keys(numbers, homes))
    await db.execute(_SECRETS, place[0], list(keys), list(keys.values()), now)


def _devices(citizens: dict[int, int]) -> Iterator[tuple[Any, ...]]:
    for home, citizen in citizens.items():
        for number, slot in enumerate(SLOTS):
            yield address(home, number), citizen, slot.role, slot.room


def _keys(numbers: dict[str, int], homes: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    for home in homes:
        for slot in range(len(SLOTS)):
            if is_encrypted(home, slot):
                yield numbers[address(home, slot)], key(home, slot)
