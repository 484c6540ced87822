"""The project's reference medicine dispenser: records over GATT, and a sign of life in the air.

Service 7a1d0001-5a9e-4f0b-9f0c-747279677031. The event characteristic notifies stored records of
16 bytes, little-endian: number (32 bits), device time (32 bits, seconds since 1970 UTC, 0 while the
clock is not set), event, slot (255: none), confirmation, doses left (255: unknown), detail (16
bits), reserved (16 bits). A record with number 0xFFFFFFFF ends a download. The status
characteristic is read: battery per cent, doses left, flags (bit 0 mains lost, bit 1 tray open, bit
2 upside down). The advertisement's service data is the newest record's number (32 bits).
"""

import struct
from collections.abc import Mapping
from typing import Final

from adapters.battery import level
from adapters.catalogue import CATALOGUE
from adapters.errors import UnreadableFrame
from adapters.frame import Frame
from adapters.observation import Kind, Observation, Quality

NAME: Final = "dispenser"
SERVICE: Final = "7a1d0001-5a9e-4f0b-9f0c-747279677031"
EVENT: Final = "7a1d0002-5a9e-4f0b-9f0c-747279677031"
CONTROL: Final = "7a1d0003-5a9e-4f0b-9f0c-747279677031"
STATUS: Final = "7a1d0004-5a9e-4f0b-9f0c-747279677031"

EVENTS: Mapping[int, Kind] = {
    1: Kind.DOSE_DUE,
    2: Kind.DOSE_DISPENSED,
    3: Kind.DOSE_TAKEN,
    4: Kind.DOSE_MISSED,
    5: Kind.DOSE_UNCONFIRMED,
    6: Kind.DOSE_WITHHELD,
    7: Kind.DOSE_SKIPPED,
    8: Kind.DISPENSE_BLOCKED,
    9: Kind.JAM,
    10: Kind.DEVICE_ERROR,
    11: Kind.REFILL_LOW,
    12: Kind.REFILL_EMPTY,
    13: Kind.REFILL_DONE,
    14: Kind.TRAY_OPEN,
    15: Kind.TRAY_CLOSED,
    16: Kind.TILTED,
    17: Kind.BATTERY_LOW,
    18: Kind.BATTERY_EMPTY,
    19: Kind.MAINS_LOST,
    20: Kind.MAINS_RESTORED,
    21: Kind.TEST_EVENT,
    22: Kind.HEARTBEAT,
    23: Kind.DOSE_TAKEN_EARLY,
    24: Kind.DOSE_TAKEN_LATE,
    25: Kind.WITHHELD_DRAWER_FULL,
    26: Kind.TRAVEL_DOSE_RELEASED,
    27: Kind.SCHEDULE_MISSING,
    28: Kind.SCHEDULE_CHANGED,
    29: Kind.TAMPERED,
}
CONFIRMATIONS: Mapping[int, str] = {
    1: "ok_button",
    2: "tilt",
    3: "lid",
    4: "pouch_cut",
    5: "caregiver",
}
BLOCKED_BY: Mapping[int, str] = {1: "empty", 2: "pouch_unreadable", 3: "roll_fault"}
"""Why nothing could be dispensed: the detail of event 8."""
SKIPPED_BY: Mapping[int, str] = {1: "user", 2: "caregiver"}
"""Who left a dose out: the detail of event 7."""
_REASONS: Mapping[int, tuple[str, Mapping[int, str]]] = {
    7: ("by", SKIPPED_BY),
    8: ("reason", BLOCKED_BY),
}

_RECORD = struct.Struct("<IIBBBBHH")
_STATUS = struct.Struct("<BBB")
_NUMBER = struct.Struct("<I")
_END_OF_RECORDS = 0xFFFFFFFF
_NO_SLOT = _UNKNOWN_DOSES = 0xFF
_FLAGS = ((0b001, Kind.MAINS_LOST), (0b010, Kind.TRAY_OPEN), (0b100, Kind.TILTED))


def read_record(value: bytes, frame: Frame, key: bytes | None = None) -> tuple[Observation, ...]:
    """One stored record: what happened and, where it is known, the doses left after it.

    Both carry the record's number and the device's time, and the slot as `code`. The end of a
    download says nothing. Raises UnreadableFrame unless the record has 16 bytes.
    """
    del frame, key
    if len(value) != _RECORD.size:
        raise UnreadableFrame(f"a record has {_RECORD.size} bytes, not {len(value)}")
    number, seconds, event, slot, confirmation, doses_left, detail, _ = _RECORD.unpack(value)
    if number == _END_OF_RECORDS:
        return ()
    code = None if slot == _NO_SLOT else slot
    occurred = seconds * 1000 if seconds else None
    details = _details(event, confirmation, detail)
    happened = _happened(event, code, occurred, number, details)
    if doses_left == _UNKNOWN_DOSES:
        return (happened,)
    left = Observation(
        Kind.DOSES_LEFT, float(doses_left), code=code, occurred=occurred, record=number
    )
    return happened, left


def read_status(value: bytes, frame: Frame, key: bytes | None = None) -> tuple[Observation, ...]:
    """Battery, doses left, and each thing that is wrong just now (1.0); what is right is not said.

    Raises UnreadableFrame unless the status has three bytes.
    """
    del frame, key
    if len(value) != _STATUS.size:
        raise UnreadableFrame(f"a status has {_STATUS.size} bytes, not {len(value)}")
    battery, doses_left, flags = _STATUS.unpack(value)
    observations = [level(battery)]
    if doses_left != _UNKNOWN_DOSES:
        observations.append(Observation(Kind.DOSES_LEFT, float(doses_left)))
    observations += [Observation(kind, 1.0) for bit, kind in _FLAGS if flags & bit]
    return tuple(observations)


def read_advertisement(
    payload: bytes, frame: Frame, key: bytes | None = None
) -> tuple[Observation, ...]:
    """A sign of life; its value is the number of the newest record, which is not the record.

    Raises UnreadableFrame unless the number has four bytes.
    """
    del frame, key
    if len(payload) != _NUMBER.size:
        raise UnreadableFrame(f"a record number has {_NUMBER.size} bytes, not {len(payload)}")
    (newest,) = _NUMBER.unpack(payload)
    return (Observation(Kind.HEARTBEAT, float(newest)),)


def _details(event: int, confirmation: int, detail: int) -> dict[str, str]:
    details: dict[str, str] = {}
    if confirmation:
        details["confirmation"] = CONFIRMATIONS.get(confirmation, f"unknown_{confirmation}")
    if detail:
        name, words = _REASONS.get(event, ("detail", {}))
        details[name] = words.get(detail, str(detail))
    return details


def _happened(
    event: int, code: int | None, occurred: int | None, number: int, details: dict[str, str]
) -> Observation:
    kind = EVENTS.get(event, Kind.UNKNOWN_EVENT)
    unknown = kind is Kind.UNKNOWN_EVENT
    value = float(event) if unknown else None
    return Observation(
        kind,
        1.0 if CATALOGUE[kind].value == "yes_no" else value,
        code=code,
        quality=Quality.UNKNOWN_CODE if unknown else Quality.GOOD,
        occurred=occurred,
        record=number,
        details=details,
    )
