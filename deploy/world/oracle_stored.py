"""Counts in the plainest way which obligations are stored, once and as they were.

It knows the record that the boxes write and the rows of the database, and nothing of the code
that lies between: no adapter, no box, no gateway.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KINDS: Mapping[str, int] = {
    "motion": 1,
    "door": 2,
    "call_pressed": 7,
    "battery": 9,
    "temperature": 11,
    "humidity": 13,
    "dose_due": 20,
    "dose_dispensed": 21,
    "dose_taken": 22,
    "tray_open": 33,
    "doses_left": 41,
}
"""The stored numbers of what devices mean, written down once more from the catalogue."""

COUNTED_BACK = (1, 2, 4)
"""The stored qualities of times that were counted back by uptime or not believed."""

Row = tuple[str, int, int | None, float | None, int | None]
"""Address, kind, occurred in milliseconds or None if it was counted back, value, code."""

Place = tuple[str, int]
"""Stream and sequence: the name of a frame for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """One frame that a spool has said it keeps."""

    edge: str
    lane: str
    place: Place
    sha: str
    device: str
    at: int | None
    meant: tuple[tuple[str, float | None, int | None], ...]
    record: tuple[int, int] | None = None

    @property
    def occurred(self) -> int | None:
        """When it happened: by the device's own clock if it has one, else when it was heard."""
        return self.at if self.record is None else self.record[1] * 1000

    def rows(self) -> list[Row]:
        """What must be stored of it."""
        return [
            (self.device, KINDS[word], self.occurred, rounded(value), code)
            for word, value, code in self.meant
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the database holds. Ranges have both ends included."""

    received: Mapping[str, Sequence[tuple[int, int]]]
    gone: Mapping[str, Sequence[tuple[int, int]]]
    rows: Counter[Row]
    payloads: Sequence[bytes]


@dataclass(slots=True, kw_only=True)
class Count:
    """What came of the obligations: `lost` and `changed` with the reason, by place."""

    sent: int = 0
    stored: int = 0
    lost: dict[Place, str] = field(default_factory=dict[Place, str])
    given_up: int = 0
    surplus: Counter[Row] = field(default_factory=Counter[Row])


def rounded(value: float | None) -> float | None:
    """A value as it is compared: sensors tell hundredths."""
    return None if value is None else round(value, 6)


def fingerprint(frame: Mapping[str, Any]) -> str:
    """The hash of a frame's fields, whatever their order and spacing."""
    text = json.dumps(frame, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_obligations(path: Path, edge: str) -> list[Obligation]:
    """What the box's record says was kept, in the order of keeping."""
    tries: dict[int, dict[str, Any]] = {}
    found: list[Obligation] = []
    for text in path.read_text().splitlines():
        line = json.loads(text)
        if "try" in line:
            tries[line["try"]] = line
        elif "kept" in line:
            found += _kept(line, tries[line["kept"]], edge)
    return found


def _kept(line: Mapping[str, Any], tried: Mapping[str, Any], edge: str) -> list[Obligation]:
    return [
        Obligation(
            edge=edge,
            lane=tried["lane"],
            place=(line["stream"], sequence),
            sha=frame["sha"],
            device=frame["device"],
            at=frame["at"],
            meant=tuple((word, value, code) for word, value, code in frame["meant"]),
            record=None if frame["record"] is None else (frame["record"][0], frame["record"][1]),
        )
        for sequence, frame in enumerate(tried["frames"], start=line["first"])
    ]


def count(
    obligations: Sequence[Obligation],
    stored: Stored,
    *,
    may_give_up: frozenset[str],
    stepped: frozenset[str],
) -> Count:
    """Hold the obligations against what is stored.

    Lost is a frame whose number the ledger does not have, whose bytes no message holds (or holds
    otherwise), or one of whose rows is missing. Only a box whose card was filled may have given
    up bulk frames, and it must have said so: these are counted apart. Only of a box whose clock was
    `stepped` may a time be another than that of hearing.
    """
    found = Count(sent=len(obligations), stored=stored.rows.total())
    hashes = _hashes(stored.payloads)
    due: list[Obligation] = []
    for one in obligations:
        stream, sequence = one.place
        if one.edge in may_give_up and one.lane == "bulk" and _in(stored.gone, stream, sequence):
            found.given_up += 1
            continue
        due.append(one)
        if not _in(stored.received, stream, sequence):
            found.lost[one.place] = "not in the ledger"
        elif _in(stored.gone, stream, sequence):
            found.lost[one.place] = "in the ledger as gone"
        elif one.place not in hashes:
            found.lost[one.place] = "in the ledger, in no message"
        elif hashes[one.place] != {one.sha}:
            found.lost[one.place] = "in a message with other bytes"
    _count_rows(due, stored, found, stepped)
    return found


def _count_rows(
    due: Iterable[Obligation], stored: Stored, found: Count, stepped: frozenset[str]
) -> None:
    left, records = Counter(stored.rows), set[tuple[str, int, int]]()
    for one in due:
        if one.record is not None:
            record = (one.device, *one.record)
            if record in records:
                continue  # the device gave its record once more: kept once
            records.add(record)
        for row in one.rows():
            address, kind, _, value, code = row
            counted_back: Row = (address, kind, None, value, code)
            if left[row] > 0:
                left[row] -= 1
            elif one.edge in stepped and left[counted_back] > 0:
                left[counted_back] -= 1
            else:
                found.lost.setdefault(one.place, f"no row of kind {kind}")
    found.surplus = +left


def _hashes(payloads: Iterable[bytes]) -> Mapping[Place, set[str]]:
    """The hashes of every frame in the messages as they came, by its place."""
    found: defaultdict[Place, set[str]] = defaultdict(set)
    for payload in payloads:
        batch = json.loads(payload)
        for sequence, frame in enumerate(batch["frames"], start=batch["first"]):
            found[batch["stream"], sequence].add(fingerprint(frame))
    return found


def _in(ranges: Mapping[str, Sequence[tuple[int, int]]], stream: str, sequence: int) -> bool:
    return any(first <= sequence <= last for first, last in ranges.get(stream, ()))
