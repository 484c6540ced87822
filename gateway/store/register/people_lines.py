"""One row of a file of colleagues as what is wanted, or why it is refused; pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.store.register.lines import Moment, Refused, filled, moment, one_of
from gateway.store.register.table import STAFF_NEEDED, Line
from gateway.store.rights import Role

STAFF_ROLES: Mapping[str, Role] = {
    "plejepersonale": "staff",
    "planlægger": "planner",
    "tekniker": "technician",
    "fagligt ansvarlig": "clinical_owner",
    "leder": "leader",
    "revisor": "auditor",
    "administrator": "administrator",
}
"""What a colleague is, by the words of the screens; a program is given a key and no row."""

_LOGIN = re.compile(r"[a-z0-9@._-]{1,100}", re.ASCII)
_IDENTITY: Mapping[str, str] = {"navn": "name", "telefon": "phone"}
_MOST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Colleague:
    """What one row says: a person, and at most one of their roles. What is empty says nothing.

    `districts` and `teams` are names; the districts are those of the role. `leaves` is the day on
    which all of it ends.
    """

    line: int
    login: str
    identity: Mapping[str, str]
    role: Role | None = None
    districts: Sequence[str] = ()
    teams: Sequence[str] = ()
    leaves: Moment | None = None


def colleague(line: Line) -> Colleague:
    """What the row says. Raises Refused."""
    cells = filled(line, STAFF_NEEDED)
    login = cells["login"].lower()
    if not _LOGIN.fullmatch(login):
        raise Refused("login", "brug kun a-z, tal, punktum, bindestreg, understreg og @")
    if "distrikt" in cells and "rolle" not in cells:
        raise Refused("rolle", "feltet er tomt, men rækken har et distrikt")
    word = one_of(STAFF_ROLES, "rolle", cells)
    return Colleague(
        line=line.number,
        login=login,
        identity={to: cells[column] for column, to in _IDENTITY.items() if column in cells},
        role=next((role for role in STAFF_ROLES.values() if role == word), None),
        districts=_names("distrikt", cells),
        teams=_names("team", cells),
        leaves=moment("fratrådt", cells),
    )


def _names(column: str, cells: Mapping[str, str]) -> Sequence[str]:
    parts = (part.strip() for part in cells.get(column, "").split(","))
    names = list(dict.fromkeys(part for part in parts if part))
    if len(names) > _MOST:
        raise Refused(column, f"højst {_MOST} navne")
    return names
