"""When a device with a clock of its own says that something was, and what makes a record one; pure.

A health device shows local time, without a zone: it is turned into a moment by the zone of the
home where it was heard. In the hour that comes twice in autumn the first is meant, which is never
later than the truth; a time that spring leaves out is one of a clock not yet put forward, so it
counts by the offset before the change. A clock that was never set says nothing: the time of
hearing counts, and the flag says so.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from adapters import glucose
from gateway.home import zone_info
from gateway.ingest import times

SHOWN, FLAG = "timestamp", "clock"
"""Names of details: the time as the device showed it, and what is wrong with its clock."""
NOT_SET, INVALID, NO_RECORD = "not_set", "invalid", "record_not_here"
NOTES = frozenset({glucose.CONTEXT})
"""Characteristics that note something to the record of the same number: they have no time."""
OTHERWISE = ZoneInfo("Europe/Copenhagen")
"""The zone of a box that stands in no home, or whose home names a zone that there is not."""

_NO_NUMBER = 1 << 62
"""From here on the numbers in `device_record` are checksums, of records that have no number."""
_UNSET = "0000"
_NO_YEAR = 2100


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """What the device's clock showed.

    `shown` is that in milliseconds as if it were UTC: it names a record whatever zone the home
    has. `at` is the moment. Both are None when there is none to believe; `flag` says why.
    """

    shown: int | None = None
    at: int | None = None
    flag: str | None = None


def dated(details: Mapping[str, str], zone: str | None) -> Dated | None:
    """The time of an observation's own; None where the device has no clock at all."""
    text = details.get(SHOWN)
    if text is None:
        return None
    if details.get(FLAG) == NOT_SET or text.startswith(_UNSET):
        return Dated(flag=NOT_SET)
    try:
        said = datetime.fromisoformat(text)
    except ValueError:
        return Dated(flag=NOT_SET if "-00" in text else INVALID)
    if said.year >= _NO_YEAR:
        return Dated(flag=INVALID)
    if said.tzinfo is not None:
        shown = at = times.milliseconds(said)
    else:
        shown = times.milliseconds(said.replace(tzinfo=UTC))
        at = moment(shown, zone)
    return Dated(flag=NOT_SET) if shown < times.EARLIEST else Dated(shown=shown, at=at)


def moment(shown: int, zone: str | None) -> int:
    """The moment of a local time, both in milliseconds; `shown` as if it were UTC."""
    local = times.moment(shown).replace(tzinfo=_zone(zone), fold=0)
    return times.milliseconds(local)


def checksum(uuid: str, value: bytes) -> int:
    """In the place of a record's number: time, user and values are all in the bytes."""
    digest = hashlib.blake2b(uuid.encode() + b"\0" + value, digest_size=8).digest()
    return _NO_NUMBER | int.from_bytes(digest) >> 2


def _zone(zone: str | None) -> ZoneInfo:
    try:
        return OTHERWISE if zone is None else zone_info(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return OTHERWISE
