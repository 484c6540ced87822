"""What was set aside is read again after a fix, each frame once: by two people, killed, in part."""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.frame import Clock, Frame
from adapters.observation import ClockQuality, Kind
from adapters.registry import VERSION
from deploy.runtime.services import OneDatabase
from deploy.world.payloads import bthome_encrypted, button_object, motion_object
from gateway.ingest.again import Again, Counts
from gateway.store.pool import Connection
from gateway.store.reread import Aside, Wanted
from tests.frames import BUTTON, DISPENSER, DOOR, NOON, batch, door, dose, frame, press
from tests.gateway.chain import Chain, chain
from tests.gateway.ingest_home import SEAL, Parts, delivery
from tests.gateway.test_main import GATEWAY_COMMAND, environment, gateway

KEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")
AT_NOON = datetime.fromtimestamp(NOON / 1_000, UTC)
MANY = 1_200


class NoClaim(Again):
    """The saboteur: goes by the list alone, as if nobody else had one."""

    async def claim(self, db: Connection, rows: Collection[Aside]) -> set[int]:
        del db
        return {row.id for row in rows}


pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
async def home(fresh_database: OneDatabase) -> AsyncIterator[Chain]:
    async with chain(fresh_database) as made:
        yield made


@pytest.fixture
def ingest(home: Chain) -> Parts:
    return home.ingest


def sealed(counter: int, **fields: Any) -> Frame:
    """The call button speaks encrypted BTHome; nobody has its key yet."""
    payload = bthome_encrypted(
        [button_object()], counter % 256, key=KEY, address=BUTTON, counter=counter
    )
    return frame(**{"device": BUTTON, "data": {"fcd2": payload}} | fields)


async def give_key(ingest: Parts, device: str = BUTTON) -> None:
    await ingest.rows(
        "INSERT INTO device_secret (municipality, device, key, given)"
        " SELECT 1, id, $1, $2 FROM device WHERE address = $3 RETURNING device",
        KEY,
        AT_NOON,
        device,
    )


async def reread(ingest: Parts, kind: type[Again] = Again, **wanted: str) -> Counts:
    """The whole of it, counted."""
    counts = Counts()
    async for page in kind(ingest.pool, ingest.clock, SEAL).run(Wanted(**wanted)):
        counts.add(page)
    return counts


async def stored(ingest: Parts, kind: Kind) -> list[datetime]:
    rows = await ingest.rows(
        "SELECT occurred FROM observation WHERE kind = $1 ORDER BY occurred", kind
    )
    return [row["occurred"] for row in rows]


async def test_frames_without_a_key_are_read_once_when_it_is_given(ingest: Parts) -> None:
    await ingest.store(batch([sealed(1, at=NOON - 60_000), sealed(2)]))
    without = await reread(ingest)
    await give_key(ingest)
    ingest.clock.at = AT_NOON + timedelta(hours=1)

    counts, again = await reread(ingest), await reread(ingest)

    assert (without.read.total(), without.unreadable) == (0, {"missing_key": 2})
    assert (counts.read, counts.observations) == ({"missing_key": 2}, 2)
    assert again.seen == 0
    rows = await ingest.rows("SELECT occurred, received, clock FROM observation ORDER BY occurred")
    assert [row["occurred"] for row in rows] == [AT_NOON - timedelta(minutes=1), AT_NOON]
    assert {row["received"] for row in rows} == {ingest.clock.at}
    aside = await ingest.rows("SELECT state, reread FROM quarantine")
    assert {(row["state"], row["reread"]) for row in aside} == {("read", ingest.clock.at)}


async def test_the_times_are_worked_out_from_the_batch_that_brought_it(ingest: Parts) -> None:
    """Heard before the clock was set: only uptimes and the time of receipt say when."""
    sent = Clock(synchronised=False, boot="a boot", uptime=100.0)
    heard = sealed(1, sure=False, at=0, uptime=40.0)
    await ingest.store(batch([heard], boot="a boot", sent_at=60_000, clock=sent))
    await give_key(ingest)
    ingest.clock.at = AT_NOON + timedelta(days=3)

    await reread(ingest)

    (row,) = await ingest.rows("SELECT occurred, clock FROM observation")
    assert row == {"occurred": AT_NOON - timedelta(minutes=1), "clock": ClockQuality.UNSURE}


async def test_of_a_frame_that_was_read_in_part_only_the_rest_is_stored(ingest: Parts) -> None:
    """One advertisement, two parts: the call in clear, the movement encrypted."""
    secret = bthome_encrypted([motion_object(moving=True)], 7, key=KEY, address=BUTTON, counter=7)
    both = replace(press(3), data={"fcd2": secret})
    await ingest.store(batch([both]))
    before = await stored(ingest, Kind.CALL_PRESSED)
    still = await reread(ingest)
    await give_key(ingest)

    counts = await reread(ingest)

    assert (before, still.observations) == ([AT_NOON], 0)
    assert counts.observations == 1
    for kind in (Kind.CALL_PRESSED, Kind.BATTERY, Kind.MOTION):
        assert await stored(ingest, kind) == [AT_NOON]


async def test_a_record_that_the_device_numbers_is_stored_once_however_often_it_is_read_again(
    ingest: Parts,
) -> None:
    await ingest.rows("ALTER TABLE observation ADD CONSTRAINT none CHECK (device <> 3)")
    await ingest.store(batch([dose(5)]), batch([dose(5), dose(6, at=NOON + 60_000)]))
    await ingest.rows("ALTER TABLE observation DROP CONSTRAINT none")
    await ingest.store(batch([dose(6, at=NOON + 60_000)]))

    counts = await reread(ingest, device=DISPENSER)

    assert counts.read == {"refused": 3}
    assert await stored(ingest, Kind.DOSE_TAKEN) == [AT_NOON, AT_NOON + timedelta(minutes=1)]


async def test_what_the_database_still_refuses_stays_and_holds_up_nothing(ingest: Parts) -> None:
    await ingest.rows("ALTER TABLE observation ADD CONSTRAINT none CHECK (device > 3)")
    await ingest.store(batch([door(), press(1)]))
    await ingest.rows("ALTER TABLE observation DROP CONSTRAINT none")
    await ingest.rows("ALTER TABLE observation ADD CONSTRAINT none CHECK (kind <> 7)")

    counts = await reread(ingest)

    await ingest.rows("ALTER TABLE observation DROP CONSTRAINT none")
    assert (counts.read, counts.unreadable) == ({"refused": 1}, {"refused": 1})
    assert await stored(ingest, Kind.DOOR) == [AT_NOON]
    assert (await reread(ingest)).read == {"refused": 1}
    assert await stored(ingest, Kind.CALL_PRESSED) == [AT_NOON]


async def test_a_call_found_late_alerts_and_says_that_it_is_late(home: Chain) -> None:
    await home.take(batch([sealed(1)]), at=AT_NOON)
    before = await home.alerts()
    await give_key(home.ingest)
    home.ingest.clock.at = AT_NOON + timedelta(hours=30)

    await reread(home.ingest)
    await home.judge(home.ingest.clock.at)
    await reread(home.ingest)
    await home.judge(home.ingest.clock.at)

    assert before == []
    (alert,) = await home.alerts()
    assert (alert["kind"], alert["since"], alert["late"]) == ("call_pressed", AT_NOON, True)


async def test_a_call_of_a_device_placed_nowhere_alerts_when_its_key_is_given(home: Chain) -> None:
    await home.rows('UPDATE placement SET "to" = $1 RETURNING id', AT_NOON - timedelta(hours=1))
    await home.take(batch([sealed(1)]), at=AT_NOON)
    await give_key(home.ingest)

    await reread(home.ingest)
    await home.judge(AT_NOON)

    (alert,) = await home.alerts()
    assert alert["kind"] == "unknown_device"


async def test_a_call_that_found_nobody_alerts_when_somebody_lives_there(home: Chain) -> None:
    await home.rows('UPDATE placement SET "to" = $1 RETURNING id', AT_NOON - timedelta(hours=1))
    await home.rows("UPDATE edge SET home = NULL RETURNING id")
    await home.take(batch([press(3)]), at=AT_NOON)
    nowhere = await reread(home.ingest)
    await home.rows("UPDATE edge SET home = 1 RETURNING id")

    counts = await reread(home.ingest)
    await home.judge(AT_NOON)

    assert nowhere.unreadable == counts.read == {"call_without_home": 1}
    assert counts.observations == 0, "all of it was stored"
    (alert,) = await home.alerts()
    assert alert["kind"] == "unknown_device"


async def test_a_whole_message_is_taken_as_ingest_would_take_it(ingest: Parts) -> None:
    """Of a box that nobody had registered; meanwhile it has sent a part of it again."""
    said = batch([door(), press(1), sealed(9)], edge="box-77")
    await ingest.store(said, b"garbage")
    await ingest.rows(
        "INSERT INTO edge (municipality, name, home) VALUES (1, 'box-77', 1) RETURNING id"
    )
    await ingest.store(replace(said, frames=said.frames[:1]))

    counts = await reread(ingest)

    assert counts.read == {"unknown_edge": 1}
    assert counts.unreadable == {"not_json": 1, "missing_key": 1}, "the frame just set aside too"
    assert len(await stored(ingest, Kind.DOOR)) == len(await stored(ingest, Kind.CALL_PRESSED)) == 1
    (ledger,) = await ingest.rows("SELECT received::text FROM stream")
    assert ledger["received"] == "{[1,4)}"
    left = await ingest.rows("SELECT reason FROM quarantine WHERE state = 'aside' ORDER BY reason")
    assert [row["reason"] for row in left] == ["missing_key", "not_json"]


async def test_a_forged_message_stays_forged(ingest: Parts) -> None:
    await ingest.rows("INSERT INTO home (municipality, district) VALUES (1, 1) RETURNING id")
    await ingest.rows(
        "INSERT INTO edge (municipality, name, home) VALUES (1, 'other', 2) RETURNING id"
    )
    said = batch([door()])
    await ingest.store(said, replace(said, edge="other", frames=(press(1), press(2))))

    counts = await reread(ingest)

    assert counts.unreadable == {"other_edge": 1}
    assert await stored(ingest, Kind.CALL_PRESSED) == []


async def many(ingest: Parts) -> None:
    said = batch([sealed(number, at=NOON - number) for number in range(MANY)])
    for first in range(0, MANY, 100):
        await ingest.pipeline().store(
            [delivery(replace(said, first=first + 1, frames=said.frames[first : first + 100]))]
        )
    await give_key(ingest)


async def times_stored(ingest: Parts) -> set[int]:
    """How often each of the many is stored."""
    rows = await ingest.rows("SELECT count(*) AS n FROM observation GROUP BY occurred")
    assert len(rows) == MANY
    return {row["n"] for row in rows}


async def test_two_who_read_again_at_the_same_moment_store_once(ingest: Parts) -> None:
    await many(ingest)

    both = await asyncio.gather(*(reread(ingest) for _ in range(3)))

    assert await times_stored(ingest) == {1}
    assert sum(counts.read.total() for counts in both) == MANY
    assert sum(counts.observations for counts in both) == MANY
    assert any(counts.elsewhere for counts in both), "they met"


async def test_without_a_claim_two_store_twice(ingest: Parts) -> None:
    await many(ingest)

    await asyncio.gather(*(reread(ingest, NoClaim) for _ in range(3)))

    assert max(await times_stored(ingest)) > 1


async def test_without_the_mark_the_next_run_stores_twice(ingest: Parts) -> None:
    await many(ingest)
    await reread(ingest)
    await ingest.rows("UPDATE quarantine SET state = 'aside', kept = '[]' RETURNING id")

    await reread(ingest)

    assert await times_stored(ingest) == {2}


@pytest.mark.slow
async def test_killed_in_the_middle_it_is_run_again_and_stores_once(ingest: Parts) -> None:
    await many(ingest)
    kills, said = 0, ""
    while "observations stored" not in said:
        before = await done(ingest)
        with subprocess.Popen(  # noqa: ASYNC220 - it is killed
            [GATEWAY_COMMAND, "reread"],
            env=environment(database=ingest.where.address, production="false"),
            stdout=subprocess.PIPE,
            text=True,
        ) as run:
            try:
                while run.poll() is None and await done(ingest) <= before:  # noqa: ASYNC110 - a process
                    await asyncio.sleep(0.01)
                if run.poll() is None and kills < 3:
                    run.kill()
                    kills += 1
                said, _ = await asyncio.to_thread(run.communicate)
            finally:
                run.kill()

    assert kills >= 1
    assert await times_stored(ingest) == {1}


async def done(ingest: Parts) -> int:
    (row,) = await ingest.rows("SELECT count(*) AS n FROM quarantine WHERE state = 'read'")
    return row["n"]


@pytest.mark.slow
async def test_the_command_lists_and_then_tells_how_it_went(ingest: Parts) -> None:
    await ingest.store(batch([sealed(1), sealed(2), door(data={"fcd2": b"\x40\xff"})]), b"garbage")
    await give_key(ingest)
    words = {"database": ingest.where.address, "production": "false"}

    listed = await asyncio.to_thread(gateway, "reread", "--dry-run", **words)
    only = await asyncio.to_thread(gateway, "reread", "--dry-run", "--device", DOOR, **words)
    read = await asyncio.to_thread(gateway, "reread", "--edge", "box-01", **words)

    assert (listed.returncode, read.returncode, read.stderr) == (0, 0, "")
    assert [line.endswith(f", adapters {VERSION}") for line in listed.stdout.splitlines()] == [
        *(True, False, True),  # whole messages come to no adapter
        False,
    ]
    lines = [line.split()[:4] for line in listed.stdout.splitlines()]
    assert lines[0][:3] == ["missing_key", BUTTON, "2"]
    assert lines[1] == ["not_json", "whole", "messages", "1"]
    assert lines[2][:3] == ["unreadable", DOOR, "1"]
    assert listed.stdout.splitlines()[-1] == "4 set aside that can be read again"
    assert len(only.stdout.splitlines()) == 2
    assert read.stdout.splitlines() == [
        "read: 2 (missing_key 2)",
        "still unreadable: 2 (not_json 1, unreadable 1)",
        "left to another run: 0",
        "observations stored: 2",
    ]


async def test_a_frame_from_before_its_clock_was_kept_is_left(ingest: Parts) -> None:
    await ingest.store(batch([sealed(1)]))
    await give_key(ingest)
    await ingest.rows("UPDATE quarantine SET head = NULL RETURNING id")

    counts = await reread(ingest)

    assert counts.unreadable == {"missing_key": 1}
    (row,) = await ingest.rows("SELECT payload FROM quarantine")
    assert json.loads(row["payload"])["device"] == BUTTON


async def test_ingest_and_reading_again_of_the_same_streams_do_not_lock_each_other_out(
    ingest: Parts,
) -> None:
    said = batch([sealed(number, at=NOON - number) for number in range(40)])
    await ingest.store(replace(said, frames=said.frames[:20]))
    await give_key(ingest)
    pipeline = ingest.pipeline()

    async def resend() -> None:
        for last in range(20, 41):
            await pipeline.store([delivery(replace(said, frames=said.frames[:last]))])

    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(resend(), *(reread(ingest) for _ in range(4)))
    await reread(ingest)

    assert len(await stored(ingest, Kind.BUTTON)) == len(set(await stored(ingest, Kind.BUTTON)))
    assert len(await stored(ingest, Kind.BUTTON)) == 40
