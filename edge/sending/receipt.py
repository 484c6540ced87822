"""What the gateway says is stored, read strictly."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard, cast

from edge.keeping.ranges import Range

FORMAT = 1
"""The version of the receipt that this module reads."""
HIGHEST = 2**53 - 1
"""No sequence number is greater: the gateway takes no greater one."""


class BadReceipt(ValueError):
    """Not a receipt. It changes nothing: what it spoke of is sent again until a good one comes."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The whole stored ranges of each stream it names, in one life ("epoch") of the store.

    `missing`: of some streams, numbers that the gateway has not although it has later ones.
    """

    epoch: str
    streams: Mapping[str, tuple[Range, ...]]
    missing: Mapping[str, tuple[Range, ...]] = field(default_factory=dict[str, tuple[Range, ...]])


def read_receipt(payload: bytes) -> Receipt:
    """Raises BadReceipt for anything that is not exactly a receipt of the known format."""
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadReceipt(f"not JSON: {error}") from error
    match said:
        case {"format": 1, "epoch": str(epoch), "streams": {**streams}} if epoch:
            return Receipt(epoch, _by_stream(streams), _by_stream(said.get("missing", {})))
        case _:
            raise BadReceipt(f"not a receipt of format {FORMAT}")


def _by_stream(said: object) -> dict[str, tuple[Range, ...]]:
    if not isinstance(said, dict):
        raise BadReceipt("the ranges are not told by stream")
    streams = cast("dict[str, object]", said)  # the names of a JSON object are texts
    return {name: _ranges(name, value) for name, value in streams.items()}


def _ranges(stream: str, value: object) -> tuple[Range, ...]:
    if not isinstance(value, list):
        raise BadReceipt(f"the ranges of stream {stream} are not a list")
    pairs = cast("list[object]", value)
    if not all(_is_range(pair) for pair in pairs):
        raise BadReceipt(f"stream {stream} has a range that is not [first, last]")
    return tuple((pair[0], pair[1]) for pair in cast("list[Any]", pairs))


def _is_range(pair: object) -> TypeGuard[list[int]]:
    match pair:
        case [int(first), int(last)]:
            return type(first) is int and type(last) is int and 0 < first <= last <= HIGHEST
        case _:
            return False
