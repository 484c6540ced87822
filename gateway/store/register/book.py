"""Writes what an import wants, and notes each change so that it can be taken back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gateway.store.pool import Connection
from gateway.store.seal import Place, Seal

Values = Mapping[str, str | int | datetime | list[int] | None]

_TABLES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "home": ("home", "id", ("district", "reference")),
    "citizen": ("citizen", "id", ("district", "home", "reference")),
    "identity": (
        "identity.citizen",
        "citizen",
        ("name", "address", "phone", "entry", "relatives"),
    ),
    "edge": ("edge", "id", ("home",)),
    "device": ("device", "id", ("address", "model")),
    "placement": (
        "placement",
        "id",
        ("device", "citizen", "role", "room", "legal_basis", "from", "to"),
    ),
    "person": ("person", "id", ("login", "left_on")),
    "person_identity": ("identity.person", "person", ("name", "phone")),
    "access": ("access", "id", ("person", "role", "districts", "until")),
    "member": ("team_member", "id", ("team", "person")),
}
"""Each thing's table, its number's column, and the columns that an import may write."""

_TYPES: Mapping[str, str] = {
    "district": "integer",
    "home": "integer",
    "citizen": "integer",
    "device": "integer",
    "from": "timestamptz",
    "to": "timestamptz",
}
"""The types of columns that hold no text."""
_VERSIONED = frozenset({"home", "citizen", "person"})
_SEALED: Mapping[str, str] = {"identity": "citizen", "person_identity": "person"}
"""What is sealed, with the table whose row it names: that one's version tells a change."""
_ONLY_MADE = frozenset({"member"})
"""What is made and removed and never changed: nobody may lock it for a change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who brings in: `person` None is the command, `within` None every district.

    `gives`: may give colleagues their roles.
    """

    municipality: int
    person: int | None = None
    role: str | None = None
    within: list[int] | None = None
    gives: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """A row that was made (`before` None) or changed. Texts of identity are sealed."""

    line: int
    thing: str
    row: int
    before: Values | None
    after: Values


@dataclass(slots=True)
class Book:
    """The register of one municipality, and what was changed in it since it was opened."""

    db: Connection
    municipality: int
    seal: Seal
    changes: list[Change] = field(default_factory=list[Change])

    async def read(self, thing: str, row: int) -> Values | None:
        """The row as it is kept, or None when there is none."""
        table, number, columns = _TABLES[thing]
        wanted = ", ".join(f'"{name}"' for name in columns)
        lock = "" if thing in _ONLY_MADE else " FOR UPDATE"
        found = await self.db.fetchrow(
            f"SELECT {wanted} FROM {table} "  # noqa: S608 - our own words
            f"WHERE municipality = $1 AND {number} = $2{lock}",
            self.municipality,
            row,
        )
        return None if found is None else dict(found)

    def plain(self, thing: str, row: int, values: Values) -> Values:
        """The values as people read them. Raises Unsealable."""
        if thing not in _SEALED:
            return values
        return {
            name: self.seal.open(str(v), self._place(thing, row, name))
            for name, v in values.items()
        }

    async def add(self, line: int, thing: str, values: Values, row: int | None = None) -> int:
        """A new row; its number. `row` is given where the number is another table's."""
        table, number, _ = _TABLES[thing]
        kept = self._kept(thing, row or 0, values)
        whole = {**kept, **({} if row is None else {number: row})}
        names = ", ".join(f'"{name}"' for name in whole)
        marks = ", ".join(f"${at}" for at in range(2, len(whole) + 2))
        made: int = await self.db.fetchval(
            f"INSERT INTO {table} (municipality, {names}) VALUES ($1, {marks}) "  # noqa: S608
            f"RETURNING {number}",
            self.municipality,
            *whole.values(),
        )
        self.note(line, thing, made, None, kept)
        return made

    async def add_many(self, thing: str, key: str, rows: Mapping[int, Values]) -> Mapping[int, int]:
        """New rows by their lines, in one statement, `key` being another in each; their numbers.

        They are not noted. Not for names, which are sealed by the number that they get.
        """
        if not rows:
            return {}
        table, number, _ = _TABLES[thing]
        columns = list(next(iter(rows.values())))
        names = ", ".join(f'"{name}"' for name in columns)
        arrays = ", ".join(
            f"${at}::{_TYPES.get(name, 'text')}[]" for at, name in enumerate(columns, start=2)
        )
        made = await self.db.fetch(
            f"INSERT INTO {table} (municipality, {names}) "  # noqa: S608 - our own words
            f'SELECT $1, * FROM unnest({arrays}) RETURNING {number} AS number, "{key}" AS key',
            self.municipality,
            *([row[name] for row in rows.values()] for name in columns),
        )
        found = {row["key"]: row["number"] for row in made}
        return {line: found[row[key]] for line, row in rows.items()}

    async def name_many(self, names: Mapping[int, Values]) -> Mapping[int, Values]:
        """The names of new citizens, by their numbers, as they are kept. They are not noted."""
        kept = {row: self._kept("identity", row, values) for row, values in names.items()}
        for columns in {tuple(values) for values in kept.values()}:
            marks = ", ".join(f"${at}" for at in range(3, len(columns) + 3))
            await self.db.executemany(
                f"INSERT INTO identity.citizen (municipality, citizen, {', '.join(columns)}) "  # noqa: S608
                f"VALUES ($1, $2, {marks})",
                [
                    (self.municipality, row, *values.values())
                    for row, values in kept.items()
                    if tuple(values) == columns
                ],
            )
        return kept

    async def change(self, line: int, thing: str, row: int, values: Values) -> bool:
        """Write what differs; whether anything did. Raises LookupError for a row not there."""
        before = await self.read(thing, row)
        if before is None:
            raise LookupError(thing)
        known = self.plain(thing, row, before)
        fresh = {name: value for name, value in values.items() if known[name] != value}
        if not fresh:
            return False
        kept = self._kept(thing, row, fresh)
        await self.put(thing, row, kept)
        self.note(line, thing, row, {name: before[name] for name in fresh}, kept)
        return True

    async def put(self, thing: str, row: int, kept: Values) -> None:
        """Write these columns as they are given."""
        table, number, columns = _TABLES[thing]
        if not kept.keys() <= set(columns):
            raise ValueError(f"{thing} has no such column")
        told = [f'"{name}" = ${at}' for at, name in enumerate(kept, start=3)]
        if thing in _VERSIONED:
            told.append("version = version + 1")
        await self.db.execute(
            f"UPDATE {table} SET {', '.join(told)} WHERE municipality = $1 AND {number} = $2",  # noqa: S608
            self.municipality,
            row,
            *kept.values(),
        )
        if thing in _SEALED:
            await self.db.execute(
                f"UPDATE {_SEALED[thing]} SET version = version + 1 "  # noqa: S608
                "WHERE municipality = $1 AND id = $2",
                self.municipality,
                row,
            )

    async def remove(self, thing: str, row: int) -> bool:
        """Take the row away; whether it could be seen to go."""
        table, number, _ = _TABLES[thing]
        gone = await self.db.fetchval(
            f"DELETE FROM {table} WHERE municipality = $1 AND {number} = $2 RETURNING 1",  # noqa: S608
            self.municipality,
            row,
        )
        return gone is not None

    def note(self, line: int, thing: str, row: int, before: Values | None, after: Values) -> None:
        self.changes.append(Change(line, thing, row, before, after))

    def _kept(self, thing: str, row: int, values: Values) -> Values:
        if thing not in _SEALED:
            return values
        return {
            name: self.seal.seal(str(value), self._place(thing, row, name))
            for name, value in values.items()
        }

    def _place(self, thing: str, row: int, column: str) -> Place:
        return Place(self.municipality, _SEALED[thing], row, column)
