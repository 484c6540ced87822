"""What boxes say of themselves, in Danish for a technician on a phone."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from gateway.reads.edges import Edge, Fault
from gateway.web.pages import ZONE
from gateway.web.words import moment

TROUBLE: Mapping[str, str] = {
    "storage_failed": "hukommelseskortet fejler: skift det",
    "card_full": "hukommelseskortet er fuldt",
}
"""What keeps a box from its duty, by its own word."""

_FAULT: Mapping[Fault, str] = {
    "missing": "der mangler målinger, som boksen bliver bedt om igen",
    "keeps_too_short": "hukommelseskortet er for lille",
    "let_go_early": "et fuldt hukommelseskort har slettet for tidligt",
    "gave_up": "et fuldt hukommelseskort har kostet målinger",
    "deaf": "radioen hører ingenting",
    "second_path": "bruger reserveforbindelsen",
}
_RADIO: Mapping[str, str] = {"off": "radioen er slået fra", "starting": "radioen starter"}
_MODE: Mapping[str, str] = {"passive": "lytter passivt"}
_UNSAID = {"hearing", "silent", "active"}
"""What is as it should be, or a fault, which is said as such."""


def faults(box: Edge, now: datetime, days_to_keep: float) -> list[str]:
    """What somebody should look at, the worst first."""
    return [_fault(box, fault) for fault in box.faults(now, days_to_keep=days_to_keep)]


def fares(box: Edge) -> str:
    """How the box fares otherwise, as far as it says so."""
    said = [
        _RADIO.get(box.reader or "", f"radio: {box.reader}") if _is_told(box.reader) else "",
        _MODE.get(box.mode or "", f"lytter: {box.mode}") if _is_told(box.mode) else "",
        "" if box.room_days is None else room(box.room_days),
    ]
    return _sentence([one for one in said if one])


def room(days: int) -> str:
    """For how long the box can be away without losing anything."""
    return "plads til 1 dag" if days == 1 else f"plads til {days} dage"


def contact(box: Edge, now: datetime) -> str:
    """Since when it is in contact or not."""
    if box.joined is None:
        return "Ikke tilsluttet endnu"
    if box.contact is not None:
        return f"Kontakt siden {moment(box.contact, now, ZONE.key)}"
    if box.lost is not None:
        return f"Ingen kontakt siden {moment(box.lost, now, ZONE.key)}"
    return "Har aldrig haft kontakt"


def _fault(box: Edge, fault: Fault) -> str:
    if fault == "trouble":
        return TROUBLE.get(box.trouble or "", f"boksen melder fejl: {box.trouble}")
    if fault == "config_refused":
        return f"følger ikke den nyeste opsætning, men den forrige: {box.refused}"
    if fault == "little_room":
        return f"kun {room(box.room_days or 0)}"
    return _FAULT[fault]


def _is_told(word: str | None) -> bool:
    return word is not None and word not in _UNSAID


def _sentence(parts: Sequence[str]) -> str:
    text = ", ".join(parts)
    return text[:1].upper() + text[1:]
