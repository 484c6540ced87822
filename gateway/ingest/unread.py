"""Sets a frame aside with all that reading it again needs, and puts it together again."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from adapters.frame import FORMAT, Batch
from adapters.observation import Observation
from adapters.registry import VERSION
from gateway.ingest.batches import Arrival, edge_of
from gateway.store.known import Edge
from gateway.store.quarantine import AsideFrame, Kept

SMALLEST, LARGEST = -(2**15), 2**15 - 1
"""What a code in the hot table can be; another is kept as a detail."""


def aside(
    arrival: Arrival,
    edge: Edge,
    *,
    number: int,
    now_ms: int,
    sequence: int,
    device: str,
    reason: str,
    detail: str,
    payload: bytes,
    observed: Iterable[Observation] = (),
) -> AsideFrame:
    """A frame of a batch as it is set aside; `observed` are its observations that are stored."""
    return AsideFrame(
        municipality=edge.municipality,
        topic=arrival.topic,
        stream=arrival.stream,
        sequence=sequence,
        device=device,
        reason=reason,
        detail=detail,
        reader=VERSION,
        payload=payload,
        head=head(arrival.batch, now_ms),
        batch=number,
        kept=tuple((one.kind, small(one.code), one.value) for one in observed),
    )


def small(code: int | None) -> int | None:
    """A code as the hot table keeps it."""
    return code if code is None or SMALLEST <= code <= LARGEST else None


def head(batch: Batch, now_ms: int) -> Mapping[str, Any]:
    """What times are worked out from, besides the frame: `received` is ours, in milliseconds."""
    clock = batch.clock
    return {
        "received": now_ms,
        "sent_at": batch.sent_at,
        "boot": batch.boot,
        "clock": {
            "synchronised": clock.synchronised,
            "boot": clock.boot,
            "uptime": clock.uptime,
        },
    }


def batch_of(
    topic: str, stream: UUID, sequence: int, head: Mapping[str, Any], payload: bytes
) -> bytes:
    """The message that would have brought a set-aside frame alone; perhaps no JSON."""
    said = {
        "format": FORMAT,
        "edge": edge_of(topic),
        "stream": str(stream),
        "first": sequence,
        **{name: head[name] for name in ("sent_at", "boot", "clock")},
    }
    return json.dumps(said)[:-1].encode() + b', "frames": [' + payload + b"]}"


def without(rows: Iterable[Kept], kept: Iterable[Kept]) -> list[int]:
    """The places of those rows that are not stored yet: what is there twice is kept twice."""
    left = list(kept)
    places: list[int] = []
    for place, row in enumerate(rows):
        if row in left:
            left.remove(row)
        else:
            places.append(place)
    return places


def first_received(head: Mapping[str, Any] | None, first_at: datetime) -> int:
    """When we received it, in milliseconds since 1970."""
    if head is not None:
        return int(head["received"])
    return round(first_at.timestamp() * 1_000)
