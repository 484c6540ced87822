"""Districts, teams, people, citizens and homes, one at a time: shown, added, changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from asyncpg.exceptions import UniqueViolationError

from gateway.store.caller import Caller
from gateway.store.homes import InTheWay
from gateway.store.pool import Connection, Row
from gateway.store.register.cpr import is_like_cpr
from gateway.store.seal import Place, Seal
from gateway.store.versions import Versions, agree

Value = str | UUID | None
Name = Literal["district", "team", "home", "citizen", "person"]


class LikeCpr(Exception):
    """A text looks like a CPR number, and none may be kept; the text names the field only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A table of the register.

    `texts` are its plain columns, `places` those that name another table's row (told by its
    outside id), `sealed` those of the table in the schema identity.
    """

    texts: Sequence[str] = ()
    places: Mapping[str, str] = field(default_factory=dict[str, str])
    sealed: Sequence[str] = ()


KINDS: Mapping[Name, Kind] = {
    "district": Kind(texts=("name",)),
    "team": Kind(texts=("name",), places={"district": "district"}),
    "home": Kind(texts=("zone", "reference"), places={"district": "district"}),
    "citizen": Kind(
        texts=("reference",),
        places={"home": "home"},
        sealed=("name", "address", "phone", "entry", "relatives"),
    ),
    "person": Kind(texts=("login",), sealed=("name", "phone")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing: `number` stays inside; what the caller may not read is None in `values`."""

    number: int
    public: UUID
    version: int
    values: Mapping[str, Value]


def _select(name: Name) -> str:
    kind = KINDS[name]
    wanted = [f"t.{column}" for column in kind.texts]
    wanted += [f"{column}_.public AS {column}" for column in kind.places]
    wanted += [f"i.{column}" for column in kind.sealed]
    joins = [
        f"LEFT JOIN {table} {column}_ ON {column}_.municipality = t.municipality "
        f"AND {column}_.id = t.{column}"
        for column, table in kind.places.items()
    ]
    if kind.sealed:
        joins.append(
            f"LEFT JOIN identity.{name} i ON i.municipality = t.municipality AND i.{name} = t.id"
        )
    return (
        f"SELECT t.id, t.public, t.version, {', '.join(wanted)} FROM {name} t "  # noqa: S608
        f"{' '.join(joins)} WHERE t.municipality = $1"
    )


async def listed(
    db: Connection, caller: Caller, seal: Seal, name: Name, *, after: UUID | None, limit: int
) -> list[Item]:
    """At most `limit` of them in the order of their ids, those after `after`."""
    rows = await db.fetch(
        f"{_select(name)} AND ($2::uuid IS NULL OR t.public > $2) ORDER BY t.public LIMIT $3",
        caller.municipality,
        after,
        limit,
    )
    return [_item(caller, seal, name, row) for row in rows]


async def one(db: Connection, caller: Caller, seal: Seal, name: Name, public: UUID) -> Item:
    """One of them. Raises LookupError when it is not there for this caller."""
    row = await db.fetchrow(f"{_select(name)} AND t.public = $2", caller.municipality, public)
    if row is None:
        raise LookupError(str(public))
    return _item(caller, seal, name, row)


def _item(caller: Caller, seal: Seal, name: Name, row: Row) -> Item:
    kind = KINDS[name]
    values: dict[str, Value] = {column: row[column] for column in (*kind.texts, *kind.places)}
    for column in kind.sealed:
        place = Place(caller.municipality, name, row["id"], column)
        values[column] = None if row[column] is None else seal.open(row[column], place)
    return Item(number=row["id"], public=row["public"], version=row["version"], values=values)


async def add(
    db: Connection, caller: Caller, seal: Seal, name: Name, values: Mapping[str, Value]
) -> UUID:
    """A new one. Raises LookupError for a place that is not the caller's, InTheWay, LikeCpr."""
    kept = await _kept(db, caller, name, values)
    columns = ", ".join(kept)
    marks = ", ".join(f"${at}" for at in range(2, len(kept) + 2))
    try:
        async with db.transaction():
            row = await db.fetchrow(
                f"INSERT INTO {name} (municipality, {columns}) "  # noqa: S608 - our own words
                f"VALUES ($1, {marks}) RETURNING id, public",
                caller.municipality,
                *kept.values(),
            )
    except UniqueViolationError as error:
        raise InTheWay("there is one like it already") from error
    assert row is not None  # noqa: S101 - INSERT … RETURNING gives its row
    if sealed := _sealed(caller, seal, name, row["id"], values):
        marks = ", ".join(f"${at}" for at in range(3, len(sealed) + 3))
        await db.execute(
            f"INSERT INTO identity.{name} (municipality, {name}, {', '.join(sealed)}) "  # noqa: S608
            f"VALUES ($1, $2, {marks})",
            caller.municipality,
            row["id"],
            *sealed.values(),
        )
    return row["public"]


async def change(
    db: Connection,
    caller: Caller,
    seal: Seal,
    name: Name,
    public: UUID,
    *,
    versions: Versions,
    values: Mapping[str, Value],
) -> int:
    """Write the values; the inside number of what was changed. `versions` None: whatever it is.

    Raises LookupError, Stale when it has none of these versions, InTheWay and LikeCpr.
    """
    row = await db.fetchrow(
        f"SELECT id, version FROM {name} WHERE municipality = $1 AND public = $2 FOR UPDATE",  # noqa: S608
        caller.municipality,
        public,
    )
    if row is None:
        raise LookupError(str(public))
    agree(row["version"], versions)
    await _write(db, caller, name, row["id"], await _kept(db, caller, name, values))
    if sealed := _sealed(caller, seal, name, row["id"], values):
        await _write_sealed(db, caller, name, row["id"], sealed)
    if name == "home" and "district" in values:  # who lives there is where the home is
        await db.execute(
            "UPDATE citizen c SET district = h.district, version = c.version + 1 FROM home h "
            "WHERE h.municipality = $1 AND h.id = $2 AND c.municipality = $1 AND c.home = $2 "
            "AND c.district <> h.district",
            caller.municipality,
            row["id"],
        )
    return row["id"]


async def _write(
    db: Connection, caller: Caller, name: Name, number: int, kept: Mapping[str, object]
) -> None:
    told = "".join(f", {column} = ${at}" for at, column in enumerate(kept, start=3))
    try:
        async with db.transaction():
            await db.execute(
                f"UPDATE {name} SET version = version + 1{told} "  # noqa: S608 - our own words
                "WHERE municipality = $1 AND id = $2",
                caller.municipality,
                number,
                *kept.values(),
            )
    except UniqueViolationError as error:
        raise InTheWay("there is one like it already") from error


async def _write_sealed(
    db: Connection, caller: Caller, name: Name, number: int, sealed: Mapping[str, str]
) -> None:
    told = ", ".join(f"{column} = ${at}" for at, column in enumerate(sealed, start=3))
    await db.execute(
        f"UPDATE identity.{name} SET {told} WHERE municipality = $1 AND {name} = $2",  # noqa: S608
        caller.municipality,
        number,
        *sealed.values(),
    )


async def _kept(
    db: Connection, caller: Caller, name: Name, values: Mapping[str, Value]
) -> dict[str, object]:
    """The columns of the table itself, with inside numbers for outside ids."""
    kind = KINDS[name]
    for column, value in values.items():
        if isinstance(value, str) and is_like_cpr(value):
            raise LikeCpr(column)
    kept: dict[str, object] = {one: values[one] for one in kind.texts if one in values}
    for column, table in kind.places.items():
        if column in values:
            place = await db.fetchrow(
                f"SELECT * FROM {table} WHERE municipality = $1 AND public = $2",  # noqa: S608
                caller.municipality,
                values[column],
            )
            if place is None:
                raise LookupError(column)
            kept[column] = place["id"]
            if table == "home":
                kept["district"] = place["district"]
    return kept


def _sealed(
    caller: Caller, seal: Seal, name: Name, number: int, values: Mapping[str, Value]
) -> dict[str, str]:
    return {
        column: seal.seal(
            str(values[column] or ""), Place(caller.municipality, name, number, column)
        )
        for column in KINDS[name].sealed
        if column in values
    }


async def citizens_of(db: Connection, caller: Caller, name: Name, number: int) -> list[int]:
    """The citizens whom a change of a home or a citizen concerns."""
    if name == "citizen":
        return [number]
    if name != "home":
        return []
    rows = await db.fetch(
        "SELECT id FROM citizen WHERE municipality = $1 AND home = $2 ORDER BY id",
        caller.municipality,
        number,
    )
    return [row["id"] for row in rows]
