"""What the edge heard, byte for byte; the contract on the wire between a box and the gateway.

Standard library only: this is the one module of `adapters` that the edge imports. A batch is
JSON, times are whole milliseconds since 1970-01-01T00:00Z, bytes are hexadecimal text,
16-bit UUIDs are four and 128-bit UUIDs thirty-two-plus-hyphens lower-case hexadecimal digits.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

FORMAT = 1
"""The version of the batch format that this module reads and writes."""

Heard = Literal["advertisement", "characteristic", "box"]
Lane = Literal["urgent", "bulk"]
LANES: tuple[Lane, Lane] = ("urgent", "bulk")

_HEX: dict[str, object] = {"val_json_bytes": "hex", "extra": "ignore"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One thing heard from one device.

    `at` is the box's wall clock in milliseconds, true only as far as `sure` says;
    `uptime` is seconds since the boot named by the batch (CLOCK_BOOTTIME), which never steps.
    An advertisement carries all of `name`, `services`, `manufacturer`, `data` and `tx_power`,
    since several decoders need the whole; a characteristic carries `uuid` and `value`;
    what the box says of itself carries its word in `uuid` and its bytes in `value`.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _HEX

    device: str
    heard: Heard
    at: int
    uptime: float
    sure: bool = True
    rssi: int | None = None
    repeats: int = 0
    address_type: Literal["public", "random"] = "public"
    name: str | None = None
    services: tuple[str, ...] = ()
    manufacturer: Mapping[int, bytes] = field(default_factory=dict[int, bytes])
    data: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    tx_power: int | None = None
    uuid: str | None = None
    value: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The box's clock when it sent: wall milliseconds in the batch, boot and uptime here."""

    synchronised: bool
    boot: str
    uptime: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """Sequence numbers that will never come, both ends included, and why."""

    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A contiguous run of one stream's frames: `frames[i]` has sequence `first + i`.

    `(stream, sequence)` names a frame for ever. `boot` is the boot in which the frames were
    heard; `clock` is the clock at sending, so `boot == clock.boot` lets the gateway correct
    times that were heard before the clock was synchronised.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _HEX

    format: int = FORMAT
    edge: str
    stream: str
    first: int
    sent_at: int
    boot: str
    clock: Clock
    frames: tuple[Frame, ...]
    gone: tuple[Gone, ...] = ()


def encode_frame(frame: Frame) -> str:
    """The frame as JSON text, fields that say nothing left out. The edge spools this text."""
    return json.dumps(_frame_fields(frame), separators=(",", ":"))


def encode_batch(batch: Batch) -> bytes:
    """The batch as one MQTT payload."""
    return encode_spooled(batch, [encode_frame(frame) for frame in batch.frames])


def encode_spooled(batch: Batch, frames: Sequence[str]) -> bytes:
    """The batch with frames that are JSON text already, as the spool keeps them."""
    head: dict[str, Any] = {
        "format": batch.format,
        "edge": batch.edge,
        "stream": batch.stream,
        "first": batch.first,
        "sent_at": batch.sent_at,
        "boot": batch.boot,
        "clock": {
            "synchronised": batch.clock.synchronised,
            "boot": batch.clock.boot,
            "uptime": batch.clock.uptime,
        },
    }
    if batch.gone:
        head["gone"] = [
            {"first": gone.first, "last": gone.last, "reason": gone.reason} for gone in batch.gone
        ]
    text = json.dumps(head, separators=(",", ":"))
    return f'{text[:-1]},"frames":[{",".join(frames)}]}}'.encode()


def _frame_fields(frame: Frame) -> dict[str, Any]:
    always = {"device": frame.device, "heard": frame.heard, "at": frame.at, "uptime": frame.uptime}
    optional = {
        "rssi": frame.rssi,
        "repeats": frame.repeats or None,
        "name": frame.name,
        "services": list(frame.services) or None,
        "manufacturer": {str(k): v.hex() for k, v in frame.manufacturer.items()} or None,
        "data": {uuid: payload.hex() for uuid, payload in frame.data.items()} or None,
        "tx_power": frame.tx_power,
        "uuid": frame.uuid,
        "value": frame.value.hex() or None,
        "sure": None if frame.sure else False,
        "address_type": None if frame.address_type == "public" else frame.address_type,
    }
    return always | {name: value for name, value in optional.items() if value is not None}
