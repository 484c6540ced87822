"""From the objects of one BTHome advertisement to its observations; the same for both versions."""

import zlib
from dataclasses import dataclass, field, replace

from adapters.errors import UnreadableFrame
from adapters.observation import Kind, Observation

_EVENTS = frozenset({Kind.BUTTON, Kind.COMMAND, Kind.DIMMER})


@dataclass(slots=True)
class Packet:
    """What was read, in the payload's order, and how far.

    `packet_id` and `counter` (of an encrypted payload) name the packet. `special` says that
    something in `found` needs a second look: an event, or a kind that is there twice. `problem`
    says why reading stopped before the end.
    """

    found: list[Observation] = field(default_factory=list[Observation])
    packet_id: int | None = None
    counter: int | None = None
    special: bool = False
    problem: str | None = None


def observations(packet: Packet, payload: bytes) -> tuple[Observation, ...]:
    """The observations of a packet.

    A second and later value of one kind has its place (2, 3, …) as `code`; several buttons have
    theirs in `details` from the first on, since a button's code is what was done to it. A press's
    `value` is its identity: the packet id, else the encryption counter, else a checksum of the
    payload. A packet that carries nothing but its id is a heartbeat with that id.

    Raises UnreadableFrame with what was read so far where reading stopped before the end.
    """
    found = packet.found
    if not found and packet.packet_id is not None and packet.problem is None:
        found = [Observation(Kind.HEARTBEAT, float(packet.packet_id))]
    elif packet.special:
        found = _told_apart(found, _identity(packet, payload))
    if packet.problem is not None:
        raise UnreadableFrame(packet.problem, partial=tuple(found))
    return tuple(found)


def distrust(packet: Packet) -> None:
    """Turn a plain packet of a device that has a key into an unreadable one.

    Anybody can send those in its name. Presses are kept even then: a call too many is better than
    one too few.
    """
    packet.found = [one for one in packet.found if one.kind is Kind.BUTTON]
    packet.problem = "not encrypted, though the device has a key"


def _identity(packet: Packet, payload: bytes) -> float:
    if packet.packet_id is not None:
        return float(packet.packet_id)
    return float(zlib.crc32(payload) if packet.counter is None else packet.counter)


def _told_apart(found: list[Observation], identity: float) -> list[Observation]:
    kinds = [observation.kind for observation in found]
    seen = dict.fromkeys(kinds, 0)
    told: list[Observation] = []
    for observation in found:
        kind = observation.kind
        seen[kind] += 1
        if kind in _EVENTS:
            place = seen[kind] if kinds.count(kind) > 1 else None
            told += _event(observation, place, identity)
        else:
            place = seen[kind]
            told.append(observation if place == 1 else replace(observation, code=place))
    return told


def _event(observation: Observation, place: int | None, identity: float) -> list[Observation]:
    """The event with its identity and place; nothing where the device says that none happened."""
    kind = observation.kind
    if observation.code == 0 and kind is not Kind.COMMAND:
        return []
    details = dict(observation.details)
    if place is not None:
        details[kind.name.lower()] = str(place)
    value = observation.value if kind is Kind.DIMMER else identity
    return [replace(observation, value=value, details=details)]
