"""The Danish of the screens that the alerts' own table does not hold."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, get_args

from gateway.alerts.alert import (
    IllegalMove,
    Kind,
    Move,
    OutcomeMissing,
    RefusedMove,
    State,
    TextMissing,
)
from gateway.home import clock_time, day_name, local_day
from gateway.store.moves import AlreadyTaken, VersionPassed
from gateway.store.rights import Role
from gateway.store.sessions import How

Level = Literal["alarm", "advarsel"]

LEVEL: Mapping[Kind, Level] = {
    "call_pressed": "alarm",
    "unknown_device": "alarm",
    "dose_missed": "advarsel",
    "night_door": "advarsel",
    "box_silent": "advarsel",
}
"""Three levels, never mixed: somebody calls (alarm), something must be looked at (advarsel).

The third, besked, is for what only needs to be known; no alert is one.
"""

BY_LEVEL: Sequence[Sequence[Kind]] = tuple(
    tuple(kind for kind, its in LEVEL.items() if its == level) for level in get_args(Level)
)
"""The kinds of each level: who calls stands above what only warns."""

GROUP: Mapping[State, str] = {
    "new": "Nye",
    "taken": "Taget",
    "on_the_way": "På vej",
    "with_citizen": "Hos borgeren",
}
"""The headings of the board, in its order."""

MADE: Mapping[Move, str] = {
    "take": "Taget",
    "set_out": "På vej",
    "arrive": "Hos borgeren",
    "close": "Afsluttet",
    "reopen": "Genåbnet",
    "hand_over": "Givet videre",
}
"""Moves that have been made."""

FOUND: Mapping[str, str] = {"holds": "gælder", "unknown": "det vides ikke", "ended": "ophørt"}
"""What became of a finding."""

WRONG_LOGIN = "Brugernavn, adgangskode og engangskode passer ikke sammen."
UNSAVED = "Du var logget ud. Det, du lige sendte, er ikke gemt: log ind, og gør det igen."
ROLE: Mapping[Role, str] = {
    "staff": "plejepersonale",
    "planner": "planlægger",
    "technician": "tekniker",
    "clinical_owner": "fagligt ansvarlig",
    "leader": "leder",
    "auditor": "revisor",
    "administrator": "administrator",
    "robot": "program",
}
HOW: Mapping[How, str] = {
    "password": "med adgangskode",
    "provider": "med kommunens login",
}
"""How a session was begun."""
PROVIDER_REFUSED = (
    "Kommunens login lukkede dig ikke ind. Prøv igen; "
    "sker det igen, har du måske ikke en rolle her."
)
NOT_HERE = "Alarmen findes ikke længere her."


def refusal(refused: RefusedMove) -> str:
    """Why the move was not made, for who pressed the button."""
    match refused:
        case AlreadyTaken():
            return f"{refused.name} har allerede taget alarmen."
        case VersionPassed():
            return "Der er kommet nyt, siden du så alarmen. Se den igen, før du afslutter."
        case OutcomeMissing():
            return "Vælg et udfald."
        case TextMissing():
            return "Skriv en tekst, når udfaldet er »Andet«."
        case IllegalMove():
            return "Det kan ikke lade sig gøre: alarmen har skiftet status."
        case _:
            return "Det kunne ikke lade sig gøre."


def wait(seconds: int) -> str:
    """To who has tried to sign in too often."""
    return f"For mange forsøg. Vent {max(1, round(seconds / 60))} min, og prøv igen."


def ago(since: datetime, now: datetime) -> str:
    """Return "lige nu", "for 3 min siden", "for 2 t 5 min siden" or "for 4 dage siden"."""
    minutes = (now - since) // timedelta(minutes=1)
    if minutes < 1:
        return "lige nu"
    if minutes < 60:  # noqa: PLR2004 - an hour
        return f"for {minutes} min siden"
    hours, left = divmod(minutes, 60)
    if hours < 24:  # noqa: PLR2004 - a day
        return f"for {hours} t {left} min siden" if left else f"for {hours} t siden"
    days = hours // 24
    return f"for {days} dage siden" if days > 1 else "for 1 dag siden"


def moment(at: datetime, now: datetime, zone: str) -> str:
    """Return "kl. 22:14", with "i går" or the day before it when it was not today."""
    day, today = local_day(at, zone), local_day(now, zone)
    time = clock_time(at, zone)
    if day == today:
        return time
    return f"i går {time}" if today - day == timedelta(days=1) else f"{day_name(day)} {time}"
