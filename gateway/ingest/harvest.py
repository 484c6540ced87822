"""Reads new frames by the adapters and collects the rows of one transaction; no database here."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

from adapters.errors import MissingKey, UnknownFormat, UnreadableFrame
from adapters.frame import Frame, encode_frame
from adapters.observation import ClockQuality, Kind, Observation
from adapters.registry import plain, read
from gateway.ingest import times, unread
from gateway.ingest.batches import Arrival, SpoiledFrame
from gateway.ingest.known import Picture
from gateway.store import copy
from gateway.store.frames import Detail, Message, Record, UnplacedCall
from gateway.store.known import Device, Edge, Stay, citizen
from gateway.store.quarantine import AsideFrame, Counted
from gateway.store.ranges import Range, add, holes, minus
from gateway.store.streams import Pending, Stream

MOST_HOLES = 1_000
"""Gaps in one stream, as far as a row of the ledger stays small; beyond, new batches wait."""

CALLS = frozenset({Kind.BUTTON, Kind.CALL_PRESSED, Kind.CALL_TEST})
"""What raises an alert also from a device that nobody has placed."""

_REASONS: Mapping[type[UnreadableFrame], str] = {
    MissingKey: "missing_key",
    UnknownFormat: "unknown_format",
}


@dataclass(slots=True)
class _Recorded:
    """What a record that the device keeps says: rows only if it was not stored before.

    `frame` is the first frame that brought it; the same record in another says nothing new.
    """

    frame: Frame
    rows: list[bytes] = field(default_factory=list[bytes])
    details: list[Detail] = field(default_factory=list[Detail])


@dataclass(slots=True)
class _Part:
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
class _Doubt:
    """Something whose citizen is asked for again before the commit: a call, or nobody's so far.

    `homeless` is how the frame of a call is set aside should the box stand where nobody lives.
    """

    edge: Edge
    device: int
    occurred: datetime
    about: _Part
    homeless: AsideFrame | None


class Harvest:
    """What one transaction stores of some batches, worked out under the lock of their streams."""

    def __init__(self, picture: Picture, now_ms: int, *, driven: bool) -> None:
        self.messages: list[Message] = []
        self.rows: list[bytes] = []
        """Observations as `copy` writes and reads them."""
        self.details: list[Detail] = []
        self.records: dict[Record, _Recorded] = {}
        self.aside: list[AsideFrame] = []
        self.counted: Counter[Counted] = Counter()
        self.doubts: list[_Doubt] = []
        self.unplaced: set[UnplacedCall] = set()
        self.pending: list[Pending] = []
        self.waiting: list[Arrival] = []
        """Batches of streams with too many holes: they get no receipt."""
        self._picture = picture
        self._now_ms = now_ms
        self._now = times.moment(now_ms)
        self._driven = driven

    def take(self, arrival: Arrival, edge: Edge, stream: Stream, number: int) -> None:
        """Take in what is new of a batch, and its numbers into the ledger's row.

        `number` is the batch's own; the stream's row is locked by this transaction.
        """
        first, last = arrival.batch.first, arrival.last
        received = list(stream.received)
        new = minus((first, last), received) if first <= last else []
        gone = self._gone(arrival, received)
        for part in [*new, *gone]:
            add(received, part)
        if holes(received) > max(MOST_HOLES, holes(stream.received)):
            self.waiting.append(arrival)
            return
        if not new and not gone:
            return
        stream.received = received
        for part in gone:
            add(stream.gone, part)
        self.messages.append((self._now, stream.id, number, arrival.payload))
        worker = _Reader(self, arrival, edge, number, self._now_ms, driven=self._driven)
        for part in new:
            self._pending(stream, part, number, worker.frames(part, self._picture))
        for part in gone:
            self._pending(stream, part, number, _Part())

    def settle(self, new: Iterable[Record]) -> None:
        """Keep the observations of those records that were not stored before."""
        for record in new:
            self.rows += self.records[record].rows
            self.details += self.records[record].details

    def place(self, stays: Mapping[int, Sequence[Stay]]) -> None:
        """Say whose the doubtful are, by placements that stay as they are until the commit."""
        for doubt in self.doubts:
            if (whose := citizen(stays[doubt.device], doubt.occurred)) is not None:
                doubt.about.citizens.add(whose)
            elif doubt.homeless is not None:
                self._unplaced(doubt, doubt.homeless)

    def _unplaced(self, doubt: _Doubt, homeless: AsideFrame) -> None:
        """A call of a device placed nowhere is for those who live where it was heard."""
        doubt.about.citizens |= doubt.edge.citizens
        for whose in doubt.edge.citizens:
            call = (doubt.edge.municipality, whose, doubt.device, doubt.occurred)
            self.unplaced.add(call)
        if not doubt.edge.citizens:
            same = {(one.stream, one.sequence): one for one in self.aside}
            before = same.get((homeless.stream, homeless.sequence))
            if before is None:
                self.aside.append(homeless)
            elif before.reason != homeless.reason:  # one row a frame, and this is the graver reason
                detail = f"{homeless.detail}; {before.reason}: {before.detail}"
                self.aside.remove(before)
                self.aside.append(replace(homeless, detail=detail))

    @staticmethod
    def _gone(arrival: Arrival, received: Sequence[Range]) -> list[Range]:
        """Numbers that will never come and are not here: a frame that did come stays a frame."""
        known = list(received)
        if arrival.frames:
            add(known, (arrival.batch.first, arrival.last))
        parts: list[Range] = []
        for gone in arrival.batch.gone:
            left = minus((gone.first, gone.last), known)
            for part in left:
                add(known, part)
            parts += left
        return parts

    def _pending(self, stream: Stream, part: Range, number: int, about: _Part) -> None:
        self.pending.append(
            Pending(
                municipality=stream.key.municipality,
                stream=stream.id,
                range=part,
                batch=number,
                earliest=self._now if about.earliest is None else times.moment(about.earliest),
                latest=self._now if about.latest is None else times.moment(about.latest),
                citizens=about.citizens,
            )
        )


class _Reader:
    """Reads the frames of one batch into a harvest."""

    def __init__(
        self,
        harvest: Harvest,
        arrival: Arrival,
        edge: Edge,
        number: int,
        now_ms: int,
        *,
        driven: bool,
    ) -> None:
        self._harvest = harvest
        self._arrival = arrival
        self._edge = edge
        self._number = number
        self._now_ms = now_ms
        self._driven = driven
        self._end = copy.arrived(now_ms, number)
        self._rows = harvest.rows

    def frames(self, part: Range, picture: Picture) -> _Part:
        """Read the frames of one range of sequence numbers."""
        about, arrival = _Part(), self._arrival
        municipality, start = self._edge.municipality, arrival.batch.first
        for sequence in range(part[0], part[1] + 1):
            frame = arrival.frames[sequence - start]
            if isinstance(frame, SpoiledFrame):
                self._aside(sequence, "", "not_a_frame", frame.detail, frame.payload)
            elif (device := picture.devices.get((municipality, frame.device))) is None:
                self._unknown(frame)
            elif not self._plain(frame, device, about):
                self._frame(sequence, frame, device, about)
        return about

    def _plain(self, frame: Frame, device: Device, about: _Part) -> bool:
        """Take a frame of a placed device that says nothing but readings; False for any other.

        That is nearly all that comes, so its rows are made of pieces that are known already.
        """
        if device.key is not None or len(frame.data) != 1 or frame.manufacturer:
            return False
        ((uuid, payload),) = frame.data.items()
        readings = _readings(uuid, payload) if frame.heard == "advertisement" else None
        if not readings:
            return False
        at, clock = times.heard(frame, self._arrival.batch, self._now_ms, driven=self._driven)
        if (whose := device.citizen(at)) is None:
            return False
        tail = copy.occurred(at, clock) + self._end
        for reading in readings:
            self._rows.append(device.head + reading + tail)
        about.at(at)
        about.citizens.add(whose)
        return True

    def _frame(self, sequence: int, frame: Frame, device: Device, about: _Part) -> None:
        try:
            observations = read(frame, key=device.key)
        except UnreadableFrame as unreadable:
            observations = unreadable.partial
            shut = device.shut and isinstance(unreadable, MissingKey)
            reason = "sealed_key" if shut else _REASONS.get(type(unreadable), "unreadable")
            self._aside_frame(sequence, frame, reason, str(unreadable), observations)
        except Exception as fault:  # noqa: BLE001 - a faulty adapter must not stop the lane
            observations = ()
            self._aside_frame(sequence, frame, "adapter_failed", repr(fault))
        if observations:
            self._observations(sequence, frame, device, observations, about)

    def _observations(
        self,
        sequence: int,
        frame: Frame,
        device: Device,
        observations: Sequence[Observation],
        about: _Part,
    ) -> None:
        heard = times.heard(frame, self._arrival.batch, self._now_ms, driven=self._driven)
        homeless: AsideFrame | None = None
        if any(observation.kind in CALLS for observation in observations):
            homeless = self._homeless(sequence, frame, observations)
        for observation in observations:
            at, clock = heard
            if observation.occurred is not None:
                at, clock = times.told(
                    observation.occurred, heard, self._now_ms, driven=self._driven
                )
            self._keep(frame, device, observation, at, clock)
            about.at(at)
            whose = device.citizen(at)
            if homeless is None and whose is not None:
                about.citizens.add(whose)
                continue
            self._harvest.doubts.append(
                _Doubt(
                    edge=self._edge,
                    device=device.id,
                    occurred=times.moment(at),
                    about=about,
                    homeless=homeless if observation.kind in CALLS else None,
                )
            )

    def _keep(
        self,
        frame: Frame,
        device: Device,
        observation: Observation,
        at: int,
        clock: ClockQuality,
    ) -> None:
        rows, details = self._harvest.rows, self._harvest.details
        if observation.record is not None and observation.occurred is not None:
            time = times.moment(observation.occurred)
            record = (self._edge.municipality, device.id, observation.record, time)
            recorded = self._harvest.records.setdefault(record, _Recorded(frame))
            if recorded.frame is not frame:
                return
            rows, details = recorded.rows, recorded.details
        rows.append(device.head + _reading(observation) + copy.occurred(at, clock) + self._end)
        if observation.code is not None and unread.small(observation.code) is None:
            said = str(observation.code)
            details.append(self._detail(device, observation.kind, at, "code", said))
        for name, value in observation.details.items():
            details.append(self._detail(device, observation.kind, at, name, value))

    def _detail(self, device: Device, kind: Kind, at: int, name: str, value: str) -> Detail:
        occurred = times.moment(at)
        return (device.id, kind, occurred, self._number, name, value.replace("\0", "�"))

    def _unknown(self, frame: Frame) -> None:
        """Not ours, or not yet: nothing of it is recorded."""
        municipality, topic = self._edge.municipality, self._arrival.topic
        self._harvest.counted[
            Counted(municipality, topic, frame.device[:64], "unknown_device")
        ] += 1

    def _homeless(self, sequence: int, frame: Frame, observed: Sequence[Observation]) -> AsideFrame:
        detail = f"nobody lives where {self._edge.name} stands, and the device is placed nowhere"
        payload = encode_frame(frame).encode()
        return self._set_aside(
            sequence, frame.device, "call_without_home", detail, payload, observed=observed
        )

    def _aside_frame(
        self,
        sequence: int,
        frame: Frame,
        reason: str,
        detail: str,
        observed: Sequence[Observation] = (),
    ) -> None:
        payload = encode_frame(frame).encode()
        self._aside(sequence, frame.device, reason, detail, payload, observed=observed)

    def _aside(
        self,
        sequence: int,
        device: str,
        reason: str,
        detail: str,
        payload: bytes,
        *,
        observed: Sequence[Observation] = (),
    ) -> None:
        self._harvest.aside.append(
            self._set_aside(sequence, device, reason, detail, payload, observed=observed)
        )

    def _set_aside(
        self,
        sequence: int,
        device: str,
        reason: str,
        detail: str,
        payload: bytes,
        *,
        observed: Sequence[Observation] = (),
    ) -> AsideFrame:
        return unread.aside(
            self._arrival,
            self._edge,
            number=self._number,
            now_ms=self._now_ms,
            sequence=sequence,
            device=device,
            reason=reason,
            detail=detail,
            payload=payload,
            observed=observed,
        )


@lru_cache(maxsize=16_384)
def _readings(uuid: str, payload: bytes) -> tuple[bytes, ...] | None:
    """The rows' parts of service data that says the same whoever sends it.

    None, or nothing, where the frame must be looked at closer: a call, what stands elsewhere than
    in the row, what cannot be read.
    """
    try:
        observations = plain(uuid, payload)
    except Exception:  # noqa: BLE001 - whatever is wrong, the closer look finds it again
        return None
    readings: list[bytes] = []
    for one in observations or ():
        if one.kind in CALLS or one.details or one.occurred is not None or one.record is not None:
            return None
        if one.code is not None and unread.small(one.code) is None:
            return None
        readings.append(copy.reading(one.kind, one.value, one.code, one.quality))
    return tuple(readings)


def _reading(observation: Observation) -> bytes:
    code = unread.small(observation.code)
    return copy.reading(observation.kind, observation.value, code, observation.quality)
