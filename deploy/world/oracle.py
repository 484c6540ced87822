"""Counts night doors in a recording in the plainest way, to hold the rules to.

It imports nothing of the gateway and reads the file itself, so that it can agree with the rules
only by being right.
"""

import csv
import gzip
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

NIGHT_BEGINS = 23
NIGHT_ENDS = 6
"""Hours of local time: a night is [23:00, 06:00) and belongs to the evening it begins in."""


def night_doors(path: Path, zone: ZoneInfo) -> frozenset[tuple[str, date]]:
    """The (home, evening) pairs with at least one row of kind `door` in the night."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as lines:
        doors = [
            (row["home_id"], _local(row["timestamp"], zone))
            for row in csv.DictReader(lines)
            if row["kind"] == "door"
        ]
    return frozenset((home, evening(at)) for home, at in doors if is_night(at))


def _local(text: str, zone: ZoneInfo) -> datetime:
    """A time without an offset is local as it stands."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is None else at.astimezone(zone)


def is_night(at: datetime) -> bool:
    return at.hour >= NIGHT_BEGINS or at.hour < NIGHT_ENDS


def evening(at: datetime) -> date:
    """The local date on which the night of a local time began."""
    return at.date() if at.hour >= NIGHT_BEGINS else at.date() - timedelta(days=1)
