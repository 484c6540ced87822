"""Reads new frames by the adapters into what one transaction gathers."""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

from adapters.errors import MissingKey, UnknownFormat, UnreadableFrame
from adapters.frame import Frame, encode_frame
from adapters.observation import ClockQuality, Kind, Observation
from adapters.registry import plain, read
from gateway.ingest import dated, said, times, unread
from gateway.ingest.batches import Arrival, SpoiledFrame
from gateway.ingest.dated import Dated
from gateway.ingest.gathered import Doubt, Gathered, Note, Part, Recorded
from gateway.ingest.known import Picture
from gateway.ingest.tried import tried
from gateway.store import copy
from gateway.store.frames import Detail, Record
from gateway.store.known import Device, Edge
from gateway.store.quarantine import AsideFrame, Counted
from gateway.store.ranges import Range

CALLS = frozenset({Kind.BUTTON, Kind.CALL_PRESSED, Kind.CALL_TEST})
"""What raises an alert also from a device that nobody has placed."""

_REASONS: Mapping[type[UnreadableFrame], str] = {
    MissingKey: "missing_key",
    UnknownFormat: "unknown_format",
}


class Reader:
    """Reads the frames of one batch into a harvest."""

    def __init__(
        self,
        harvest: Gathered,
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

    def frames(self, part: Range, picture: Picture) -> Part:
        """Read the frames of one range of sequence numbers."""
        about, arrival = Part(), self._arrival
        municipality, start = self._edge.municipality, arrival.batch.first
        for sequence in range(part[0], part[1] + 1):
            frame = arrival.frames[sequence - start]
            if isinstance(frame, SpoiledFrame):
                self._aside(sequence, "", "not_a_frame", frame.detail, frame.payload)
            elif (device := picture.devices.get((municipality, frame.device))) is None:
                self._unknown(sequence, frame)
            else:
                if device.trials:
                    self._tried(frame, device)
                if not self._plain(frame, device, about):
                    self._frame(sequence, frame, device, about)
        return about

    def _tried(self, frame: Frame, device: Device) -> None:
        self._harvest.tried += tried(
            *(frame, device, self._edge),
            at=times.heard(frame, self._arrival.batch, self._now_ms, driven=self._driven),
            now_ms=self._now_ms,
        )

    def _plain(self, frame: Frame, device: Device, about: Part) -> bool:
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

    def _frame(self, sequence: int, frame: Frame, device: Device, about: Part) -> None:
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
        about: Part,
    ) -> None:
        heard = times.heard(frame, self._arrival.batch, self._now_ms, driven=self._driven)
        if frame.heard == "characteristic" and frame.uuid in dated.NOTES:
            self._note(frame, device, observations, heard)
            about.at(heard[0])
            if (whose := device.citizen(heard[0])) is not None:
                about.citizens.add(whose)
            return
        homeless: AsideFrame | None = None
        if any(observation.kind in CALLS for observation in observations):
            homeless = self._homeless(sequence, frame, observations)
        for observation in observations:
            own = self._own(frame, observation)
            when, told = heard, observation.occurred if own is None else own.at
            if told is not None:
                when = times.told(told, heard, self._now_ms, driven=self._driven)
            self._keep(frame, device, observation, when, own)
            about.at(when[0])
            whose = device.citizen(when[0])
            if homeless is None and whose is not None:
                about.citizens.add(whose)
                continue
            self._harvest.doubts.append(
                Doubt(
                    edge=self._edge,
                    device=device.id,
                    occurred=times.moment(when[0]),
                    about=about,
                    homeless=homeless if observation.kind in CALLS else None,
                )
            )

    def _keep(
        self,
        frame: Frame,
        device: Device,
        observation: Observation,
        when: tuple[int, ClockQuality],
        own: Dated | None,
    ) -> None:
        into = Recorded(frame, self._harvest.rows, self._harvest.details)
        if (record := self._record(frame, device, observation, own)) is not None:
            into = self._harvest.records.setdefault(record, Recorded(frame))
        if into.frame is frame:
            self._write(device, (observation,), into, when, own and own.flag)

    def _own(self, frame: Frame, observation: Observation) -> Dated | None:
        """The time that the device itself showed, where it has a clock without a zone."""
        if frame.heard != "characteristic" or observation.occurred is not None:
            return None
        return dated.dated(observation.details, self._edge.zone)

    def _record(
        self, frame: Frame, device: Device, observation: Observation, own: Dated | None
    ) -> Record | None:
        """What makes it a record that is kept once; None where nothing tells it from another.

        Without a number it is known by its bytes, in which time and user stand.
        """
        number, time = observation.record, observation.occurred
        if own is not None:
            time = own.shown
            if number is None:
                number = dated.checksum(frame.uuid or "", frame.value)
            elif time is not None:
                self._harvest.shown[self._edge.municipality, device.id, number] = time
        if number is None or time is None:
            return None
        return (self._edge.municipality, device.id, number, times.moment(time))

    def _note(
        self,
        frame: Frame,
        device: Device,
        observations: Sequence[Observation],
        heard: tuple[int, ClockQuality],
    ) -> None:
        numbers = (one.record for one in observations if one.record is not None)
        of = (self._edge.municipality, device.id, next(numbers, 0))
        self._harvest.notes.append(
            Note(
                of=of,
                shown=self._harvest.shown.get(of),
                name=dated.checksum(frame.uuid or "", frame.value),
                frame=frame,
                zone=self._edge.zone,
                heard=heard,
                write=partial(self._write, device, observations),
            )
        )

    def _write(
        self,
        device: Device,
        observations: Sequence[Observation],
        into: Recorded,
        when: tuple[int, ClockQuality],
        flag: str | None,
    ) -> None:
        tail = copy.occurred(*when) + self._end
        for observation in observations:
            into.rows.append(device.head + _reading(observation) + tail)
            details = dict(observation.details)
            if observation.code is not None and unread.small(observation.code) is None:
                details["code"] = str(observation.code)
            if flag is not None:
                details[dated.FLAG] = flag
            into.details += [
                self._detail(device, observation.kind, when[0], name, value)
                for name, value in details.items()
            ]

    def _detail(self, device: Device, kind: Kind, at: int, name: str, value: str) -> Detail:
        occurred = times.moment(at)
        return (device.id, kind, occurred, self._number, name, value.replace("\0", "�"))

    def _unknown(self, sequence: int, frame: Frame) -> None:
        """The box itself; else not ours, or not yet: nothing of it is recorded."""
        if said.is_of(frame, self._edge):
            self._event(sequence, frame)
            return
        municipality, topic = self._edge.municipality, self._arrival.topic
        self._harvest.counted[
            Counted(municipality, topic, frame.device[:64], "unknown_device")
        ] += 1

    def _event(self, sequence: int, frame: Frame) -> None:
        arrival = self._arrival
        try:
            event = said.box_event(
                *(frame, arrival.batch, self._edge),
                topic=arrival.topic,
                now_ms=self._now_ms,
                driven=self._driven,
            )
        except said.BadEvent as bad:
            self._aside_frame(sequence, frame, "bad_event", str(bad))
        else:
            self._harvest.events.append(event)

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
