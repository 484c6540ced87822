"""Compares what boxes have spooled with what the database holds: nothing lost, nothing twice."""

import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter

from adapters.errors import UnreadableFrame
from adapters.frame import Frame
from adapters.observation import Observation
from adapters.registry import read
from edge.keeping.stream import NEXT

Said = tuple[str, int, int, float | None, int | None]
"""Address, kind, time of occurrence in milliseconds since 1970, value, code."""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

Numbers = Mapping[UUID, int]
"""Streams, each with how many frames it has: their numbers are 1 to that."""

_FRAME: TypeAdapter[Frame] = TypeAdapter(Frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many frames boxes kept, how many observations are stored, and where the two differ.

    `lost` counts observations that are not stored and frames that the ledger does not have;
    `duplicated` counts observations that are stored more often than they were made. `surplus`
    and `missing` name some of them.
    """

    sent: int
    stored: int
    lost: int
    duplicated: int
    missing: tuple[Said, ...] = ()
    surplus: tuple[Said, ...] = ()


async def tally(
    dsn: str, spools: Iterable[Path], *, keys: Mapping[str, bytes] | None = None
) -> Tally:
    """Read the spools' own files, which keep what is receipted for days, and the database.

    Only the devices that the spools speak of are looked at. `keys` are the BLE keys of devices
    that encrypt, by address.
    """
    numbers, frames = _spooled(spools)
    async with _connected(dsn) as db:
        ours = {row["address"] for row in await db.fetch("SELECT address FROM device")}
        expected = _expected((each for each in frames if each.device in ours), keys or {})
        heard = {each.device for each in frames}
        everything = await _stored(db)
        stored = Counter({said: n for said, n in everything.items() if said[0] in heard})
        unreceived = await _unreceived(db, numbers)
    return compared(expected, stored, sent=len(frames), unreceived=unreceived)


async def stored_and_unreceived(dsn: str, spools: Iterable[Path]) -> tuple[Counter[Said], int]:
    """All that is stored, and how many numbers of the spools' streams the ledger does not have."""
    numbers: dict[UUID, int] = {}
    for path in spools:
        with closing(_opened(path)) as spool:
            numbers |= _numbers(spool)
    async with _connected(dsn) as db:
        return await _stored(db), await _unreceived(db, numbers)


def compared(
    expected: Counter[Said], stored: Counter[Said], *, sent: int, unreceived: int
) -> Tally:
    """Hold the two against each other, each observation as often as it was made."""
    missing, surplus = expected - stored, stored - expected
    return Tally(
        sent=sent,
        stored=stored.total(),
        lost=max(missing.total(), unreceived),
        duplicated=surplus.total(),
        missing=tuple(missing)[:5],
        surplus=tuple(surplus)[:5],
    )


def _spooled(spools: Iterable[Path]) -> tuple[Numbers, list[Frame]]:
    """Stream and number name a frame for ever: what two copies of a card hold counts once."""
    numbers: dict[UUID, int] = {}
    bodies: dict[tuple[str, int], str] = {}
    for path in spools:
        with closing(_opened(path)) as spool:
            for stream, count in _numbers(spool).items():
                numbers[stream] = max(count, numbers.get(stream, 0))
            rows = spool.execute(
                "SELECT s.stream, f.sequence, f.body FROM frame f JOIN stream s ON s.id = f.stream"
                " WHERE f.body IS NOT NULL"
            )
            bodies |= {(stream, sequence): body for stream, sequence, body in rows}
    return numbers, [_FRAME.validate_json(body) for body in bodies.values()]


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def _numbers(spool: sqlite3.Connection) -> Numbers:
    rows = spool.execute(f"SELECT s.stream, {NEXT} FROM stream s")  # noqa: S608 - the spool's own
    return {UUID(stream): following - 1 for stream, following in rows}


def _expected(frames: Iterable[Frame], keys: Mapping[str, bytes]) -> Counter[Said]:
    """Every observation that the frames make; what a device numbers and dates counts once."""
    said: Counter[Said] = Counter()
    records: set[tuple[str, int, int]] = set()
    for each in frames:
        observations = _read(each, keys.get(each.device))
        numbered = {
            (each.device, one.record, one.occurred)
            for one in observations
            if one.record is not None and one.occurred is not None
        }
        if numbered & records:
            continue
        records |= numbered
        said.update(_said(each, one) for one in observations)
    return said


def _read(frame: Frame, key: bytes | None) -> Sequence[Observation]:
    try:
        return read(frame, key=key)
    except UnreadableFrame as unreadable:
        return unreadable.partial


def _said(frame: Frame, one: Observation) -> Said:
    at = frame.at if one.occurred is None else one.occurred
    return frame.device, int(one.kind), at, one.value, one.code


async def _stored(db: Connection) -> Counter[Said]:
    rows = await db.fetch(
        """
        SELECT d.address, o.kind, (extract(epoch FROM o.occurred) * 1000)::bigint AS at,
               o.value, o.code, count(*) AS times
        FROM observation o JOIN device d ON d.id = o.device
        GROUP BY d.address, o.kind, o.occurred, o.value, o.code
        """
    )
    return Counter({cast("Said", tuple(row)[:5]): row["times"] for row in rows})


async def _unreceived(db: Connection, numbers: Numbers) -> int:
    """How many of the numbers 1 to n of each stream are not in the ledger."""
    rows = await db.fetch(
        """
        SELECT s.uuid, sum(upper(r) - lower(r)) AS received
        FROM stream s CROSS JOIN LATERAL unnest(s.received * int8multirange(int8range(1, NULL))) r
        WHERE s.uuid = ANY ($1) GROUP BY s.uuid
        """,
        list(numbers),
    )
    received = {row["uuid"]: int(row["received"]) for row in rows}
    return sum(max(0, count - received.get(stream, 0)) for stream, count in numbers.items())


@asynccontextmanager
async def _connected(dsn: str) -> AsyncGenerator[Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()
