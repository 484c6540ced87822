"""What reading again found that is not stored yet, and what is to be said of the row; pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from adapters.registry import VERSION
from gateway.ingest import unread
from gateway.ingest.batches import Arrival, Rejected
from gateway.ingest.harvest import Harvest
from gateway.store.copy import ObservationRow, decoded
from gateway.store.events import BoxEvent
from gateway.store.frames import Detail, Message
from gateway.store.quarantine import AsideFrame
from gateway.store.reread import Aside, Outcome
from gateway.store.streams import Pending

_CALL = "call_without_home"
_CUT = "too_large"


@dataclass(slots=True)
class Find:
    """What one row adds to the store."""

    outcome: Outcome
    rows: list[ObservationRow] = field(default_factory=list[ObservationRow])
    details: list[Detail] = field(default_factory=list[Detail])
    messages: list[Message] = field(default_factory=list[Message])
    aside: list[AsideFrame] = field(default_factory=list[AsideFrame])
    pending: list[Pending] = field(default_factory=list[Pending])
    events: list[BoxEvent] = field(default_factory=list[BoxEvent])


def found(row: Aside, arrival: Arrival, harvest: Harvest, now: datetime) -> Find:
    """Of a frame only what is missing; of a whole message what the ledger has not.

    `received` is the time of reading again: nobody could have known it before.
    """
    if row.sequence is not None:
        return _of_frame(row, harvest, now)
    if arrival in harvest.waiting:
        return Find(unchanged(row))
    return Find(
        _read(row),
        [_at(decoded(one), now) for one in harvest.rows],
        harvest.details,
        [(now, *message[1:]) for message in harvest.messages],
        harvest.aside,
        harvest.pending,
        harvest.events,
    )


def unchanged(row: Aside) -> Outcome:
    """Looked at, and nothing is different."""
    return still(row, row.reason, row.detail)


def rejected(row: Aside, why: Rejected) -> Outcome:
    """A message that is still none; of one that was cut when it was kept, the first reason counts.

    A frame that makes no message is no frame: its own reason says more.
    """
    if row.sequence is not None or row.reason == _CUT:
        return unchanged(row)
    return still(row, why.reason, why.detail)


def still(row: Aside, reason: str, detail: str) -> Outcome:
    """Still not to be read, for this reason."""
    return Outcome(
        id=row.id, read=False, reason=reason, detail=detail, reader=VERSION, kept=row.kept
    )


def _of_frame(row: Aside, harvest: Harvest, now: datetime) -> Find:
    said = [decoded(one) for one in harvest.rows]
    places = unread.without([(one[1], one[6], one[5]) for one in said], row.kept)
    rows = [_at(said[place], now) for place in places]
    kinds = {one[1] for one in rows}
    details = [one for one in harvest.details if one[1] in kinds]
    kept = (*row.kept, *((one[1], one[6], one[5]) for one in rows))
    if harvest.aside:
        worst = harvest.aside[-1]
        outcome = Outcome(
            id=row.id,
            read=False,
            reason=worst.reason,
            detail=worst.detail,
            reader=VERSION,
            kept=kept,
        )
    elif harvest.counted:  # no device of ours any more
        outcome = unchanged(row)
    else:
        outcome = _read(row, kept)
    # a call is judged again when it has found a home, though all of it was stored
    told = rows or (row.reason == _CALL and outcome.read)
    pending = harvest.pending if told else []
    return Find(outcome, rows, details, pending=pending, events=harvest.events)


def _read(row: Aside, kept: Sequence[tuple[int, int | None, float | None]] = ()) -> Outcome:
    return Outcome(
        id=row.id, read=True, reason=row.reason, detail=row.detail, reader=VERSION, kept=kept
    )


def _at(row: ObservationRow, now: datetime) -> ObservationRow:
    return (*row[:3], now, *row[4:])
