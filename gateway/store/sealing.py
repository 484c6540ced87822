"""Seals what the database holds: the columns that tell who somebody is, and the devices' keys."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.store.pool import Connection
from gateway.store.seal import Place, Seal

SEALED: Mapping[str, Sequence[str]] = {
    "citizen": ("name", "address", "phone", "entry", "relatives"),
    "person": ("name", "phone"),
}
"""The tables of the schema identity, each with the columns that are sealed."""

SECRETS: Sequence[tuple[str, str, str]] = (
    ("device_secret", "device", "key"),
    ("second_factor", "person", "secret"),
)
"""Tables of bytes that are sealed: whose they are, and the column."""

_PORTION = 500
"""Rows in one transaction: an interrupted run has lost nothing, and nobody waits long for it."""


async def seal_all(db: Connection, seal: Seal) -> int:
    """Seal whatever is not sealed with the newest key; how many values that were.

    Raises Unsealable for a value that no key opens; what was sealed before it stays sealed.
    """
    done = 0
    for table, columns in SEALED.items():
        done += await _table(db, seal, table, columns)
    for table, whose, column in SECRETS:
        done += await _secrets(db, seal, Place(0, table, 0, column), whose)
    return done


async def _table(db: Connection, seal: Seal, table: str, columns: Sequence[str]) -> int:
    wanted = ", ".join(columns)
    after, done = (0, 0), 0
    while True:
        async with db.transaction():
            rows = await db.fetch(
                f"SELECT municipality, {table}, {wanted} FROM identity.{table} "  # noqa: S608
                f"WHERE (municipality, {table}) > ($1, $2) "
                f"ORDER BY municipality, {table} LIMIT $3 FOR UPDATE",
                *after,
                _PORTION,
            )
            for row in rows:
                done += await _row(db, seal, table, {**dict(row)})
        if len(rows) < _PORTION:
            return done
        after = (rows[-1]["municipality"], rows[-1][table])


async def _row(db: Connection, seal: Seal, table: str, row: Mapping[str, object]) -> int:
    where, number = int(str(row["municipality"])), int(str(row[table]))
    fresh: dict[str, str] = {}
    for column in SEALED[table]:
        kept, place = str(row[column]), Place(where, table, number, column)
        if not seal.is_current(kept):
            fresh[column] = seal.seal(seal.open(kept, place), place)
    if fresh:
        told = ", ".join(f"{name} = ${at}" for at, name in enumerate(fresh, start=3))
        await db.execute(
            f"UPDATE identity.{table} SET {told} WHERE municipality = $1 AND {table} = $2",  # noqa: S608
            where,
            number,
            *fresh.values(),
        )
    return len(fresh)


async def _secrets(db: Connection, seal: Seal, of: Place, whose: str) -> int:
    after, done = (0, 0), 0
    while True:
        async with db.transaction():
            rows = await db.fetch(
                f"SELECT municipality, {whose}, {of.column} FROM {of.table} "  # noqa: S608 - ours
                f"WHERE (municipality, {whose}) > ($1, $2) "
                f"ORDER BY municipality, {whose} LIMIT $3 FOR UPDATE",
                *after,
                _PORTION,
            )
            for municipality, number, kept in rows:
                place = replace(of, municipality=municipality, row=number)
                done += await _secret(db, seal, place, whose, kept)
        if len(rows) < _PORTION:
            return done
        after = (rows[-1]["municipality"], rows[-1][whose])


async def _secret(db: Connection, seal: Seal, place: Place, whose: str, kept: bytes) -> int:
    if seal.is_current_bytes(kept):
        return 0
    await db.execute(
        f"UPDATE {place.table} SET {place.column} = $3 "  # noqa: S608 - ours
        f"WHERE municipality = $1 AND {whose} = $2",
        place.municipality,
        place.row,
        seal.seal_bytes(seal.open_bytes(kept, place), place),
    )
    return 1
