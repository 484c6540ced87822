"""The homes a caller may see: who lives there, which boxes and devices speak for them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from gateway.store.caller import Caller
from gateway.store.pool import Connection, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """A citizen at home. Name, address, phone are None for callers who work with ids."""

    id: int
    public: UUID
    name: str | None
    address: str | None
    phone: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A home, its boxes by name and its residents."""

    public: UUID
    district: str
    zone: str
    edges: tuple[str, ...]
    citizens: tuple[Resident, ...]


_HOMES = """
    SELECT h.id, h.public, d.name AS district, h.zone,
           (SELECT array_agg(e.name ORDER BY e.name) FROM edge e
            WHERE e.municipality = h.municipality AND e.home = h.id) AS edges
    FROM home h
    JOIN district d ON d.municipality = h.municipality AND d.id = h.district
    WHERE h.municipality = $1
"""
_LIST = f"{_HOMES} AND ($2::uuid IS NULL OR h.public > $2) ORDER BY h.public LIMIT $3"
_ONE = f"{_HOMES} AND h.public = $2"
_RESIDENTS = """
    SELECT c.home, c.id, c.public,
           CASE WHEN $2 THEN i.name END AS name,
           CASE WHEN $2 THEN i.address END AS address,
           CASE WHEN $2 THEN i.phone END AS phone
    FROM citizen c
    LEFT JOIN identity.citizen i ON i.municipality = c.municipality AND i.citizen = c.id
    WHERE c.municipality = $1 AND c.home = ANY ($3::integer[])
    ORDER BY c.id
"""


async def homes(db: Connection, caller: Caller, *, after: UUID | None, limit: int) -> list[Home]:
    """At most `limit` homes in the order of their ids, those after `after`."""
    return await _whole(db, caller, await db.fetch(_LIST, caller.municipality, after, limit))


async def home(db: Connection, caller: Caller, public: UUID) -> Home:
    """One home. Raises LookupError when it is not there for this caller."""
    rows = await db.fetch(_ONE, caller.municipality, public)
    if not rows:
        raise LookupError(str(public))
    return (await _whole(db, caller, rows))[0]


async def _whole(db: Connection, caller: Caller, rows: Sequence[Row]) -> list[Home]:
    residents = await db.fetch(
        _RESIDENTS,
        caller.municipality,
        caller.sees_names,
        [row["id"] for row in rows],
    )
    living = _by_home(caller, residents)
    return [
        Home(
            public=row["public"],
            district=row["district"],
            zone=row["zone"],
            edges=tuple(row["edges"] or ()),
            citizens=tuple(living[row["id"]]),
        )
        for row in rows
    ]


_NAMED = """
    SELECT c.id, c.public,
           CASE WHEN $2 THEN i.name END AS name,
           CASE WHEN $2 THEN i.address END AS address,
           CASE WHEN $2 THEN i.phone END AS phone
    FROM citizen c
    LEFT JOIN identity.citizen i ON i.municipality = c.municipality AND i.citizen = c.id
    WHERE c.municipality = $1 AND c.id = ANY ($3::integer[])
"""


async def residents(
    db: Connection, caller: Caller, citizens: Iterable[int]
) -> Mapping[int, Resident]:
    """Those of these citizens (inside numbers) whom the caller sees, by number."""
    rows = await db.fetch(_NAMED, caller.municipality, caller.sees_names, sorted(set(citizens)))
    return {row["id"]: _resident(caller, row) for row in rows}


def _by_home(caller: Caller, rows: Iterable[Row]) -> defaultdict[int, list[Resident]]:
    grouped: defaultdict[int, list[Resident]] = defaultdict(list)
    for row in rows:
        grouped[row["home"]].append(_resident(caller, row))
    return grouped


def _resident(caller: Caller, row: Row) -> Resident:
    opened = {
        column: caller.opens(row[column], "citizen", row["id"], column)
        for column in ("name", "address", "phone")
    }
    return Resident(id=row["id"], public=row["public"], **opened)
