"""BTHome version 1: what older sensors send as service data 0x181C, or 0x181E when encrypted.

The format is open: https://bthome.io/v1. An object is a control byte (number format in the upper
three bits, length in the lower five), an id and the data; the length counts the id. Since every
object says how long it is, one that is not understood does not hide those after it: they are read,
and the frame is set aside besides.
"""

import math
import struct
from typing import Final

from adapters.bthome_cipher import address_bytes, opened
from adapters.bthome_objects import EVENT_FORMS, FIELDS, PACKET_ID, Field, number, observe_other
from adapters.bthome_packet import Packet, distrust, observations
from adapters.frame import Frame
from adapters.observation import Observation, Quality

NAME: Final = "bthome_v1"
SERVICE: Final = "181c"
SERVICE_ENCRYPTED: Final = "181e"

_UNSIGNED, _SIGNED, _FLOAT, _TEXT, _BYTES, _TIME = range(6)
_FLOATS = {2: struct.Struct("<e"), 4: struct.Struct("<f"), 8: struct.Struct("<d")}
_LENGTH = 0b00011111
_LENGTH_OF_ADDRESS = 6
_RAW = 0x54
_NONCE_SALT = b"\x1e\x18"
_ASSOCIATED = b"\x11"


def read(payload: bytes, frame: Frame, key: bytes | None = None) -> tuple[Observation, ...]:
    """The observations of one plain advertisement's service data.

    Raises UnreadableFrame with the part that was read, and with its presses when the device has a
    key and should have encrypted.
    """
    del frame  # the address is needed only for the nonce
    packet = parse(payload)
    if key is not None:
        distrust(packet)
    return observations(packet, payload)


def read_encrypted(
    payload: bytes, frame: Frame, key: bytes | None = None
) -> tuple[Observation, ...]:
    """The observations of one encrypted advertisement's service data.

    Raises MissingKey when there is no key or it does not fit, else as `read`.
    """
    return observations(packet_of_encrypted(payload, frame, key), payload)


def packet_of_encrypted(payload: bytes, frame: Frame, key: bytes | None) -> Packet:
    """The objects of encrypted service data, with its packet id and counter."""
    plain, counter = opened(
        payload,
        key=key,
        address=address_bytes(frame.device),
        salt=_NONCE_SALT,
        associated=_ASSOCIATED,
    )
    packet = parse(plain)
    packet.counter = counter
    return packet


def parse(payload: bytes) -> Packet:
    """The objects of a plain payload; the first that could not be read is the packet's problem."""
    packet, at = Packet(), 0
    while at < len(payload):
        stop = at + 1 + (payload[at] & _LENGTH)
        if not at + 2 < stop <= len(payload):
            packet.problem = f"object at byte {at} is empty or ends after the payload"
            break
        if not _is_address(payload, at):
            _take(packet, payload[at] >> 5, payload[at + 1], payload[at + 2 : stop])
        at = stop
    kinds = [one.kind for one in packet.found]
    packet.special = packet.special or len(set(kinds)) < len(kinds)
    return packet


def _is_address(payload: bytes, at: int) -> bool:
    """The device's own address, which has no id; the frame has it already."""
    control = payload[at]
    return (
        control >> 5 == _BYTES
        and control & _LENGTH == _LENGTH_OF_ADDRESS
        and payload[at + 1] != _RAW
    )


def _take(packet: Packet, form: int, object_id: int, data: bytes) -> None:
    """Put one object where it belongs in the packet."""
    field = FIELDS.get(object_id)
    if object_id == PACKET_ID and form == _UNSIGNED:
        packet.packet_id = int.from_bytes(data, "little")
        return
    observation = None if field is None else _observe(field, form, data)
    if field is None or observation is None:
        packet.problem = packet.problem or f"unknown object 0x{object_id:02x} of form {form}"
        return
    packet.special = packet.special or field.form in EVENT_FORMS
    packet.found.append(observation)


def _observe(field: Field, form: int, data: bytes) -> Observation | None:
    """The observation of one object; None where its form does not fit what it is."""
    if field.form == "number":
        return _number(field, form, data)
    if field.form == "text":
        return observe_other(field, data) if form == _TEXT else None
    if field.form == "raw":
        return observe_other(field, data) if form == _BYTES else None
    return observe_other(field, data) if form in (_UNSIGNED, _SIGNED) else None


def _number(field: Field, form: int, data: bytes) -> Observation | None:
    if form in (_UNSIGNED, _SIGNED, _TIME):
        return number(field, int.from_bytes(data, "little", signed=form == _SIGNED))
    if form != _FLOAT or len(data) not in _FLOATS:
        return None
    (raw,) = _FLOATS[len(data)].unpack(data)
    if math.isfinite(raw):
        return number(field, raw)
    quality = Quality.NOT_A_NUMBER if math.isnan(raw) else Quality.INFINITE
    return Observation(field.kind, quality=quality)
