"""Boxes from a CSV file: each row is new, changed, the same, or refused with the reason."""

import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gateway.store.boxes import CODE_LIFE
from gateway.store.pool import Connection
from gateway.store.register.cpr import is_like_cpr
from gateway.store.register.lines import Refused
from gateway.store.register.rows import Code, Outcome, Report
from gateway.store.register.table import FORMULA, Line
from gateway.store.secrets import digest, new_code_secret

STICKER, HOME, PLACE = "mærkat", "bolig", "kommune"

_LONGEST = 60
_ONE_AT_A_TIME = 0x626F7865
"""The advisory lock of an import of boxes: one at a time in a municipality."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class _DryRun(Exception):
    """Ends the transaction of a dry run."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A box that the municipality has, or had."""

    number: int
    name: str
    home: int | None
    shut_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    """What the rows of the file speak of, as it is now."""

    place: str
    stickers: Mapping[str, _Known]
    homes: Mapping[str, int]
    boxes_in: Mapping[int, str]


@dataclass(slots=True, kw_only=True)
class _Plan:
    """What is to be written: homes by sticker for new boxes, homes by number for known ones."""

    new: dict[str, tuple[Line, int | None]] = field(
        default_factory=dict[str, "tuple[Line, int | None]"]
    )
    settle: dict[int, int] = field(default_factory=dict[int, int])

    homes: set[int] = field(default_factory=set[int])
    """Where a box comes to stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """The report, and who lives where a box came to stand (inside numbers)."""

    report: Report
    citizens: Sequence[int] = ()


async def bring_boxes(
    db: Connection, municipality: int, lines: Sequence[Line], *, now: datetime, dry_run: bool
) -> Brought:
    """Bring in the boxes of the file; the same file again changes nothing.

    `bolig` is a home's outside id or the municipality's own name for it. A box that is new gets a
    code, told once in the report. A dry run does all of it and takes all of it back. Belongs in a
    transaction, as the caller where there is one.
    """
    brought = Brought(report=Report(public=None, outcomes=()))
    try:
        async with db.transaction():
            await db.execute("SELECT pg_advisory_xact_lock($1, $2)", _ONE_AT_A_TIME, municipality)
            brought = await _bring(db, municipality, lines, now)
            if dry_run:
                raise _DryRun  # noqa: TRY301 - the only way to take back a savepoint
    except _DryRun:
        return Brought(report=Report(public=None, outcomes=brought.report.outcomes))
    for channel in ("home", "config", "pending"):
        await db.execute(f"NOTIFY {channel}")
    return brought


async def _bring(
    db: Connection, municipality: int, lines: Sequence[Line], now: datetime
) -> Brought:
    before, plan = await _look(db, municipality, lines), _Plan()
    twice = Counter(line.cells.get(STICKER, "") for line in lines)
    outcomes = {line.number: _outcome(line, before, plan, twice) for line in lines}
    codes = await _add(db, municipality, plan, now)
    made = {code.line for code in codes}
    for line, _ in plan.new.values():
        if line.number not in made:
            why = "mærkaten står på en boks i et andet distrikt"
            outcomes[line.number] = Outcome(line.number, "refused", STICKER, why)
    await _settle(db, municipality, plan.settle)
    return Brought(
        report=Report(public=None, outcomes=[outcomes[line.number] for line in lines], codes=codes),
        citizens=await _judge(db, municipality, sorted(plan.homes), now),
    )


async def _look(db: Connection, municipality: int, lines: Sequence[Line]) -> _Before:
    stickers = sorted({line.cells.get(STICKER, "") for line in lines})
    asked = sorted({line.cells.get(HOME, "").casefold() for line in lines})
    boxes = await db.fetch(
        "SELECT sticker, id, name, home, shut_out IS NOT NULL AS gone FROM edge "
        "WHERE municipality = $1 AND sticker = ANY ($2::text[]) ORDER BY shut_out DESC",
        municipality,
        stickers,
    )
    homes = await db.fetch(
        """
        SELECT h.id, h.public::text AS public, lower(h.reference) AS reference,
               (SELECT min(e.name) FROM edge e WHERE e.municipality = h.municipality
                AND e.home = h.id AND e.shut_out IS NULL) AS box
        FROM home h WHERE h.municipality = $1
          AND (h.public::text = ANY ($2::text[]) OR lower(h.reference) = ANY ($2::text[]))
        """,
        municipality,
        asked,
    )
    place = await db.fetchval("SELECT name FROM municipality WHERE id = $1", municipality)
    return _Before(
        place=place,
        # the one in use, if any, comes last and stays: nulls are first in descending order
        stickers={
            row["sticker"]: _Known(row["id"], row["name"], row["home"], row["gone"])
            for row in reversed(boxes)
        },
        homes={
            word: row["id"] for row in homes for word in (row["reference"], row["public"]) if word
        },
        boxes_in={row["id"]: row["box"] for row in homes if row["box"]},
    )


def _outcome(line: Line, before: _Before, plan: _Plan, twice: Counter[str]) -> Outcome:
    if line.fault:
        return Outcome(line.number, "refused", "", line.fault)
    try:
        sticker = _sticker(line, twice)
        home = _home(line, before)
        return _decide(line, before.stickers.get(sticker), home, before, plan)
    except Refused as refused:
        return Outcome(line.number, "refused", refused.column, refused.reason)


def _sticker(line: Line, twice: Counter[str]) -> str:
    sticker = line.cells.get(STICKER, "")
    wrong = (
        (not sticker, "feltet er tomt"),
        (len(sticker) > _LONGEST, f"højst {_LONGEST} tegn"),
        (_CONTROL.search(sticker), "feltet har tegn, der ikke kan vises"),
        (sticker.startswith(FORMULA), "feltet ligner en formel"),
        (is_like_cpr(sticker), "feltet ligner et CPR-nummer, og det må ikke stå her"),
        (twice[sticker] > 1, "mærkaten står der to gange"),
    )
    for is_so, why in wrong:
        if is_so:
            raise Refused(STICKER, why)
    return sticker


def _home(line: Line, before: _Before) -> int | None:
    place, home = line.cells.get(PLACE, ""), line.cells.get(HOME, "")
    if place and place.casefold() != before.place.casefold():
        raise Refused(PLACE, f"filen læses ind i {before.place}")
    if not home:
        return None
    found = before.homes.get(home.casefold())
    if found is None:
        raise Refused(HOME, "den bolig findes ikke")
    return found


def _decide(
    line: Line, known: _Known | None, home: int | None, before: _Before, plan: _Plan
) -> Outcome:
    if known is not None and known.shut_out:
        raise Refused(STICKER, "boksen er lukket ude; den tilføjes kun igen for sig")
    standing = before.boxes_in.get(home) if home is not None else None
    if standing is not None and (known is None or known.home != home):
        raise Refused(HOME, f"boligen har allerede boksen {standing}")
    if home in plan.homes:
        raise Refused(HOME, "boligen står der to gange; en boks mere tilføjes for sig")
    if known is None:
        plan.new[line.cells[STICKER]] = (line, home)
        plan.homes.update(() if home is None else (home,))
        return Outcome(line.number, "new")
    if home is None or known.home == home:
        return Outcome(line.number, "same")
    if known.home is not None:
        raise Refused(HOME, "boksen står i en anden bolig; flyt den, før den skrives her")
    plan.settle[known.number] = home
    plan.homes.add(home)
    return Outcome(line.number, "changed")


async def _add(db: Connection, municipality: int, plan: _Plan, now: datetime) -> Sequence[Code]:
    """The codes of the new boxes; none for a sticker that is taken in a district not seen here."""
    codes = [
        Code(line.number, f"box-{secrets.token_hex(8)}", new_code_secret())
        for line, _ in plan.new.values()
    ]
    rows = await db.fetch(
        """
        INSERT INTO edge (municipality, name, home, claim, claim_expires, sticker)
        SELECT $1, n.name, n.home, n.claim, $2, n.sticker
        FROM unnest($3::text[], $4::integer[], $5::bytea[], $6::text[])
             AS n (name, home, claim, sticker)
        ON CONFLICT (municipality, sticker) WHERE shut_out IS NULL DO NOTHING
        RETURNING name
        """,
        municipality,
        now + CODE_LIFE,
        [code.box for code in codes],
        [home for _, home in plan.new.values()],
        [digest(code.secret) for code in codes],
        list(plan.new),
    )
    made = {row["name"] for row in rows}
    return [code for code in codes if code.box in made]


async def _settle(db: Connection, municipality: int, homes: Mapping[int, int]) -> None:
    """Known boxes that stood nowhere are told what they must hear."""
    await db.execute(
        "UPDATE edge e SET home = n.home, config_version = config_version + 1 "
        "FROM unnest($2::integer[], $3::integer[]) AS n (id, home) "
        "WHERE e.municipality = $1 AND e.id = n.id",
        municipality,
        list(homes),
        list(homes.values()),
    )


async def _judge(
    db: Connection, municipality: int, homes: Sequence[int], now: datetime
) -> Sequence[int]:
    """Who lives there, and is judged anew."""
    rows = await db.fetch(
        """
        INSERT INTO deadline (municipality, citizen, due)
        SELECT $1, id, $3 FROM citizen
        WHERE municipality = $1 AND home = ANY ($2::integer[]) ORDER BY id
        ON CONFLICT (municipality, citizen) DO UPDATE SET due = LEAST(deadline.due, excluded.due)
        RETURNING citizen
        """,
        municipality,
        homes,
        now,
    )
    return [row["citizen"] for row in rows]
