"""What a device's own clock shows, and how it is set: local time, without a zone; pure.

Source: Bluetooth SIG, GATT Specification Supplement: Date Time (0x2A08), Current Time (0x2A2B).
"""

import struct
from datetime import datetime
from zoneinfo import ZoneInfo

from edge.told.config import ClockForm

TOLERATED = 30.0
"""Seconds that a device may differ. A usual crystal drifts 1.7 s a day; measurements of people
are told apart by minutes, and each setting wears the device's memory."""

_DATE_TIME = 7


def local(now: datetime, zone: str) -> datetime:
    """The aware time `now` as clocks on the wall show it there. Raises what ZoneInfo raises."""
    return now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def ahead(shown: bytes, now: datetime) -> float | None:
    """By how many seconds the device's clock is ahead of the local time; None if it shows none.

    Both forms begin with the seven bytes of Date Time. A clock that was never set has a zero in
    them, or a date that there is not.
    """
    if len(shown) < _DATE_TIME:
        return None
    try:
        at = datetime(*struct.unpack_from("<H5B", shown))  # noqa: DTZ001 - a wall clock has no zone
    except ValueError:
        return None
    return (at - now).total_seconds()


def written(form: ClockForm, now: datetime) -> bytes:
    """The local time as the device takes it.

    Current Time has the day of the week (Monday is 1), 256ths of a second and a reason; the
    reason 0 claims nothing of how the time is known.
    """
    date = struct.pack("<H5B", now.year, now.month, now.day, now.hour, now.minute, now.second)
    if form == "date_time":
        return date
    return date + bytes((now.isoweekday(), now.microsecond * 256 // 1_000_000, 0))
