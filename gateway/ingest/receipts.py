"""Tells each box how far its frames are stored, always after the commit."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from uuid import UUID

from gateway.store.streams import Stream

FORMAT = 1
"""The version of the receipt that this module writes."""
MOST_RANGES = 200
"""Ranges of one stream in a receipt, the newest: a stream with more of them is told in parts."""


def receipts(epoch: UUID, streams: Iterable[tuple[str, Stream]]) -> Mapping[str, bytes]:
    """For each box the whole stored ranges of these streams of it, as topic and payload."""
    told: defaultdict[str, dict[str, object]] = defaultdict(dict)
    for edge, stream in streams:
        told[edge][str(stream.key.uuid)] = stream.received[-MOST_RANGES:]
    return {
        f"edges/{edge}/receipt": json.dumps(
            {"format": FORMAT, "epoch": str(epoch), "streams": ranges}, separators=(",", ":")
        ).encode()
        for edge, ranges in told.items()
    }
