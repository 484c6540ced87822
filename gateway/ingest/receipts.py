"""Tells each box how far its frames are stored, always after the commit."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID

from gateway.store.holdings import Held
from gateway.store.streams import Stream

FORMAT = 1
"""The version of the receipt that this module writes."""
MOST_RANGES = 200
"""Ranges of one stream in a receipt, the newest: a stream with more of them is told in parts."""
LARGEST = 50_000
"""Bytes of a receipt: the broker leaves out what is larger than its packet limit (65 536)."""

_ENCODER = json.JSONEncoder(separators=(",", ":"))  # made once: it costs as much as it does
_Told = dict[str, object]


def receipts(epoch: UUID, streams: Iterable[tuple[str, Stream]]) -> Mapping[str, bytes]:
    """For each box the whole stored ranges of these streams of it, as topic and payload."""
    told: defaultdict[str, _Told] = defaultdict(dict)
    for edge, stream in streams:
        told[edge][str(stream.key.uuid)] = stream.received[-MOST_RANGES:]
    return {topic(edge): _payload(epoch, ranges, {}) for edge, ranges in told.items()}


def in_parts(epoch: UUID, streams: Iterable[Held]) -> Iterator[bytes]:
    """Receipts of all these streams of one box, and what is missing in them, none too large.

    The box adds up what it is told: in which order and how often the parts come is the same.
    Of no stream there is one part too: it tells the epoch.
    """
    told, missing, octets, parts = _Told(), _Told(), 0, 0
    for stream in streams:
        name, more = str(stream.stream), _octets(stream)
        if told and octets + more > LARGEST:
            yield _payload(epoch, told, missing)
            told, missing, octets, parts = {}, {}, 0, parts + 1
        told[name] = stream.received
        if stream.missing:
            missing[name] = stream.missing
        octets += more
    if told or not parts:
        yield _payload(epoch, told, missing)


def topic(edge: str) -> str:
    """Where a box reads its receipts."""
    return f"edges/{edge}/receipt"


def _octets(stream: Held) -> int:
    """About so many bytes in a receipt, rather too many: a name twice, and all numbers."""
    digits = len(str(stream.received[-1][1])) if stream.received else 1
    return 100 + (2 * digits + 4) * (len(stream.received) + len(stream.missing))


def _payload(epoch: UUID, told: _Told, missing: _Told) -> bytes:
    said = {"format": FORMAT, "epoch": str(epoch), "streams": told}
    if missing:
        said["missing"] = missing
    return _ENCODER.encode(said).encode()
