"""Takes an import back as one: everything is as it was before, or nothing is changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg.exceptions import ForeignKeyViolationError

from gateway.store.homes import InTheWay
from gateway.store.pool import Connection
from gateway.store.register.book import Book, By, Change
from gateway.store.register.bring import said
from gateway.store.register.placing import last_call
from gateway.store.register.staff import refuse_last
from gateway.store.register.telling import tell, tell_people
from gateway.store.seal import Seal

_MOMENTS = frozenset({"from", "to", "left_on", "until"})


class CannotUndo(Exception):
    """Something has happened since that the import is needed for; the text (Danish) says what."""


async def undo(db: Connection, by: By, seal: Seal, public: UUID, *, now: datetime) -> int:
    """Take the import back; how many changes that were. Belongs in a transaction as the caller.

    Raises LookupError for an import that is not there, and CannotUndo when it was undone already
    or when something it made or changed has been changed since, or is in use.
    """
    found = await db.fetchrow(
        "SELECT id, undone FROM import WHERE municipality = $1 AND public = $2",
        by.municipality,
        public,
    )
    if found is None:
        raise LookupError(str(public))
    if found["undone"] is not None:
        raise CannotUndo("Importen er allerede fortrudt.")
    async with db.transaction():
        changes = await _changes(db, by.municipality, found["id"])
        book = Book(db, by.municipality, seal)
        await tell_people(db, by, changes, "person.import_undone", now)
        await tell(db, by, changes, "citizen.import_undone", now)
        for change in reversed(changes):
            await _take_back(book, change)
        await db.execute(
            "UPDATE import SET undone = $3, undone_by = $4 WHERE municipality = $1 AND id = $2",
            by.municipality,
            found["id"],
            now,
            by.person,
        )
    return len(changes)


async def _changes(db: Connection, municipality: int, number: int) -> Sequence[Change]:
    rows = await db.fetch(
        "SELECT line, thing, row, before, after FROM import_change "
        "WHERE municipality = $1 AND import = $2 ORDER BY position",
        municipality,
        number,
    )
    return [
        Change(
            row["line"], row["thing"], row["row"], _moments(row["before"]), _moments(row["after"])
        )
        for row in rows
    ]


def _moments(kept: Mapping[str, Any] | None) -> Any:  # noqa: ANN401 - None stays None
    """Times as times again."""
    if kept is None:
        return None
    return {
        name: datetime.fromisoformat(value) if name in _MOMENTS and value else value
        for name, value in kept.items()
    }


async def _take_back(book: Book, change: Change) -> None:
    now = await book.read(change.thing, change.row)
    if now is None or not _as_left(book, change, now):
        raise CannotUndo(f"Det, som linje {change.line} skrev, er ændret siden. Intet er fortrudt.")
    if change.thing == "access":
        await _refuse_last(book, change, now)
    if change.before is not None:
        await book.put(change.thing, change.row, change.before)
        return
    await _refuse_used(book, change)
    try:
        async with book.db.transaction():
            gone = await book.remove(change.thing, change.row)
    except ForeignKeyViolationError as used:
        raise CannotUndo(
            f"Det, som linje {change.line} skrev, er i brug (alarmer, målinger eller andre "
            "rækker). Intet er fortrudt."
        ) from used
    if not gone:
        raise CannotUndo(f"Det, som linje {change.line} skrev, må ikke slettes.")


def _as_left(book: Book, change: Change, now: Mapping[str, Any]) -> bool:
    """Whether the row is still as the import left it; a new seal of the same text is no change."""
    known = book.plain(change.thing, change.row, dict(now))
    left = book.plain(change.thing, change.row, change.after)
    return said({name: known[name] for name in left}) == said(left)


async def _refuse_last(book: Book, change: Change, now: Mapping[str, Any]) -> None:
    """Somebody must be able to give roles."""
    try:
        await refuse_last(book.db, book.municipality, now["person"], now)
    except InTheWay as last:
        raise CannotUndo(
            f"Kollegaen på linje {change.line} er den sidste administrator for hele kommunen."
        ) from last


async def _refuse_acted(book: Book, change: Change) -> None:
    wanted = "access" if change.thing == "access" else "person"
    if not await book.db.fetchval("SELECT not_acted($1, $2)", wanted, change.row):
        raise CannotUndo(
            f"Kollegaen på linje {change.line} har brugt sin adgang, eller har fået en "
            "adgangskode; lad dem fratræde, eller afslut rollen. Intet er fortrudt."
        )


async def _refuse_used(book: Book, change: Change) -> None:
    """What the database's own references do not tell: a call that was heard, a box that joined."""
    if change.thing in {"person", "person_identity", "access"}:
        await _refuse_acted(book, change)
    if change.thing == "placement" and await last_call(book, change.row) is not None:
        raise CannotUndo(
            f"Enheden på linje {change.line} har kaldt siden; afslut placeringen i stedet."
        )
    if change.thing == "edge" and await book.db.fetchval(
        "SELECT joined IS NOT NULL FROM edge WHERE municipality = $1 AND id = $2",
        book.municipality,
        change.row,
    ):
        raise CannotUndo(f"Boksen på linje {change.line} er taget i brug; afslut den i stedet.")
    if change.thing == "citizen":
        await book.db.execute(
            "DELETE FROM deadline WHERE municipality = $1 AND citizen = $2",
            book.municipality,
            change.row,
        )
