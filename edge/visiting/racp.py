"""Stored records as the Record Access Control Point gives them: how far they are here; pure.

Source: Bluetooth SIG, GATT Specification Supplement, Record Access Control Point; Glucose Profile
and Pulse Oximeter Profile, which use it.
"""

import json
import struct
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b

from edge.told.config import Racp
from edge.visiting.records import END, Download, Record

ABORT = b"\x03\x00"
"""The command that ends a download which has fallen silent."""
MOST = 2_000
"""Records without numbers that are news in one visit; the rest is news at the next ones."""

_REPORT, _ANSWER = 1, 6
_ALL, _AT_LEAST, _BY_NUMBER = 1, 3, 1
_SUCCESS, _NO_RECORDS = 1, 6
_NOT_SO = frozenset({3, 4, 5, 9})
"""Codes for an operator or operand that the device does not take: then all are asked for."""
_WRAPS = 0xFF00
"""From here on the numbers may soon begin again at 0, so that "from the last on" is not enough."""
_REMEMBERED = 10_000
"""Checksums that are remembered of a device whose records have no numbers: some 200 kB."""


class DownloadFailed(Exception):
    """The device answered that it cannot; asked again at the next visit."""


def answer(value: bytes) -> int | None:
    """The code with which the device ends a report of its records; None for any other word."""
    if len(value) >= 4 and (value[0], value[2]) == (_ANSWER, _REPORT):  # noqa: PLR2004 - its length
        return value[3]
    return None


@dataclass(slots=True)
class Stored:
    """What is known of a device's records, from a note and from this visit's download.

    With numbers the last record is asked for again, as `records` has it. What belongs to it
    comes again too, and is known by its checksum; so is every record of a device without numbers.
    Of such a device only so many (`MOST`) are taken in a visit. What is `over` is neither kept nor
    remembered, so the next visit, which asks for all again, takes it.
    """

    plan: Racp
    noted: str | None = None
    over: bool = False
    _download: Download = field(init=False)
    _known: dict[str, None] = field(default_factory=dict[str, None])
    _heard: dict[str, None] = field(default_factory=dict[str, None])
    _belonging: dict[int, dict[str, None]] = field(default_factory=dict[int, dict[str, None]])
    _alike: Counter[str] = field(default_factory=Counter[str])
    _taken: int = 0
    _from_last: bool = False

    def __post_init__(self) -> None:
        last, marks = _read(self.noted)
        self._download = Download(last=last)
        self._known = dict.fromkeys(marks)
        if last is not None:
            self._belonging[last.number] = dict.fromkeys(marks)

    def question(self) -> bytes:
        """The command that asks for what is not here yet."""
        last = self._download.last
        self._from_last = last is not None and last.number < _WRAPS
        if last is None or not self._from_last:
            self._download = self._download.anew()
            return bytes((_REPORT, _ALL))
        return struct.pack("<BBBH", _REPORT, _AT_LEAST, _BY_NUMBER, last.number)

    def take(self, uuid: str, value: bytes) -> bool:
        """Whether a notified value is news, so that its frame is to be kept."""
        number = self._number(value)
        if number is not None and self.plan.number and uuid == self.plan.number.record:
            return self._download.take(number, value)
        mark = _checksum(uuid, value)
        if number is None:
            return self._take_without_number(self._again(mark))
        marks = self._belonging.setdefault(number, {})
        if mark in marks:
            return False
        marks[mark] = None
        return True

    def ended(self, code: int) -> bool:
        """Whether another question is to be asked. Raises DownloadFailed."""
        if code in _NOT_SO and self._from_last:
            return self._ask_for_all()
        if code not in (_SUCCESS, _NO_RECORDS):
            raise DownloadFailed(f"the device ended the download with code {code}")
        if self.plan.number is None:
            if not self.over:
                self._known = self._heard
            return False
        self._download.take(END, b"")
        return self._download.began_again and self._ask_for_all()

    def note(self) -> str:
        """What is to be remembered, once all frames that were news are on disk."""
        last = self._download.last
        marks = [*self._known] if self.plan.number is None else []
        if last is not None:
            marks = [*self._belonging.get(last.number, ())]
        said = {"last": None if last is None else last.note(), "known": marks[-_REMEMBERED:]}
        return json.dumps(said, separators=(",", ":"))

    def _ask_for_all(self) -> bool:
        self._download = self._download.anew()
        return True

    def _take_without_number(self, mark: str) -> bool:
        self._heard[mark] = None
        if mark in self._known:
            return False
        if self._taken == MOST:
            self.over = True
            return False
        self._known[mark] = None
        self._taken += 1
        return True

    def _again(self, mark: str) -> str:
        """The mark's name in this download: without a clock, two records may be alike in all."""
        place = self._alike[mark]
        self._alike[mark] += 1
        return f"{mark} {place}" if place else mark

    def _number(self, value: bytes) -> int | None:
        if self.plan.number is None:
            return None
        at = self.plan.number.offset
        raw = value[at : at + 2]
        return int.from_bytes(raw, "little") if len(raw) == 2 else None  # noqa: PLR2004 - 16 bits


def _read(text: str | None) -> tuple[Record | None, list[str]]:
    """From what `note` wrote; what cannot be read asks for everything."""
    try:
        said = json.loads(text or "{}")
        return Record.noted(said.get("last")), [str(mark) for mark in said.get("known", ())]
    except (ValueError, AttributeError, TypeError):
        return None, []


def _checksum(uuid: str, value: bytes) -> str:
    return blake2b(uuid.encode() + b"\0" + value, digest_size=8).hexdigest()
