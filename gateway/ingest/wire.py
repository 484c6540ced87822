"""The batch as JSON, read in one pass: what is as it should be, and nothing else.

A second reader beside the strict one of `batches`, six times as fast: that one says in words what
is wrong with a message, this one only that it is not sure. Whatever it does take the other takes
as well, with the same values (a property test holds the two together).
"""

from binascii import unhexlify
from typing import Annotated, Any, Literal, cast

import msgspec

from adapters.frame import FORMAT, Batch

LATEST_MS = 2**42
"""Milliseconds since 1970, in the year 2109: no clock that runs is later."""
LONGEST_UPTIME = 10.0**10
"""Seconds."""


class NotSure(Exception):
    """Perhaps wrong, perhaps only unusual: the strict reader decides."""


class _Frame(msgspec.Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """As `adapters.frame.Frame`; hexadecimal text becomes bytes in `_with_bytes`."""

    device: str
    heard: Literal["advertisement", "characteristic", "box"]
    at: Annotated[int, msgspec.Meta(ge=0, le=LATEST_MS)]
    uptime: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_UPTIME)]
    sure: bool = True
    rssi: int | None = None
    repeats: int = 0
    address_type: Literal["public", "random"] = "public"
    name: str | None = None
    services: tuple[str, ...] = ()
    manufacturer: dict[int, str] = msgspec.field(default_factory=dict[int, str])
    data: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    tx_power: int | None = None
    uuid: str | None = None
    value: str = ""


class _Clock(msgspec.Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    synchronised: bool
    boot: str
    uptime: float


class _Gone(msgspec.Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    first: int
    last: int
    reason: str


class _Batch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """As `adapters.frame.Batch`."""

    format: Literal[1] = FORMAT
    edge: str
    stream: str
    first: int
    sent_at: int
    boot: str
    clock: _Clock
    frames: tuple[_Frame, ...]
    gone: tuple[_Gone, ...] = ()


_DECODER = msgspec.json.Decoder(_Batch)


def read(payload: bytes) -> Batch:
    """The batch of a message, its numbers and times still to be looked at. Raises NotSure.

    Made by a reader that is not bound to our classes: what comes has all that `Batch` and `Frame`
    have, and is never written to, but is of other types.
    """
    try:
        said = _DECODER.decode(payload)
        for frame in said.frames:
            _with_bytes(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
        raise NotSure from problem
    return cast("Batch", said)


def _with_bytes(frame: Any) -> None:  # noqa: ANN401 - texts become bytes, which no type can say
    """Hexadecimal text becomes bytes, in place: making another frame costs more than all else."""
    data = frame.data
    for uuid in data:
        data[uuid] = unhexlify(data[uuid])
    if manufacturer := frame.manufacturer:
        for company in manufacturer:
            manufacturer[company] = unhexlify(manufacturer[company])
    frame.value = unhexlify(frame.value)
