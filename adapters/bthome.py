"""BTHome version 2: sensors and buttons of many makers, heard as service data 0xFCD2.

The format is open: https://bthome.io/format and https://bthome.io/encryption. The first byte says
version, encryption, whether an address follows and whether the device speaks only when triggered
(which changes nothing here); then come objects, each an id and as many bytes as the id's table row
says. The format wants ids in rising order so that an old reader can stop at the first id it does
not know: what stood before it is read, and the frame is set aside besides.
"""

from typing import Final

from adapters.bthome_cipher import address_bytes, opened
from adapters.bthome_objects import EVENT_FORMS, FIELDS, PACKET_ID, Field, observe
from adapters.bthome_packet import Packet, distrust, observations
from adapters.errors import UnknownFormat, UnreadableFrame
from adapters.frame import Frame
from adapters.observation import Observation

NAME: Final = "bthome"
SERVICE: Final = "fcd2"

_VERSION = 2
_ENCRYPTED = 0b001
_ADDRESS = 0b010
_ADDRESS_LENGTH = 6
_NONCE_SALT = b"\xd2\xfc"
_ARGUMENTS = 0b00011111  # a command's length byte: the other bits are reserved

# id -> (length, bit of the kind, field): plain tuples, read some hundred thousand times a second
_TABLE: list[tuple[int, int, Field] | None] = [None] * 256
for _id, _field in FIELDS.items():
    _TABLE[_id] = (_field.length, _field.bit, _field)
_EVENT_BITS = sum({field.bit for field in FIELDS.values() if field.form in EVENT_FORMS})


def read(payload: bytes, frame: Frame, key: bytes | None = None) -> tuple[Observation, ...]:
    """The observations of one advertisement's service data.

    Raises UnknownFormat for another version, MissingKey for an encrypted payload that the key does
    not open, UnreadableFrame with the part that was read for an unknown object or a short payload,
    and with its presses for a plain payload of a device that has a key.
    """
    packet = packet_of(payload, frame, key)
    if key is not None and packet.counter is None:
        distrust(packet)
    return observations(packet, payload)


def read_plain(payload: bytes) -> tuple[Observation, ...] | None:
    """The observations of service data of a device without a key; None where it is encrypted.

    Raises as `read` does.
    """
    if not payload or payload[0] & _ENCRYPTED or payload[0] >> 5 != _VERSION:
        return None
    start = 1 + _ADDRESS_LENGTH if payload[0] & _ADDRESS else 1
    return observations(parse(payload, start), payload)


def packet_of(payload: bytes, frame: Frame, key: bytes | None = None) -> Packet:
    """The objects of one advertisement's service data, with its packet id and counter."""
    if not payload:
        raise UnreadableFrame("empty service data")
    info = payload[0]
    if info >> 5 != _VERSION:
        raise UnknownFormat(f"version {info >> 5} of BTHome under the uuid of version 2")
    start = 1 + _ADDRESS_LENGTH if info & _ADDRESS else 1
    if not info & _ENCRYPTED:
        return parse(payload, start)
    address = payload[6:0:-1] if info & _ADDRESS else address_bytes(frame.device)
    salt = _NONCE_SALT + payload[:1]
    plain, counter = opened(payload[start:], key=key, address=address, salt=salt, associated=None)
    packet = parse(plain, 0)
    packet.counter = counter
    return packet


def parse(payload: bytes, at: int) -> Packet:
    """The objects of a plain payload from `at` on; stops at the first that it cannot read."""
    found: list[Observation] = []
    packet = Packet(found)
    seen, twice, end = 0, 0, len(payload)
    while at < end:
        object_id = payload[at]
        row = _TABLE[object_id]
        if row is None:
            packet.problem = f"unknown object 0x{object_id:02x} at byte {at}"
            break
        length, bit, field = row
        at += 1
        if length == 0:
            at, length = _announced(payload, at, field)
        stop = at + length
        if stop > end:
            packet.problem = f"object 0x{object_id:02x} ends after the payload"
            break
        if object_id == PACKET_ID:
            packet.packet_id = payload[at]
        else:
            twice |= seen & bit
            seen |= bit
            found.append(observe(object_id, payload[at:stop]))
        at = stop
    packet.special = bool(twice or seen & _EVENT_BITS)
    return packet


def _announced(payload: bytes, at: int, field: Field) -> tuple[int, int]:
    """Start and length of data whose length stands in the byte at `at`."""
    length = payload[at] if at < len(payload) else len(payload)
    return at + 1, 1 + (length & _ARGUMENTS) if field.form == "command" else length
