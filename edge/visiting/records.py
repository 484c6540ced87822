"""How far a device's stored records are here, and whether its numbers began again; pure."""

from dataclasses import dataclass, field
from typing import Self

END = 0xFFFFFFFF
"""The record number that says: that was all."""
FIRST = 1
"""The number to ask from when nothing is known of a device."""


@dataclass(frozen=True, slots=True)
class Record:
    """One stored record: its number, and all its bytes."""

    number: int
    value: bytes

    @classmethod
    def noted(cls, text: str | None) -> Self | None:
        """From what `note` wrote; None when there is none to trust."""
        number, _, value = (text or "").partition(" ")
        try:
            return cls(int(number), bytes.fromhex(value)) if int(number) < END else None
        except ValueError:
            return None

    def note(self) -> str:
        return f"{self.number} {self.value.hex()}"


@dataclass(slots=True, kw_only=True)
class Download:
    """One question for a device's records, and what its answer proves.

    The last record kept is asked for once more. If it comes with the same bytes, what follows it
    is new. If the answer ends without it, the device counts anew (it was reset, or is another)
    and has to be asked for everything: `began_again`. `last` is the record to remember. It moves
    on only where nothing can lie between, since a record that is made during a download arrives
    in the middle of it: too old costs records sent twice, too new would lose some.
    """

    last: Record | None = None
    ended: bool = False
    began_again: bool = False
    _sure: bool = field(init=False)
    _known: set[bytes] = field(default_factory=set[bytes])
    _newest: Record | None = None

    def __post_init__(self) -> None:
        self._sure = self.last is None

    @property
    def first(self) -> int:
        """The number to ask from."""
        return FIRST if self.last is None else self.last.number

    def anew(self) -> "Download":
        """The question for everything; what has come since the first one is known already."""
        return Download(_known=self._known)

    def take(self, number: int, value: bytes) -> bool:
        """Whether this record is news, so that its frame is to be kept."""
        if number == END:
            self._end()
            return True
        record = Record(number, value)
        if record == self.last:
            self._sure = True
            return False
        news = value not in self._known
        self._known.add(value)
        self._newest = max(record, self._newest or record, key=lambda each: each.number)
        self._move(record)
        return news

    def _move(self, record: Record) -> None:
        before = 0 if self.last is None else self.last.number
        if self._sure and (self.ended or record.number == before + 1):
            self.last = record

    def _end(self) -> None:
        self.ended = True
        self.began_again = not self._sure
        if self._sure:
            self.last = self._newest or self.last
