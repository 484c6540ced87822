"""Rows in which all is new, brought in together: five questions for two hundred of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from gateway.store.register.before import Before
from gateway.store.register.book import Book, Change, Values
from gateway.store.register.lines import Wanted

MOST = 200
"""Rows that are brought in together: one that does not fit has them all tried one by one."""


def is_new(want: Wanted, before: Before, now: datetime) -> bool:
    """Whether nothing of the row is there: it is brought in, or the database refuses it."""
    return (
        want.district in before.districts
        and not want.box
        and "name" in want.identity
        and before.lacks("home", want.home)
        and before.lacks("citizen", want.citizen)
        and (not want.device or (before.lacks("device", want.device) and _fits(want, now)))
    )


def _fits(want: Wanted, now: datetime) -> bool:
    since = want.since.at if want.since else now
    return since <= now and (want.until is None or since < want.until.at <= now)


def is_apart(want: Wanted, others: Sequence[Wanted]) -> bool:
    """Whether the row shares no home, citizen or device with the others."""
    return all(
        want.home != other.home
        and want.citizen != other.citizen
        and (not want.device or want.device != other.device)
        for other in others
    )


async def add_all(
    book: Book, rows: Sequence[Wanted], before: Before, now: datetime
) -> Sequence[Sequence[Change]]:
    """Each row's changes, in the order of the rows; none is noted in the book yet.

    Raises IntegrityConstraintViolationError when one of them does not fit: none is brought in.
    """
    placed = [row for row in rows if row.device]
    districts = {row.line: before.districts[row.district] for row in rows}
    homes: dict[int, Values] = {
        row.line: {"district": districts[row.line], "reference": row.home} for row in rows
    }
    home = await book.add_many("home", "reference", homes)
    citizens: dict[int, Values] = {
        row.line: {
            "district": districts[row.line],
            "home": home[row.line],
            "reference": row.citizen,
        }
        for row in rows
    }
    citizen = await book.add_many("citizen", "reference", citizens)
    names = await book.name_many({citizen[row.line]: row.identity for row in rows})
    devices: dict[int, Values] = {
        row.line: {"address": row.device, "model": row.model} for row in placed
    }
    device = await book.add_many("device", "address", devices)
    stays = {row.line: _stay(row, device[row.line], citizen[row.line], now) for row in placed}
    stay = await book.add_many("placement", "device", stays)

    def changes(line: int) -> Sequence[Change]:
        found = [
            Change(line, "home", home[line], None, homes[line]),
            Change(line, "citizen", citizen[line], None, citizens[line]),
            Change(line, "identity", citizen[line], None, names[citizen[line]]),
        ]
        if line in stay:
            found.append(Change(line, "device", device[line], None, devices[line]))
            found.append(Change(line, "placement", stay[line], None, stays[line]))
        return found

    return [changes(row.line) for row in rows]


def _stay(want: Wanted, device: int, citizen: int, now: datetime) -> Values:
    kept: Mapping[str, str | int | datetime | None] = {
        "device": device,
        "citizen": citizen,
        "role": want.role,
        "room": want.room,
        "legal_basis": want.basis,
        "from": want.since.at if want.since else now,
        "to": want.until.at if want.until else None,
    }
    return kept
