"""One row of the file as what is wanted, or why it is refused, in words for who wrote it; pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from gateway.home import instant
from gateway.store.register.cpr import is_like_cpr
from gateway.store.register.table import NEEDED, Line

ZONE = "Europe/Copenhagen"
"""The zone in which the times of a file are written."""

ROLES: Mapping[str, str] = {
    "nødkald": "call",
    "medicindispenser": "dispenser",
    "bevægelse": "motion",
    "dør": "door",
    "kontakt": "contact",
    "seng": "bed",
    "termometer": "thermometer",
    "indeklima": "climate",
    "andet": "other",
}
"""What a device is there for, by its Danish word."""

BASES: Mapping[str, str] = {
    "samtykke": "consent",
    "sel-128a": "sel_128a",
    "sel-128b": "sel_128b",
    "ældreloven": "elder_act",
    "sul-138": "sul_138",
}
"""Why it may be there: consent, Serviceloven §128 a and b, Ældreloven, home nursing (SUL §138)."""

NEW_BOX = "ny"
_LONGEST: Mapping[str, int] = {"adgang": 1000, "pårørende": 1000, "bolig": 40, "borger": 40}
_USUAL_LONGEST = 100
_ADDRESS = re.compile(r"([0-9A-F]{2})[:-]?" * 5 + r"([0-9A-F]{2})", re.ASCII)
_OURS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
"""Our own random id, in a file that was written out: some happen to hold ten such digits."""
_BOX = re.compile(r"[a-z0-9-]{4,40}", re.ASCII)
_DATE = re.compile(
    r"(?:(\d{4})-(\d\d?)-(\d\d?)|(\d\d?)[-./](\d\d?)[-./](\d{4}))(?:[T ]+(?:kl\. ?)?"
    r"(\d\d?)[:.](\d\d))?",
    re.ASCII,
)
_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)


class Refused(Exception):
    """The row is not brought in. `column` may be empty; the reason is Danish and ends openly."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as exactly as it was written: it is any time in the `step` that begins `at`."""

    at: datetime
    step: timedelta

    def means(self, moment: datetime) -> bool:
        return self.at <= moment < self.at + self.step


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one row says. An empty text says nothing: it changes nothing.

    `home` and `citizen` are the municipality's own ids; `role` and `basis` are the words of the
    database, `device` a radio address, `box` a box's name or NEW_BOX.
    """

    line: int
    district: str
    home: str
    citizen: str
    identity: Mapping[str, str]
    box: str = ""
    device: str = ""
    model: str = ""
    role: str = ""
    room: str = ""
    basis: str = ""
    since: Moment | None = None
    until: Moment | None = None


_IDENTITY: Mapping[str, str] = {
    "navn": "name",
    "adresse": "address",
    "telefon": "phone",
    "adgang": "entry",
    "pårørende": "relatives",
}


def wanted(line: Line) -> Wanted:
    """What the row says. Raises Refused."""
    cells = filled(line, NEEDED)
    _whole(cells)
    return Wanted(
        line=line.number,
        district=cells["distrikt"],
        home=cells["bolig"],
        citizen=cells["borger"],
        identity={to: cells[column] for column, to in _IDENTITY.items() if column in cells},
        box=_box(cells.get("boks", "")),
        device=_address(cells.get("enhed", "")),
        model=cells.get("model", ""),
        role=one_of(ROLES, "rolle", cells),
        room=cells.get("rum", ""),
        basis=one_of(BASES, "hjemmel", cells),
        since=moment("fra", cells),
        until=moment("til", cells),
    )


def filled(line: Line, needed: Sequence[str]) -> dict[str, str]:
    """The cells that say something, each fit to be kept. Raises Refused."""
    if line.fault:
        raise Refused("", line.fault)
    for column, cell in line.cells.items():
        _fit(column, cell)
    for column in needed:
        if not line.cells.get(column):
            raise Refused(column, "feltet er tomt")
    return {column: cell for column, cell in line.cells.items() if cell}


def _fit(column: str, cell: str) -> None:
    if is_like_cpr(cell) and not _OURS.fullmatch(cell):
        # the value itself is repeated nowhere
        raise Refused(column, "feltet ligner et CPR-nummer, og det må ikke stå her")
    if len(cell) > _LONGEST.get(column, _USUAL_LONGEST):
        raise Refused(column, f"højst {_LONGEST.get(column, _USUAL_LONGEST)} tegn")
    allowed = "\t\n\r" if column in {"adgang", "pårørende"} else ""
    if any(
        (ord(letter) < ord(" ") or letter == "\x7f") and letter not in allowed for letter in cell
    ):
        raise Refused(column, "feltet har tegn, der ikke kan læses")
    if any("\ud800" <= letter <= "\udfff" for letter in cell):
        raise Refused(column, "feltet har tegn, der ikke kan læses")


def _whole(cells: Mapping[str, str]) -> None:
    """What belongs to a placement stands together or not at all."""
    if "enhed" in cells:
        for column in ("rolle", "hjemmel"):
            if column not in cells:
                raise Refused(column, "feltet er tomt, men rækken har en enhed")
        return
    for column in ("model", "rolle", "rum", "hjemmel", "fra", "til"):
        if column in cells:
            raise Refused("enhed", f"feltet er tomt, men {column} er udfyldt")


def one_of(words: Mapping[str, str], column: str, cells: Mapping[str, str]) -> str:
    """The kept word for the Danish one; empty for an empty field. Raises Refused."""
    word = cells.get(column, "").casefold()
    if not word:
        return ""
    if word not in words:
        raise Refused(column, f"»{word[:40]}« er ingen af: {', '.join(words)}")
    return words[word]


def _box(text: str) -> str:
    name = text.casefold()
    if name and name != NEW_BOX and not _BOX.fullmatch(name):
        raise Refused("boks", "det er ikke en boks' navn (og heller ikke ordet ny)")
    return name


def _address(text: str) -> str:
    if not text:
        return ""
    found = _ADDRESS.fullmatch(text.upper())
    if found is None:
        raise Refused("enhed", "det er ikke en adresse som A4:C1:38:00:00:01")
    return ":".join(found.groups())


def moment(column: str, cells: Mapping[str, str]) -> Moment | None:
    """The time that the field says, Danish time; None for an empty one. Raises Refused."""
    text = cells.get(column, "")
    if not text:
        return None
    found = _DATE.fullmatch(text)
    if found is None:
        raise Refused(column, "det er ikke en dato som 24-11-2026 eller 24-11-2026 08:30")
    year, month, day = (
        (found[1], found[2], found[3]) if found[1] else (found[6], found[5], found[4])
    )
    try:
        at = time(int(found[7] or 0), int(found[8] or 0))
        begins = instant(date(int(year), int(month), int(day)), at, ZONE)
    except (ValueError, OverflowError) as error:
        raise Refused(column, "den dato eller det klokkeslæt findes ikke") from error
    if not datetime(2000, 1, 1, tzinfo=UTC) <= begins < datetime(2100, 1, 1, tzinfo=UTC):
        raise Refused(column, "året skal ligge mellem 2000 og 2100")
    return Moment(begins, _MINUTE if found[7] else _DAY)
