"""The benchmark's load is what it says: its shape, its bytes, and the count of what is in it."""

import re
from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest
from pydantic import TypeAdapter

from adapters.frame import Batch, Frame, encode_batch
from adapters.observation import Kind
from adapters.registry import read
from deploy.world.bench import making, packets
from deploy.world.bench.homes import CALL, SLOTS, address, is_encrypted, key
from deploy.world.bench.legs import one_after_another, shape_for
from deploy.world.bench.load import (
    A_DAY,
    KINDS,
    PER_FRAME,
    Message,
    Shape,
    equal_share,
    messages,
    stream_of,
)
from gateway.ingest import times

NOW = 1_790_000_000_000
DAY = 86_400_000
BATCH: TypeAdapter[Batch] = TypeAdapter(Batch)


def shape(*, homes: int = 20, frames: int = 500, frames_a_message: int = 25) -> Shape:
    return Shape(
        homes=homes, frames=frames, frames_a_message=frames_a_message, until=NOW, run="test"
    )


def batch_of(message: Message) -> Batch:
    [(first, body)], rest = packets.split(message.packet)
    assert rest == b""
    return BATCH.validate_json(packets.published(first, body)[2], strict=True)


def batches(load: Shape, home: int) -> list[Batch]:
    return [batch_of(message) for message in messages(load, home, NOW)]


def frames(load: Shape) -> Iterator[tuple[int, Frame]]:
    for home in range(load.homes):
        for batch in batches(load, home):
            for frame in batch.frames:
                yield home, frame


def key_of(home: int, frame: Frame) -> bytes | None:
    slot = slot_of(frame)
    return key(home, slot) if is_encrypted(home, slot) else None


def slot_of(frame: Frame) -> int:
    return int(frame.device[:2], 16) & 0x3F


def test_a_batch_is_written_as_a_box_writes_it() -> None:
    for batch, message in zip(batches(shape(), 3), messages(shape(), 3, NOW), strict=True):
        [(first, body)], _ = packets.split(message.packet)

        topic, number, payload = packets.published(first, body)

        assert (topic, number) == (b"edges/bench-000003/bulk", 1)
        assert payload == encode_batch(batch)


def test_the_batches_of_a_home_are_one_stream_without_a_hole() -> None:
    load = shape(frames=110)
    told = batches(load, 7)

    assert [batch.first for batch in told] == [1, 26, 51, 76, 101]
    assert [len(batch.frames) for batch in told] == [25, 25, 25, 25, 10]
    assert {batch.stream for batch in told} == {str(stream_of(load, 7))}


def test_a_frame_holds_one_and_a_half_observations_on_average() -> None:
    said = [message for home in range(60) for message in messages(shape(), home, NOW)]

    observations = sum(message.observations for message in said)

    assert observations / sum(message.frames for message in said) == pytest.approx(
        PER_FRAME, abs=0.02
    )


def test_at_most_three_in_ten_payloads_are_equal_to_an_earlier_one() -> None:
    said = [frame.data["fcd2"] for _, frame in frames(shape(homes=200))]

    equal = len(said) - len(set(said))

    assert equal / len(said) == pytest.approx(equal_share(len(said)), abs=0.02)
    assert equal_share(len(said)) < equal_share(3_000_000) < 0.3


def test_a_tenth_is_encrypted_and_every_adapter_reads_all_of_it() -> None:
    encrypted = total = 0
    for home, frame in frames(shape()):
        observations = read(frame, key=key_of(home, frame))

        assert observations
        total += 1
        encrypted += frame.data["fcd2"][0] & 1

    assert encrypted / total == pytest.approx(0.1, abs=0.02)


def test_the_tally_counts_what_the_adapters_read() -> None:
    load = shape(homes=10)
    for home in range(load.homes):
        read_again: Counter[tuple[int, Kind]] = Counter()
        for batch in batches(load, home):
            for frame in batch.frames:
                for one in read(frame, key=key_of(home, frame)):
                    read_again[slot_of(frame), one.kind] += 1

        *_, last = messages(load, home, NOW)

        assert columns(last) == read_again
        assert sum(m.observations for m in messages(load, home, NOW)) == read_again.total()


def columns(message: Message) -> Counter[tuple[int, Kind]]:
    numbers = iter(array("I", message.tally))
    return Counter(
        {
            (slot, kind): said
            for slot, about in enumerate(SLOTS)
            for kind in (about.kind, *KINDS)
            if (said := next(numbers))
        }
    )


def test_one_observation_in_a_thousand_is_a_press_of_its_own() -> None:
    load, presses, total = shape(homes=20, frames=2_000), dict[int, list[int]](), 0
    for home, frame in frames(load):
        total += len(read(frame, key=key_of(home, frame)))
        if slot_of(frame) == CALL:
            presses.setdefault(home, []).append(frame.at)

    assert sum(map(len, presses.values())) / total == pytest.approx(0.001, abs=0.0002)
    for at in presses.values():
        assert all(later - earlier > 10_000 for earlier, later in pairwise(at))


def test_time_goes_forward_at_the_rate_of_a_home_and_ends_now_but_not_later() -> None:
    load = shape(homes=5, frames=5_000)
    for home in range(load.homes):
        at = [frame.at for batch in batches(load, home) for frame in batch.frames]

        days = (at[-1] - at[0]) / DAY

        assert at == sorted(at)
        assert at[-1] <= NOW
        assert NOW - at[-1] < 2 * DAY
        assert len(at) * PER_FRAME / days == pytest.approx(A_DAY, rel=0.05)


def test_the_gateway_believes_the_times_as_they_are() -> None:
    for batch in batches(shape(), 1):
        for frame in batch.frames:
            assert times.heard(frame, batch, NOW + 60_000, driven=False) == (frame.at, 0)


def test_loads_follow_one_another_in_time() -> None:
    first = shape_for(homes=10, seconds=2, most=1_000, frames_a_message=25, run="a")
    second = shape_for(homes=10, seconds=2, most=1_000, frames_a_message=1, run="b")

    first, second = one_after_another([first, second], end=NOW)

    assert second.until == NOW
    assert max(f.at for f in all_frames(first)) < min(f.at for f in all_frames(second))
    assert first.frames * first.homes * PER_FRAME >= 2_000


def all_frames(load: Shape) -> list[Frame]:
    return [frame for _, frame in frames(load)]


def test_records_come_through_the_pipe_however_they_are_cut() -> None:
    made = [(home, message) for home in (1, 2) for message in messages(shape(), home, NOW)]
    pipe = b"".join(making.record(home, message) for home, message in made)
    found: list[tuple[int, Message]] = []
    rest = b""
    for start in range(0, len(pipe), 4_321):
        more, rest = making.records(rest + pipe[start : start + 4_321])
        found += more

    assert found == made
    assert rest == b""
    assert making.shape_from_text(making.shape_to_text(shape())) == shape()


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 60_000])
def test_packets_are_taken_apart_at_every_length(size: int) -> None:
    packet = packets.publish("edges/box/bulk", b"x" * size, 7)

    whole, rest = packets.split(packet + packet[:3])

    assert [packets.published(*one) for one in whole] == [(b"edges/box/bulk", 7, b"x" * size)]
    assert rest == packet[:3]
    assert packets.split(packet[:-1]) == ([], packet[:-1])


def test_addresses_are_static_ones_and_all_different() -> None:
    named = {address(home, slot) for home in range(300) for slot in range(len(SLOTS))}

    assert len(named) == 300 * len(SLOTS)
    assert all(re.fullmatch("[C-F][0-9A-F](:[0-9A-F]{2}){5}", one) for one in named)
