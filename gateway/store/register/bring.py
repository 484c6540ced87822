"""Brings the rows of a file into the register, each whole or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg.exceptions import IntegrityConstraintViolationError

from gateway.store import boxes
from gateway.store.asking import NotAllowed
from gateway.store.pool import Connection
from gateway.store.register.before import Before
from gateway.store.register.book import Book, By, Change, Values
from gateway.store.register.lines import NEW_BOX, Refused, Wanted, wanted
from gateway.store.register.many import MOST, add_all, is_apart, is_new
from gateway.store.register.people import bring_people
from gateway.store.register.placing import place
from gateway.store.register.rows import Claim, Code, Outcome, Report, Rows, read_line
from gateway.store.register.table import Line, Sheet
from gateway.store.register.telling import tell, tell_people
from gateway.store.seal import Seal

_ONE_AT_A_TIME = 0x696D706F


class _DryRun(Exception):
    """Ends the transaction of a dry run."""


async def bring(
    db: Connection,
    by: By,
    seal: Seal,
    lines: Sequence[Line],
    *,
    digest: bytes,
    now: datetime,
    dry_run: bool,
) -> Report:
    """Bring in what is new and what differs; the same file again changes nothing.

    A dry run does all of it and takes all of it back, so that it says what would happen. Nothing
    is kept of an import that changes nothing. Belongs in a transaction as the caller. Raises
    NotAllowed for colleagues of who gives no roles.
    """
    people = any(line.sheet == "people" for line in lines)
    if people and not by.gives:
        raise NotAllowed
    public: UUID | None = None
    outcomes: Sequence[Outcome] = ()
    codes: Sequence[Code] = ()
    try:
        async with db.transaction():
            await db.execute(
                "SELECT pg_advisory_xact_lock($1, $2)", _ONE_AT_A_TIME, by.municipality
            )
            book = Book(db, by.municipality, seal)
            bring_in = bring_people if people else _bring_homes
            run, outcomes = await bring_in(book, by, lines, now)
            if dry_run:
                raise _DryRun  # noqa: TRY301 - the only way to take back a savepoint
            if run.book.changes:
                public = await _keep(run, outcomes, digest, "people" if people else "homes")
                await tell_people(db, by, run.book.changes, "person.imported", now)
                await tell(db, by, run.book.changes, "citizen.imported", now)
            codes = run.codes
    except _DryRun:
        pass
    return Report(public=public, outcomes=outcomes, codes=codes)


async def _bring_homes(
    book: Book, by: By, lines: Sequence[Line], now: datetime
) -> tuple[Rows[Any], Sequence[Outcome]]:
    rows = [(line.number, read_line(wanted, line)) for line in lines]
    whole = [row for _, row in rows if isinstance(row, Wanted)]
    before = await Before.read(book.db, by, book.seal, whole)
    run = _Homes(book=book, by=by, now=now, before=before)
    return run, await run.all(rows)


@dataclass(slots=True, kw_only=True)
class _Homes(Rows[Wanted]):
    """The rows of homes; what was there `before` the first one is asked once."""

    before: Before

    def claims(self, want: Wanted) -> Sequence[Claim]:
        return _claims(want)

    def is_so(self, want: Wanted) -> bool:
        return self.before.says(want, self.now)

    def touched(self, want: Wanted) -> None:
        self.before.touch(want)

    async def all(self, rows: Sequence[tuple[int, Wanted | Refused]]) -> list[Outcome]:
        """Every row in its order; those next to each other in which all is new, together."""
        outcomes: list[Outcome] = []
        together: list[Wanted] = []
        for number, want in rows:
            alone = isinstance(want, Refused) or not self._is_new(want, together)
            if together and (alone or len(together) == MOST):
                outcomes += await self._together(together)
                together.clear()
                alone = isinstance(want, Refused) or not self._is_new(want, together)
            if alone:
                outcomes.append(await self.line(number, want))
            elif isinstance(want, Wanted):
                together.append(want)
        return outcomes + (await self._together(together) if together else [])

    def _is_new(self, want: Wanted, together: Sequence[Wanted]) -> bool:
        return (
            is_new(want, self.before, self.now)
            and is_apart(want, together)
            and all((column, whose) not in self.said for column, whose, _ in _claims(want))
        )

    async def _together(self, rows: Sequence[Wanted]) -> list[Outcome]:
        try:
            async with self.book.db.transaction():
                made = await add_all(self.book, rows, self.before, self.now)
        except IntegrityConstraintViolationError:
            return [await self.line(row.line, row) for row in rows]
        for row, changes in zip(rows, made, strict=True):
            self.book.changes += changes
            self.before.touch(row)
            self.say(row)
        return [Outcome(row.line, "new") for row in rows]

    async def bring(self, want: Wanted) -> None:
        district = self._district(want)
        home = await self._home(want, district)
        citizen = await self._citizen(want, district, home)
        await self._box(want, home)
        if want.device:
            new = self.before.lacks("device", want.device)
            await place(self.book, want, citizen, self.now, new=new)

    def _district(self, want: Wanted) -> int:
        found = self.before.districts
        if want.district not in found:
            known = ", ".join(found) or "ingen"
            raise Refused("distrikt", f"distriktet findes ikke; kendte distrikter: {known}")
        return found[want.district]

    async def _home(self, want: Wanted, district: int) -> int:
        row = await self._known("home", want.home)
        if row is None:
            values = {"district": district, "reference": want.home}
            return await self.book.add(want.line, "home", values)
        await self.book.change(want.line, "home", row, {"district": district})
        return row

    async def _citizen(self, want: Wanted, district: int, home: int) -> int:
        row = await self._known("citizen", want.citizen)
        where = {"district": district, "home": home}
        if row is not None:
            await self.book.change(want.line, "citizen", row, where)
            await self.book.change(want.line, "identity", row, want.identity)
            return row
        if "name" not in want.identity:
            raise Refused("navn", "feltet er tomt, og borgeren er ny")
        row = await self.book.add(want.line, "citizen", {**where, "reference": want.citizen})
        await self.book.add(want.line, "identity", want.identity, row=row)
        return row

    async def _known(self, table: str, reference: str) -> int | None:
        """By the municipality's own id, or by ours, which stands in a file that was written out."""
        if self.before.lacks(table, reference):
            return None
        return await self.book.db.fetchval(
            f"SELECT id FROM {table} WHERE municipality = $1 "  # noqa: S608 - our own words
            "AND (reference = $2 OR (reference IS NULL AND public::text = $2)) FOR UPDATE",
            self.by.municipality,
            reference,
        )

    async def _box(self, want: Wanted, home: int) -> None:
        if not want.box:
            return
        if want.box == NEW_BOX:
            await self._new_box(want, home)
            return
        row = await self.book.db.fetchrow(
            "SELECT id, home, edge_in_use(id) AS used FROM edge "
            "WHERE municipality = $1 AND name = $2 FOR UPDATE",
            self.by.municipality,
            want.box,
        )
        if row is None or not row["used"]:
            raise Refused("boks", "den boks findes ikke, eller den er taget ud af drift")
        if row["home"] not in {None, home}:
            raise Refused("boks", "boksen står i en anden bolig; flyt den, før den skrives her")
        await self.book.change(want.line, "edge", row["id"], {"home": home})

    async def _new_box(self, want: Wanted, home: int) -> None:
        db, where = self.book.db, self.by.municipality
        if await db.fetchval(
            "SELECT EXISTS (SELECT FROM edge WHERE municipality = $1 AND home = $2)", where, home
        ):
            return
        public = await db.fetchval(
            "SELECT public FROM home WHERE municipality = $1 AND id = $2", where, home
        )
        made = await boxes.add_box(db, municipality=where, home=public, now=self.now)
        row: int = await db.fetchval("SELECT id FROM edge WHERE name = $1", made.name)
        self.book.note(want.line, "edge", row, None, {"home": home})
        self.codes.append(Code(want.line, made.name, made.secret))


def _claims(want: Wanted) -> list[Claim]:
    """What no other row of the file may say otherwise."""
    home, citizen = f"bolig {want.home}", f"borger {want.citizen}"
    claims = [("distrikt", home, want.district), ("bolig", citizen, want.home)]
    claims += [(_COLUMN[name], citizen, value) for name, value in want.identity.items()]
    if want.box not in {"", NEW_BOX}:
        claims.append(("boks", f"boks {want.box}", want.home))
    if want.device:  # a device stands in one row only
        claims.append(("enhed", f"enhed {want.device}", str(want.line)))
    return claims


_COLUMN = {
    "name": "navn",
    "address": "adresse",
    "phone": "telefon",
    "entry": "adgang",
    "relatives": "pårørende",
}


async def _keep(run: Rows[Any], outcomes: Sequence[Outcome], digest: bytes, kind: Sheet) -> UUID:
    row = await run.book.db.fetchrow(
        "INSERT INTO import (municipality, at, person, digest, rows, kind) "
        "VALUES ($1, $2, $3, $4, $5, $6) RETURNING id, public",
        run.by.municipality,
        run.now,
        run.by.person,
        digest,
        [
            {"line": one.line, "state": one.state, "column": one.column, "reason": one.reason}
            for one in outcomes
        ],
        kind,
    )
    assert row is not None  # noqa: S101 - INSERT … RETURNING gives its row
    await run.book.db.executemany(
        "INSERT INTO import_change "
        "(municipality, import, position, line, thing, row, before, after) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        [
            (run.by.municipality, row["id"], position, *_columns(change))
            for position, change in enumerate(run.book.changes)
        ],
    )
    return row["public"]


def _columns(change: Change) -> tuple[object, ...]:
    before = None if change.before is None else said(change.before)
    return change.line, change.thing, change.row, before, said(change.after)


def said(values: Values) -> Mapping[str, str | int | list[int] | None]:
    """The values as JSON keeps them: times as text."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }
