"""A message is let go only when it is safe, and twice is once."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from adapters.frame import Clock, Gone, encode_batch
from adapters.observation import ClockQuality, Kind
from deploy.runtime.services import OneDatabase
from tests.frames import BOOT, DOOR, NOON, STRANGER, UPTIME, batch, door, dose, frame, press
from tests.gateway.ingest_home import Parts, parts

AT_NOON = datetime.fromtimestamp(NOON / 1_000, UTC)


@pytest.fixture
async def ingest(emptied: OneDatabase) -> AsyncIterator[Parts]:
    async with parts(emptied, boxes=2) as made:
        yield made


async def test_a_batch_becomes_observations_and_a_receipt(ingest: Parts) -> None:
    said = batch([press(7), door(opened=True, at=NOON - 1_000)])

    told = await ingest.store(said)

    epoch = (await ingest.rows("SELECT epoch FROM store"))[0]["epoch"]
    assert told == {
        "box-01": {"format": 1, "epoch": str(epoch), "streams": {said.stream: [[1, 2]]}}
    }
    rows = await ingest.rows("SELECT * FROM observation ORDER BY occurred DESC, kind")
    assert [(row["kind"], row["value"], row["occurred"]) for row in rows] == [
        (Kind.CALL_PRESSED, 7.0, AT_NOON),
        (Kind.BATTERY, 90.0, AT_NOON),
        (Kind.DOOR, 1.0, AT_NOON - timedelta(seconds=1)),
    ]
    assert {row["clock"] for row in rows} == {ClockQuality.SYNCHRONISED}
    (kept,) = await ingest.rows("SELECT payload FROM message")
    assert kept["payload"] == encode_batch(said)


async def test_what_is_stored_waits_to_be_watched(ingest: Parts) -> None:
    await ingest.store(batch([press(7), door(at=NOON - 60_000)]))

    (pending,) = await ingest.rows("SELECT * FROM pending")
    assert (pending["lane"], pending["citizens"]) == ("urgent", [1])
    assert (pending["range"].lower, pending["range"].upper) == (1, 3)
    assert (pending["earliest"], pending["latest"]) == (AT_NOON - timedelta(minutes=1), AT_NOON)


async def test_a_batch_delivered_twice_is_stored_once_and_receipted_twice(ingest: Parts) -> None:
    said = batch([press(7)])

    once = await ingest.store(said)
    again = await ingest.store(said)

    assert again == once
    assert len(await ingest.rows("SELECT FROM observation")) == 2
    assert len(await ingest.rows("SELECT FROM pending")) == 1
    assert len(await ingest.rows("SELECT FROM message")) == 1


async def test_the_same_batch_twice_in_one_transaction_is_stored_once(ingest: Parts) -> None:
    said = batch([press(7)])

    await ingest.store(said, said)

    assert len(await ingest.rows("SELECT FROM observation")) == 2


async def test_of_an_overlap_only_the_new_frames_are_stored(ingest: Parts) -> None:
    doors = [door(at=NOON + number) for number in range(6)]
    first = batch(doors[2:4], first=3)

    await ingest.store(first)
    told = await ingest.store(replace(first, first=1, frames=tuple(doors)))

    rows = await ingest.rows("SELECT occurred FROM observation ORDER BY occurred")
    assert [row["occurred"] for row in rows] == [
        AT_NOON + timedelta(milliseconds=number) for number in range(6)
    ]
    assert told["box-01"]["streams"] == {first.stream: [[1, 6]]}
    ranges = await ingest.rows(
        "SELECT lower(range) AS a, upper(range) AS b FROM pending ORDER BY id"
    )
    assert [(row["a"], row["b"]) for row in ranges] == [(3, 5), (1, 3), (5, 7)]


async def test_batches_out_of_order_leave_a_visible_hole_until_it_is_filled(ingest: Parts) -> None:
    late, early = batch([door()], first=5), batch([door()], first=1)
    early = replace(early, stream=late.stream)

    told = await ingest.store(late, early)

    assert told["box-01"]["streams"] == {late.stream: [[1, 1], [5, 5]]}


async def test_numbers_that_will_never_come_count_as_done_and_are_counted_apart(
    ingest: Parts,
) -> None:
    said = batch([door()], gone=(Gone(first=2, last=9, reason="thinned"),))

    told = await ingest.store(said)

    assert told["box-01"]["streams"] == {said.stream: [[1, 9]]}
    (row,) = await ingest.rows("SELECT received::text, gone::text FROM stream")
    assert row == {"received": "{[1,10)}", "gone": "{[2,10)}"}
    pending = await ingest.rows("SELECT range::text FROM pending ORDER BY id")
    assert [one["range"] for one in pending] == ["[1,2)", "[2,10)"]


async def test_a_stream_with_a_thousand_holes_waits_without_a_receipt(ingest: Parts) -> None:
    said = batch([door()])
    many = [replace(said, first=number) for number in range(1, 2_004, 2)]

    for start in range(0, len(many), 200):
        await ingest.store(*many[start : start + 200])
    more = await ingest.store(replace(said, first=2_101))
    filling = await ingest.store(replace(said, first=2))

    (row,) = await ingest.rows(
        "SELECT array_length(ranges, 1) AS n FROM (SELECT array_agg(r) AS "
        "ranges FROM stream, unnest(received) AS r) AS all_of_them"
    )
    assert row["n"] == 1_000
    assert more == {}
    assert filling["box-01"]["streams"][said.stream][-1] == [2_001, 2_001]


async def test_a_device_that_is_not_ours_is_only_counted(ingest: Parts) -> None:
    said = batch([door(device=STRANGER), door(device=STRANGER), door()])

    told = await ingest.store(said)

    (row,) = await ingest.rows("SELECT * FROM quarantine")
    assert (row["reason"], row["device"], row["count"]) == ("unknown_device", STRANGER, 2)
    assert row["payload"] is None
    assert told["box-01"]["streams"] == {said.stream: [[1, 3]]}
    assert len(await ingest.rows("SELECT FROM observation")) == 1


async def test_an_unreadable_payload_is_set_aside_with_the_reason(ingest: Parts) -> None:
    bad = door(data={"fcd2": b"\x40\xff"})
    said = batch([bad, door()])

    told = await ingest.store(said)

    (row,) = await ingest.rows("SELECT * FROM quarantine")
    assert row["municipality"] == 1
    assert (str(row["stream"]), row["sequence"], row["device"]) == (said.stream, 1, DOOR)
    assert row["detail"]
    assert json.loads(row["payload"])["data"] == {"fcd2": "40ff"}
    assert told["box-01"]["streams"] == {said.stream: [[1, 2]]}
    assert len(await ingest.rows("SELECT FROM observation")) == 1


async def test_what_could_be_read_of_a_frame_is_stored_and_the_frame_set_aside(
    ingest: Parts,
) -> None:
    partly = door(data={"fcd2": bytes.fromhex("401a01") + b"\xfe\x00"})

    await ingest.store(batch([partly]))

    (row,) = await ingest.rows("SELECT kind, value FROM observation")
    assert row == {"kind": Kind.DOOR, "value": 1.0}
    assert len(await ingest.rows("SELECT FROM quarantine")) == 1


async def test_a_stored_record_is_kept_once_however_often_it_is_heard(ingest: Parts) -> None:
    await ingest.store(batch([dose(17), dose(17)]))
    await ingest.store(batch([dose(17), dose(18, at=NOON + 60_000)]))

    rows = await ingest.rows("SELECT * FROM observation WHERE kind = $1", Kind.DOSE_TAKEN)
    assert [(row["code"], row["occurred"], row["clock"]) for row in rows] == [
        (1, AT_NOON, ClockQuality.DEVICE),
        (1, AT_NOON + timedelta(minutes=1), ClockQuality.DEVICE),
    ]
    details = await ingest.rows("SELECT name, value FROM observation_detail")
    assert details == [{"name": "confirmation", "value": "ok_button"}] * 2


async def test_a_record_of_a_device_whose_clock_is_not_set_has_no_number_of_its_own(
    ingest: Parts,
) -> None:
    await ingest.store(batch([dose(1, at=0)]))
    await ingest.store(batch([dose(1, at=0)]))

    rows = await ingest.rows("SELECT occurred FROM observation WHERE kind = $1", Kind.DOSE_TAKEN)
    assert [row["occurred"] for row in rows] == [AT_NOON] * 2
    assert not await ingest.rows("SELECT FROM device_record")


@pytest.mark.parametrize(
    ("fields", "clock", "occurred", "quality"),
    [
        ({"sure": True, "at": NOON - 5}, {}, NOON - 5, ClockQuality.SYNCHRONISED),
        (
            {"sure": False, "at": 0, "uptime": UPTIME - 60},
            {},
            NOON - 60_000,
            ClockQuality.CORRECTED,
        ),
        ({"sure": False, "at": NOON - 5}, {"boot": "other"}, NOON - 5, ClockQuality.UNSURE),
        ({"sure": False, "at": 0}, {"boot": "other"}, NOON, ClockQuality.UNSURE),
        ({"sure": True, "at": NOON + 299_000}, {}, NOON + 299_000, ClockQuality.SYNCHRONISED),
        ({"sure": True, "at": NOON + 301_000}, {}, NOON, ClockQuality.AHEAD),
    ],
)
async def test_every_row_says_how_sure_its_time_is(
    ingest: Parts,
    fields: dict[str, Any],
    clock: dict[str, Any],
    occurred: int,
    quality: ClockQuality,
) -> None:
    usual: dict[str, Any] = {"synchronised": True, "boot": BOOT, "uptime": UPTIME}
    sent = Clock(**usual | clock)

    await ingest.store(batch([door(**fields)], clock=sent))

    (row,) = await ingest.rows("SELECT occurred, received, clock FROM observation")
    assert row["occurred"] == datetime.fromtimestamp(occurred / 1_000, UTC)
    assert (row["received"], row["clock"]) == (AT_NOON, quality)


@pytest.mark.parametrize("behind", [timedelta(days=3), timedelta(days=365), -timedelta(days=365)])
async def test_a_box_whose_clock_was_never_set_is_believed_its_uptime_and_not_its_time(
    ingest: Parts, behind: timedelta
) -> None:
    wrong = NOON - behind // timedelta(milliseconds=1)
    heard = press(7, sure=False, at=wrong - 60_000, uptime=40.0)

    await ingest.store(
        batch([heard], sent_at=wrong, clock=Clock(synchronised=False, boot=BOOT, uptime=100.0))
    )

    (row,) = await ingest.rows("SELECT * FROM observation WHERE kind = $1", Kind.CALL_PRESSED)
    assert row["occurred"] == AT_NOON - timedelta(minutes=1)
    assert row["clock"] == ClockQuality.UNSURE


async def test_on_a_driven_clock_nothing_is_ahead(ingest: Parts) -> None:
    ingest.clock.driven = True

    await ingest.store(batch([door(at=NOON + 3_600_000)]))

    (row,) = await ingest.rows("SELECT clock FROM observation")
    assert row["clock"] == ClockQuality.SYNCHRONISED


def altered(**fields: Any) -> bytes:
    said = json.loads(encode_batch(batch([door()])))
    return json.dumps(said | fields).encode()


@pytest.mark.parametrize(
    ("payload", "reason", "words"),
    [
        (b"", "not_json", "EOF"),
        (b"\x00\xff garbage", "not_json", "expected value"),
        (b"[" * 30_000, "not_json", "recursion"),
        (b"null", "not_a_batch", "object"),
        (b"{}", "not_a_batch", "edge: Field required"),
        (altered(format=2), "wrong_format", "batch format 2; this gateway reads 1"),
        (altered(format=2, frames="new"), "wrong_format", "batch format 2"),
        (altered(edge="box-02"), "other_edge", "a batch of box-02 on edges/box-01/urgent"),
        (altered(stream="not a uuid"), "not_a_batch", "stream: not a uuid"),
        (altered(first=0), "not_a_batch", "sequence numbers"),
        (altered(first=2**53), "not_a_batch", "sequence numbers"),
        (altered(first=-(10**40)), "not_a_batch", "sequence numbers"),
        (altered(first="1"), "not_a_batch", "first: Input should be a valid integer"),
        (altered(frames=[]), "not_a_batch", "neither frames nor gone"),
        (altered(frames={}), "not_a_batch", "frames"),
        (altered(sent_at=2**62), "not_a_batch", "sent_at"),
        (altered(gone=[{"first": 9, "last": 2, "reason": "?"}]), "not_a_batch", "sequence"),
        (altered(frames=[{}] * 2_001), "too_large", "2001 frames"),
        (altered(padding="x" * 60_000), "too_large", "60000 are allowed"),
    ],
)
async def test_a_poison_message_is_set_aside_with_its_reason_and_a_later_one_passes(
    ingest: Parts, payload: bytes, reason: str, words: str
) -> None:
    good = batch([door()])

    told = await ingest.store(payload, good)
    await ingest.store(payload)

    (row,) = await ingest.rows("SELECT * FROM quarantine")
    assert (row["reason"], row["topic"]) == (reason, "edges/box-01/urgent")
    assert words in row["detail"]
    assert (row["count"], row["municipality"]) == (2, 1)
    assert row["payload"] == payload[: len(row["payload"])]
    assert list(told["box-01"]["streams"]) == [good.stream]


async def test_a_batch_that_is_sent_again_and_again_is_one_message_set_aside(ingest: Parts) -> None:
    said = batch([door()], format=9)

    for sent_at in range(5):
        await ingest.store(replace(said, sent_at=sent_at))

    (row,) = await ingest.rows("SELECT count FROM quarantine")
    assert row["count"] == 5


async def test_a_batch_of_a_box_that_nobody_knows_is_set_aside(ingest: Parts) -> None:
    told = await ingest.store(batch([door()], edge="box-19"))

    (row,) = await ingest.rows("SELECT reason, municipality FROM quarantine")
    assert row == {"reason": "unknown_edge", "municipality": None}
    assert told == {}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"value": "zz"}, "value: Data should be valid hex"),
        ({"at": "noon"}, "at: Input should be a valid integer"),
        ({"at": -1}, "not a time"),
        ({"at": 2**50}, "not a time"),
        ({"uptime": float("nan")}, "not a time"),
        ({"heard": "smelled"}, "heard"),
        ({"manufacturer": {"x": "00"}}, "manufacturer"),
    ],
)
async def test_one_spoiled_frame_does_not_take_its_batch_with_it(
    ingest: Parts, fields: dict[str, object], words: str
) -> None:
    said = json.loads(encode_batch(batch([door(), door(), press(1)])))
    said["frames"][1] |= fields

    told = await ingest.store(json.dumps(said).encode())

    (row,) = await ingest.rows("SELECT * FROM quarantine")
    assert (row["reason"], row["sequence"]) == ("not_a_frame", 2)
    assert words in row["detail"]
    assert told["box-01"]["streams"] == {said["stream"]: [[1, 3]]}
    assert len(await ingest.rows("SELECT FROM observation WHERE kind = $1", Kind.DOOR)) == 1


async def test_a_frame_that_the_database_refuses_is_set_aside_alone_and_receipted(
    ingest: Parts,
) -> None:
    good, bad = batch([door()]), batch([door(), press(1), door(), door()])
    await ingest.rows("ALTER TABLE observation ADD CONSTRAINT no_calls CHECK (kind <> 7)")

    told = await ingest.store(good, bad)

    await ingest.rows("ALTER TABLE observation DROP CONSTRAINT no_calls")
    assert told["box-01"]["streams"] == {good.stream: [[1, 1]], bad.stream: [[1, 4]]}
    (row,) = await ingest.rows("SELECT reason, detail, sequence FROM quarantine")
    assert (row["reason"], row["sequence"]) == ("refused", 2)
    assert "CheckViolation" in row["detail"]
    assert len(await ingest.rows("SELECT FROM observation")) == 4


async def test_text_with_a_character_that_the_database_does_not_know_is_kept(
    ingest: Parts,
) -> None:
    told = await ingest.store(
        batch([door(device="A\0B"), frame(uuid="\0", heard="characteristic")])
    )

    assert len(await ingest.rows("SELECT FROM quarantine")) == 2
    assert told


async def test_a_device_placed_a_moment_ago_speaks_for_its_citizen(ingest: Parts) -> None:
    await ingest.store(batch([door(device=STRANGER)]))
    await ingest.rows(
        "INSERT INTO device (municipality, address) VALUES (1, $1) RETURNING id", STRANGER
    )

    await ingest.store(batch([door(device=STRANGER)]))

    assert len(await ingest.rows("SELECT FROM observation")) == 1


async def test_a_receipt_names_the_newest_ranges_of_a_stream_with_many(ingest: Parts) -> None:
    stream = str(uuid4())

    told = await ingest.store(*(batch([door()], stream=stream, first=2 * n) for n in range(1, 202)))

    ranges = told["box-01"]["streams"][stream]
    assert (len(ranges), ranges[0], ranges[-1]) == (200, [4, 4], [402, 402])
