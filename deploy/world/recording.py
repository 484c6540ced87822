"""Reads recorded homes from a tidy CSV file, as DATA.md beside the recordings describes it."""

import csv
import gzip
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

COLUMNS = ("timestamp", "home_id", "sensor_id", "kind", "value")
"""The columns that are needed; `unit` and `label` may stand beside them and are not read."""

CARRIED = ("motion", "door", "contact", "body_temperature", "skin_temperature")
"""Kinds for which there is a device whose frames an adapter reads."""
NOT_YET = ("bp_systolic", "bp_diastolic", "heart_rate", "body_weight", "muscle_mass", "body_water")
"""Kinds that cuffs and scales keep until they are asked (`vitals`): counted, not replayed."""

_MILLISECONDS = 1000


class BadRecording(Exception):
    """The file cannot be replayed; the text is one sentence that says where and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One row: what one sensor of one home said. `at` is milliseconds since 1970."""

    at: int
    home: str
    sensor: str
    kind: str
    value: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The rows that can be replayed, in time order, and how many of which kind cannot yet."""

    events: tuple[Event, ...]
    skipped: dict[str, int]

    @property
    def homes(self) -> tuple[str, ...]:
        """The homes by name, in a fixed order."""
        return tuple(sorted({event.home for event in self.events}))

    @property
    def sensors(self) -> tuple[tuple[str, str, str], ...]:
        """Each (home, sensor, kind) that says something, in a fixed order."""
        return tuple(sorted({(event.home, event.sensor, event.kind) for event in self.events}))


def read_recording(path: Path, *, zone: ZoneInfo) -> Recording:
    """The whole file; a time without an offset is local time in `zone`. Raises BadRecording.

    A local time that comes twice in autumn is taken as the first.
    """
    events: list[Event] = []
    skipped: dict[str, int] = {}
    try:
        with _opened(path) as lines:
            for event in _rows(path, csv.reader(lines), zone):
                if event.kind in CARRIED:
                    events.append(event)
                else:
                    skipped[event.kind] = skipped.get(event.kind, 0) + 1
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as problem:
        raise BadRecording(f"{path} cannot be read: {problem}.") from problem
    if not events:
        raise BadRecording(f"{path} has no row that can be replayed.")
    events.sort(key=lambda event: event.at)
    return Recording(events=tuple(events), skipped=dict(sorted(skipped.items())))


@contextmanager
def _opened(path: Path) -> Generator[TextIO]:
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
            yield lines
    else:
        with path.open(encoding="utf-8", newline="") as lines:
            yield lines


def _rows(path: Path, rows: Iterator[list[str]], zone: ZoneInfo) -> Iterator[Event]:
    header = next(rows, list[str]())
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise BadRecording(f"{path} has no column {', '.join(missing)} in its first line.")
    places = [header.index(name) for name in COLUMNS]
    for number, row in enumerate(rows, start=2):
        if row:
            try:
                yield _event([row[place] for place in places], zone)
            except (ValueError, InvalidOperation, IndexError) as problem:
                said = "too few fields" if isinstance(problem, IndexError) else problem
                raise BadRecording(f"{path}, line {number}: {said}.") from problem


def _event(fields: list[str], zone: ZoneInfo) -> Event:
    timestamp, home, sensor, kind, value = fields
    if kind not in CARRIED and kind not in NOT_YET:
        raise ValueError(f"the kind {kind!r} is not known")
    if not home or not sensor:
        raise ValueError("home_id or sensor_id is empty")
    return Event(
        at=_milliseconds(timestamp, zone), home=home, sensor=sensor, kind=kind, value=_number(value)
    )


def _milliseconds(text: str, zone: ZoneInfo) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as problem:
        raise ValueError(f"{text!r} is not a time as 2019-04-01T00:05:46") from problem
    if at.tzinfo is None:
        at = at.replace(tzinfo=zone)
    return round(at.astimezone(UTC).timestamp() * _MILLISECONDS)


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation as problem:
        raise ValueError(f"the value {text!r} is not a number") from problem
    if not number.is_finite():
        raise ValueError(f"the value {text!r} is not a number")
    return number
