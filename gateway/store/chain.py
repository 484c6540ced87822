"""Links the access log's rows into a chain of hashes, and finds where the chain does not hold."""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from gateway.store.pool import Connection, Pool

BATCH = 2_000
"""Rows linked in one transaction."""
FIRST = bytes(32)
"""What the first link of a chain has for its previous hash."""

_ENTRY = ("municipality", "id", "at", "person", "role", "citizen", "what", "purpose")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

FaultKind = Literal["changed", "removed", "inserted", "reordered", "cut", "rewritten"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last link of a municipality's chain at a moment; published outside the database."""

    municipality: UUID
    position: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the access log; inside numbers."""

    municipality: int
    id: int
    at: datetime
    person: int | None
    role: str | None
    citizen: int | None
    what: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One place of the chain. `entry` is the log's row, or None where it is not there."""

    position: int
    number: int
    previous: bytes
    hash: bytes
    entry: Entry | None


class Broken(Exception):
    """The log is not as it was written; `kind` and the text say where first, and how it shows.

    Never repaired: keep the database as it is, and compare with a backup and the published heads.
    """

    def __init__(self, kind: FaultKind, text: str) -> None:
        super().__init__(text)
        self.kind: FaultKind = kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What was verified of one municipality. `waiting` rows are committed and not linked yet."""

    municipality: str
    public: UUID
    linked: int
    waiting: int
    heads: int


Digest = Callable[[bytes, Entry], bytes]


def canonical(entry: Entry) -> bytes:
    """The row as bytes that no other row has: the same as log_bytes of 0007_chain.sql."""
    fields = (
        entry.municipality,
        entry.id,
        (entry.at - _EPOCH) // _MICROSECOND,
        entry.person,
        entry.role,
        entry.citizen,
        entry.what,
        entry.purpose,
    )
    return b"".join(_field(value) for value in fields)


def _field(value: str | int | None) -> bytes:
    if value is None:
        return b"-"
    word = str(value).encode()
    return b"%d:%b" % (len(word), word)


def chained(previous: bytes, entry: Entry) -> bytes:
    """A link's hash: of the one before it and of its own row."""
    return hashlib.sha256(previous + canonical(entry)).digest()


async def link(pool: Pool, most: int = BATCH) -> int:
    """Links what is committed and waits. How many rows; -1 when another gateway is at it."""
    return await pool.fetchval("SELECT link_log($1)", most)


async def heads(pool: Pool) -> list[Head]:
    """The last link of every municipality that has one."""
    rows = await pool.fetch("SELECT municipality, position, hash FROM log_heads()")
    return [Head(**dict(row)) for row in rows]


async def verify(
    db: Connection, published: Sequence[Head] = (), *, digest: Digest = chained
) -> list[Counted]:
    """Walk every chain as the owner, in one snapshot; the counts of each municipality.

    Raises Broken for the first fault. A whole chain computed anew, or its cut tail, shows only
    against heads that were `published`.
    """
    async with db.transaction(isolation="repeatable_read", readonly=True):
        places = await db.fetch("SELECT id, public, name FROM municipality ORDER BY id")
        if unknown := {head.municipality for head in published} - {p["public"] for p in places}:
            raise Broken("cut", f"the municipality {min(unknown)} of a published head is not here")
        counted = list[Counted]()
        for place in places:
            told = {h.position: h.hash for h in published if h.municipality == place["public"]}
            linked = await _walk(_links(db, place["id"]), told, digest, place["name"])
            await _nothing_beside(db, place["id"], place["name"])
            waiting = await db.fetchval(
                "SELECT count(*) FROM access_waiting WHERE municipality = $1", place["id"]
            )
            counted.append(
                Counted(
                    municipality=place["name"],
                    public=place["public"],
                    linked=linked,
                    waiting=waiting,
                    heads=len(told),
                )
            )
        return counted


async def _walk(
    links: AsyncIterator[Link], told: Mapping[int, bytes], digest: Digest, name: str
) -> int:
    """The length of the chain. Raises Broken."""
    last, running = 0, FIRST
    async for one in links:
        _check(one, last, running, digest, name)
        if told.get(one.position, one.hash) != one.hash:
            raise Broken(
                "rewritten", f"{name}: position {one.position} is not what was published of it"
            )
        last, running = one.position, one.hash
    if (furthest := max(told, default=0)) > last:
        raise Broken(
            "cut", f"{name}: the chain ends at {last}, but position {furthest} was published"
        )
    return last


def _check(one: Link, last: int, running: bytes, digest: Digest, name: str) -> None:
    where = f"{name}: position {one.position}, row {one.number}"
    if one.position != last + 1:
        raise Broken("removed", f"{name}: after position {last} comes {one.position}")
    if one.entry is None:
        raise Broken("removed", f"{where}: the row is not in the log")
    if one.previous != running:
        raise Broken("reordered", f"{where} does not follow on position {last}")
    if one.hash != digest(one.previous, one.entry):
        raise Broken("changed", f"{where}: the row is not the one that was linked here")


async def _links(db: Connection, municipality: int) -> AsyncIterator[Link]:
    rows = db.cursor(
        """
        SELECT k.position, k.entry, k.previous, k.hash, l.id, l.municipality, l.at, l.person,
               l.role, l.citizen, l.what, l.purpose
        FROM access_link k
        LEFT JOIN access_log l ON l.municipality = k.municipality AND l.id = k.entry
        WHERE k.municipality = $1 ORDER BY k.position
        """,
        municipality,
        prefetch=1_000,
    )
    async for row in rows:
        yield Link(
            position=row["position"],
            number=row["entry"],
            previous=row["previous"],
            hash=row["hash"],
            entry=None if row["id"] is None else Entry(**{name: row[name] for name in _ENTRY}),
        )


async def _nothing_beside(db: Connection, municipality: int, name: str) -> None:
    """Raises Broken for a row that is in the log by another way, or went before it was linked."""
    row = await db.fetchval(
        """
        SELECT min(l.id) FROM access_log l
        WHERE l.municipality = $1
          AND NOT EXISTS (SELECT FROM access_link k
                          WHERE k.municipality = l.municipality AND k.entry = l.id)
          AND NOT EXISTS (SELECT FROM access_waiting w
                          WHERE w.municipality = l.municipality AND w.entry = l.id)
        """,
        municipality,
    )
    if row is not None:
        raise Broken("inserted", f"{name}: row {row} is in the log, but not in its chain")
    row = await db.fetchval(
        """
        SELECT min(w.entry) FROM access_waiting w
        WHERE w.municipality = $1 AND NOT EXISTS (
            SELECT FROM access_log l WHERE l.municipality = w.municipality AND l.id = w.entry)
        """,
        municipality,
    )
    if row is not None:
        raise Broken("removed", f"{name}: row {row} waits to be linked, but is not in the log")
