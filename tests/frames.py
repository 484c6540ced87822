"""Builds frames and batches; a test names only what it is about."""

import struct
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from adapters.frame import Batch, Clock, Frame

NOON = 1_790_000_000_000
"""Milliseconds since 1970: a moment in September 2026, at which everything here happens."""
BOOT = "5a3f5d0e-0000-4000-8000-00000000b007"
UPTIME = 1_000_000.0
"""Seconds that the box has run at noon: eleven days and a half."""
BUTTON, DOOR, DISPENSER, STRANGER = (
    "A4:C1:38:00:00:01",
    "A4:C1:38:00:00:02",
    "A4:C1:38:00:00:03",
    "DE:AD:BE:EF:00:01",
)
_RECORD = struct.Struct("<IIBBBBHH")
_TAKEN, _OK_BUTTON = 3, 1


def frame(**fields: Any) -> Frame:
    """An advertisement of the door contact that carries nothing; the uptime goes with `at`."""
    at: int = fields.get("at", NOON)
    usual: dict[str, Any] = {
        "device": DOOR,
        "heard": "advertisement",
        "at": at,
        "uptime": uptime(at),
    }
    return Frame(**usual | fields)


def uptime(at: int) -> float:
    """What the box's uptime is at a time: a clock that was not stepped. 0 before it started."""
    return max(0.0, UPTIME + (at - NOON) / 1_000)


def door(*, opened: bool = True, packet: int | None = None, **fields: Any) -> Frame:
    """BTHome v2, unencrypted: packet id (0x00) if given, door (0x1A)."""
    body = (bytes([0x00, packet]) if packet is not None else b"") + bytes([0x1A, opened])
    return frame(**{"data": {"fcd2": b"\x40" + body}} | fields)


def press(counter: int, *, test: bool = False, **fields: Any) -> Frame:
    """Our call button, pressed."""
    said = struct.pack("<2sBBHB", b"TP", 1, 0b100 if test else 0b001, counter, 90)
    return frame(**{"device": BUTTON, "manufacturer": {0xFFFF: said}} | fields)


def dose(number: int, *, at: int = NOON, slot: int = 1, **fields: Any) -> Frame:
    """The dispenser notifies a stored record: dose taken. `at` 0: its clock is not set."""
    said = _RECORD.pack(number, at // 1_000, _TAKEN, slot, _OK_BUTTON, 12, 0, 0)
    characteristic = {
        "device": DISPENSER,
        "heard": "characteristic",
        "uuid": "7a1d0002-5a9e-4f0b-9f0c-747279677031",
        "value": said,
    }
    return frame(**characteristic | fields)


def batch(frames: Sequence[Frame] = (), **fields: Any) -> Batch:
    """A batch of box-01, sent at noon by a box whose clock is synchronised."""
    sent_at: int = fields.get("sent_at", NOON)
    usual: dict[str, Any] = {
        "edge": "box-01",
        "stream": str(uuid4()),
        "first": 1,
        "sent_at": sent_at,
        "boot": BOOT,
        "clock": Clock(synchronised=True, boot=BOOT, uptime=uptime(sent_at)),
        "frames": tuple(frames),
    }
    return Batch(**usual | fields)
