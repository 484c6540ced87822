"""The rows of one transaction while they are collected: what frames said, and what is in doubt."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from adapters.frame import Frame
from adapters.observation import ClockQuality
from gateway.ingest.batches import Arrival
from gateway.store.events import BoxEvent
from gateway.store.frames import Detail, Message, Numbered, Record, UnplacedCall
from gateway.store.known import Edge
from gateway.store.quarantine import AsideFrame, Counted
from gateway.store.streams import Pending
from gateway.store.walk_heard import Tried


@dataclass(slots=True)
class Recorded:
    """What a record that the device keeps says: rows only if it was not stored before.

    `frame` is the first frame that brought it; the same record in another says nothing new.
    """

    frame: Frame
    rows: list[bytes] = field(default_factory=list[bytes])
    details: list[Detail] = field(default_factory=list[Detail])


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a device noted to one of its records: it has the record's time, wherever that is.

    `shown` is that time if the record came in this transaction before the note.
    """

    of: Numbered
    shown: int | None
    name: int
    """What tells it from other notes to the same record."""
    frame: Frame
    zone: str | None
    heard: tuple[int, ClockQuality]
    write: Callable[[Recorded, tuple[int, ClockQuality], str | None], None]
    """Adds its rows, with this time, and what is wrong with it."""


@dataclass(slots=True)
class Part:
    """What one new range of a stream was about; times in milliseconds since 1970."""

    earliest: int | None = None
    latest: int | None = None
    citizens: set[int] = field(default_factory=set[int])

    def at(self, occurred: int) -> None:
        if self.earliest is None or occurred < self.earliest:
            self.earliest = occurred
        if self.latest is None or occurred > self.latest:
            self.latest = occurred


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Something whose citizen is asked for again before the commit: a call, or nobody's so far.

    `homeless` is how the frame of a call is set aside should the box stand where nobody lives.
    """

    edge: Edge
    device: int
    occurred: datetime
    about: Part
    homeless: AsideFrame | None


class Gathered:
    """What is to be written in one transaction."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.rows: list[bytes] = []
        """Observations as `copy` writes and reads them."""
        self.details: list[Detail] = []
        self.records: dict[Record, Recorded] = {}
        self.shown: dict[Numbered, int] = {}
        """The newest of each number in this transaction: the time its device showed."""
        self.notes: list[Note] = []
        self.aside: list[AsideFrame] = []
        self.counted: Counter[Counted] = Counter()
        self.doubts: list[Doubt] = []
        self.unplaced: set[UnplacedCall] = set()
        self.pending: list[Pending] = []
        self.events: list[BoxEvent] = []
        self.tried: list[Tried] = []
        """What came of devices under a walk test, for its record."""
        self.waiting: list[Arrival] = []
        """Batches of streams with too many holes: they get no receipt."""
