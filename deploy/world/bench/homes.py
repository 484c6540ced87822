"""The homes of a benchmark, by number: their boxes, devices and keys, the same in every process."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from adapters.observation import Kind
from deploy.world.payloads import BUTTON, DOOR, MOTION, OPENING
from deploy.world.rhythm import BY_SENSOR, Sensor

ENCRYPTED_EVERY = 10
"""Of so many devices one encrypts what it says."""
PASSWORD = "a benchmark's boxes share one"  # noqa: S105 -- opens a broker that lives for one run
"""Every box's password at the broker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One device of a home: its placement, what it says of itself, and how often of all frames."""

    role: str
    room: str
    kind: Kind
    object: int
    weight: int


_ROOMS: Mapping[Sensor, str] = {
    "kitchen": "Køkken",
    "hall": "Entré",
    "lounge": "Stue",
    "bedroom": "Soveværelse",
    "bathroom": "Badeværelse",
}

SLOTS = (
    *(
        Slot(role="motion", room=room, kind=Kind.MOTION, object=MOTION, weight=BY_SENSOR[sensor])
        for sensor, room in _ROOMS.items()
    ),
    Slot(role="contact", room="Køleskab", kind=Kind.OPENING, object=OPENING, weight=38),
    Slot(role="door", room="Hoveddør", kind=Kind.DOOR, object=DOOR, weight=16),
    Slot(role="door", room="Havedør", kind=Kind.DOOR, object=DOOR, weight=10),
    Slot(role="call", room="Stue", kind=Kind.BUTTON, object=BUTTON, weight=0),
)
"""The sensors of the recorded homes and a call button, which speaks only when it is pressed."""
MOST_HOMES = 1_000_000
"""A benchmark's homes at most: six times those of the country."""
CALL = len(SLOTS) - 1
"""The call button's slot."""


def edge_name(home: int) -> str:
    """The box of a home."""
    return f"bench-{home:06x}"


def address(home: int, slot: int) -> str:
    """A device's random static address: it tells home and slot."""
    octets = bytes([0xC0 | slot, 0xBE]) + home.to_bytes(4)
    return ":".join(f"{octet:02X}" for octet in octets)


def is_encrypted(home: int, slot: int) -> bool:
    """Whether the device encrypts."""
    return (home + slot) % ENCRYPTED_EVERY == 0


def key(home: int, slot: int) -> bytes:
    """The device's key: 16 bytes (bthome.io/encryption)."""
    return hashlib.sha256(f"key of {address(home, slot)}".encode()).digest()[:16]
