"""The fast reader of batches takes nothing that the strict one does not, and says the same."""

import json
from dataclasses import fields, is_dataclass
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from adapters.frame import Batch, Frame, Gone, encode_batch
from gateway.ingest import wire
from gateway.ingest.batches import read_batch
from tests.frames import batch, door, dose, press

STRICT = TypeAdapter(Batch)

NUMBERS = [-1, 0, 1, 2**53, 2**64, 10**30, 1.0, 1e3, -0.0, 1e-400, float("nan"), float("inf")]
TEXTS = ["", "a", "0", "01", "+1", "-1", "65535", "6.0", "AB", "ab", "a b", "abc", "zz", "�", "æ"]
OTHERS = [None, True, [], {}, ["a"], {"1": "ab"}, {"01": "ab"}, {"fcd2": "4"}, {"fcd2": " 40"}]
ODD: st.SearchStrategy[Any] = st.sampled_from([*NUMBERS, *TEXTS, *OTHERS])
KEYS = st.sampled_from(
    [*Frame.__dataclass_fields__, *Batch.__dataclass_fields__, *Gone.__dataclass_fields__, "more"]
)


def spoil(said: Any, places: list[tuple[int, str, Any]]) -> Any:
    """Put something odd at some places of a batch's JSON."""
    targets = [said, said["clock"], *said["frames"], *said["gone"]]
    for place, key, odd in places:
        targets[place % len(targets)][key] = odd
    return said


def same(fast: Any, strict: Any) -> bool:
    """The same values, whatever the classes."""
    if is_dataclass(strict):
        names = [one.name for one in fields(strict)]
        return all(same(getattr(fast, name), getattr(strict, name)) for name in names)
    if isinstance(strict, tuple):
        values = cast("tuple[Any, ...]", strict)
        return len(fast) == len(values) and all(map(same, fast, values))
    return type(fast) is type(strict) and fast == strict


def good() -> Batch:
    frames = [door(packet=3, rssi=-60, name="dør", services=("fcd2",)), press(1), dose(4)]
    return batch(frames, gone=(Gone(first=9, last=11, reason="thinned"),))


@given(st.lists(st.tuples(st.integers(0, 6), KEYS, ODD), max_size=3))
@example([])
def test_whatever_the_fast_reader_takes_the_strict_one_takes_alike(
    places: list[tuple[int, str, Any]],
) -> None:
    payload = json.dumps(spoil(json.loads(encode_batch(good())), places)).encode()
    try:
        fast = wire.read(payload)
    except wire.NotSure:
        return

    assert same(fast, STRICT.validate_json(payload, strict=True))


@given(st.data())
def test_bytes_changed_anywhere_are_taken_by_both_or_by_the_strict_one_alone(
    data: st.DataObject,
) -> None:
    payload = bytearray(encode_batch(good()))
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        fast = wire.read(bytes(payload))
    except wire.NotSure:
        return

    assert same(fast, STRICT.validate_json(bytes(payload), strict=True))


def test_what_a_box_sends_is_read_fast() -> None:
    said = good()

    assert same(wire.read(encode_batch(said)), said)


@pytest.mark.parametrize("more", ['"new": 1', '"new": {"deep": ["\\ud800"]}'])
def test_a_field_of_a_newer_box_is_the_strict_readers(more: str) -> None:
    payload = encode_batch(good())[:-1] + b"," + more.encode() + b"}"

    with pytest.raises(wire.NotSure):
        wire.read(payload)


def test_a_newer_boxs_batch_is_taken_all_the_same() -> None:
    payload = encode_batch(good())[:-1] + b',"new": 1}'

    arrival = read_batch("edges/box-01/bulk", payload)

    assert tuple(arrival.frames) == good().frames


def test_the_strict_reader_refuses_what_is_not_to_be_taken() -> None:
    payload = encode_batch(good()).replace(b'"first":1', b'"first":1.0', 1)

    with pytest.raises(wire.NotSure):
        wire.read(payload)
    with pytest.raises(ValidationError):
        STRICT.validate_json(payload, strict=True)
