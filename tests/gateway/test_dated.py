"""What health devices keep is stored once, at the time that the device itself showed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from adapters.frame import Frame
from adapters.observation import ClockQuality, Kind, Quality
from deploy.runtime.services import OneDatabase
from deploy.world.health_bytes import CuffStatus, Glucose, GlucoseContext, Pressure
from gateway.ingest import times
from gateway.ingest.dated import dated
from tests.frames import DISPENSER, NOON, batch, frame
from tests.gateway.ingest_home import Parts, parts

NIGHT = datetime(2026, 9, 21, 6, 15, 30)  # noqa: DTZ001 - as a device shows it
HERE = timedelta(hours=2)  # what Denmark is ahead of UTC in September
HEARD = datetime.fromtimestamp(NOON / 1_000, UTC)
CUFF, METER, NOTE = "2a35", "2a18", "2a34"


@pytest.fixture
async def home(emptied: OneDatabase) -> AsyncIterator[Parts]:
    async with parts(emptied, boxes=2) as opened:
        yield opened


def kept(uuid: str, value: bytes) -> Frame:
    """A characteristic of the home's one device with a connection."""
    return frame(device=DISPENSER, heard="characteristic", uuid=uuid, value=value)


def pressure(at: datetime | None = NIGHT, systolic: int = 130, **fields: Any) -> Frame:
    said = Pressure(systolic=Decimal(systolic), diastolic=Decimal(80), at=at, **fields)
    return kept(CUFF, said.octets())


def sugar(number: int, at: datetime | None = NIGHT, **fields: Any) -> Frame:
    said = Glucose(number=number, at=at, concentration=Decimal("0.0056"), **fields)
    return kept(METER, said.octets())


def meal(number: int, meal: int = 1) -> Frame:
    return kept(NOTE, GlucoseContext(meal=meal).octets(number))


async def stored(home: Parts, kind: Kind) -> list[tuple[datetime, float | None, int]]:
    rows = await home.rows(
        "SELECT occurred, value, clock FROM observation WHERE kind = $1 ORDER BY occurred, value",
        kind,
    )
    return [(row["occurred"], row["value"], row["clock"]) for row in rows]


async def details(home: Parts, kind: Kind) -> dict[str, str]:
    rows = await home.rows("SELECT name, value FROM observation_detail WHERE kind = $1", kind)
    return {row["name"]: row["value"] for row in rows}


# ---------------------------------------------------------------- local time


@pytest.mark.parametrize(
    ("shown", "zone", "moment"),
    [
        ("2026-03-01T07:30:05", "Europe/Copenhagen", "2026-03-01T06:30:05Z"),
        ("2026-07-01T07:30:05", "Europe/Copenhagen", "2026-07-01T05:30:05Z"),
        ("2026-07-01T07:30:05", "Europe/London", "2026-07-01T06:30:05Z"),
        ("2026-07-01T07:30:05", None, "2026-07-01T05:30:05Z"),
        ("2026-07-01T07:30:05", "Europe/Nowhere", "2026-07-01T05:30:05Z"),
        ("2026-07-01T07:30:05-04:00", "Europe/Copenhagen", "2026-07-01T11:30:05Z"),
        # the clocks go back at 3: 02:30 comes twice, and the first is meant
        ("2026-10-25T02:30:00", "Europe/Copenhagen", "2026-10-25T00:30:00Z"),
        # the clocks go forward at 2: a device that shows 02:30 was not put forward yet
        ("2026-03-29T02:30:00", "Europe/Copenhagen", "2026-03-29T01:30:00Z"),
    ],
)
def test_local_time_is_a_moment_by_the_zone_of_the_home(
    shown: str, zone: str | None, moment: str
) -> None:
    said = dated({"timestamp": shown}, zone)

    assert said is not None
    assert said.flag is None
    assert said.at is not None
    assert times.moment(said.at) == datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    ("details", "flag"),
    [
        ({"timestamp": "0000-00-00T00:00:00"}, "not_set"),
        ({"timestamp": "2026-00-00T00:00:00"}, "not_set"),
        ({"timestamp": "2000-01-01T00:00:12"}, "not_set"),
        ({"timestamp": "2026-03-01T07:30:05", "clock": "not_set"}, "not_set"),
        ({"timestamp": "9999-12-31T23:59:59"}, "invalid"),
        ({"timestamp": "65535-01-01T00:00:00"}, "invalid"),
        ({"timestamp": "2026-13-01T07:30:05"}, "invalid"),
        ({"timestamp": "2026-02-30T07:30:05"}, "invalid"),
        ({"timestamp": "2026-03-01T25:30:05"}, "invalid"),
    ],
)
def test_a_clock_that_was_never_set_says_nothing(details: dict[str, str], flag: str) -> None:
    said = dated(details, "Europe/Copenhagen")

    assert said is not None
    assert (said.at, said.shown, said.flag) == (None, None, flag)


def test_a_device_without_a_clock_has_no_time_of_its_own() -> None:
    assert dated({"user_id": "1"}, "Europe/Copenhagen") is None


# ---------------------------------------------------------------- stored once


async def test_a_stored_reading_has_the_devices_time_its_flags_and_no_value_where_it_had_none(
    home: Parts,
) -> None:
    status = CuffStatus.IRREGULAR_PULSE | CuffStatus.BODY_MOVED
    await home.store(batch([pressure(pulse=Decimal(400), user=2, status=status)]))

    at = NIGHT.replace(tzinfo=UTC) - HERE
    assert await stored(home, Kind.BP_SYSTOLIC) == [(at, 130, ClockQuality.DEVICE)]
    assert await stored(home, Kind.BP_MEAN) == [(at, None, ClockQuality.DEVICE)]
    assert await details(home, Kind.BP_MEAN) == {
        "timestamp": "2026-09-21T06:15:30",
        "user_id": "2",
        "measurement_status": "body_moved irregular_pulse",
        "special": "NaN",
    }
    rows = await home.rows("SELECT kind, value, quality FROM observation ORDER BY kind")
    assert [(row["kind"], row["value"], row["quality"]) for row in rows] == [
        (Kind.BP_SYSTOLIC, 130, Quality.GOOD),
        (Kind.BP_DIASTOLIC, 80, Quality.GOOD),
        (Kind.BP_MEAN, None, Quality.NOT_A_NUMBER),
        (Kind.HEART_RATE, 400, Quality.IMPLAUSIBLE),
    ]


async def test_two_downloads_that_overlap_and_a_second_box_bring_a_record_once(
    home: Parts,
) -> None:
    first, second = pressure(), pressure(NIGHT + timedelta(minutes=3))
    await home.store(batch([first, second, first]))
    await home.store(batch([second, pressure(NIGHT + timedelta(minutes=6))]))
    await home.store(batch([first], edge="box-02"))

    assert len(await stored(home, Kind.BP_SYSTOLIC)) == 3


async def test_equal_values_of_another_minute_or_another_user_are_readings_of_their_own(
    home: Parts,
) -> None:
    later = NIGHT + timedelta(seconds=1)
    await home.store(batch([pressure(user=1), pressure(user=2), pressure(later, user=1)]))

    assert len(await stored(home, Kind.BP_SYSTOLIC)) == 3


async def test_a_home_that_is_given_another_zone_does_not_make_records_new(home: Parts) -> None:
    await home.store(batch([pressure()]))
    await home.rows("UPDATE home SET zone = 'Europe/London'")
    await home.store(batch([pressure(), pressure(NIGHT + timedelta(hours=1))]))

    at = NIGHT.replace(tzinfo=UTC) - HERE
    assert [row[0] for row in await stored(home, Kind.BP_SYSTOLIC)] == [
        at,
        at + timedelta(hours=2),
    ]


async def test_readings_of_an_unset_clock_have_the_time_of_hearing_and_none_is_taken_for_another(
    home: Parts,
) -> None:
    await home.store(batch([pressure(None), pressure(None)]))

    assert await stored(home, Kind.BP_SYSTOLIC) == [(HEARD, 130, ClockQuality.SYNCHRONISED)] * 2
    assert (await details(home, Kind.BP_SYSTOLIC))["clock"] == "not_set"


# ---------------------------------------------------------------- numbered records


async def test_a_number_that_begins_again_at_another_time_is_another_record(home: Parts) -> None:
    later = NIGHT + timedelta(days=1)
    await home.store(batch([sugar(0), sugar(1)]))
    await home.store(batch([sugar(1), sugar(0, later)]))

    assert len(await stored(home, Kind.GLUCOSE)) == 3


async def test_what_was_noted_has_the_time_of_its_record_and_is_kept_once(home: Parts) -> None:
    noted = [sugar(7), meal(7), sugar(8, NIGHT + timedelta(hours=3)), meal(8)]
    await home.store(batch(noted[:3]))
    await home.store(batch(noted[3:]))
    await home.store(batch(noted))

    at = NIGHT.replace(tzinfo=UTC) - HERE
    assert await stored(home, Kind.GLUCOSE_CONTEXT) == [
        (at, None, ClockQuality.DEVICE),
        (at + timedelta(hours=3), None, ClockQuality.DEVICE),
    ]


async def test_a_note_to_a_record_that_is_not_here_is_kept_as_heard_and_says_so(
    home: Parts,
) -> None:
    await home.store(batch([meal(9)]))

    assert await stored(home, Kind.GLUCOSE_CONTEXT) == [(HEARD, None, ClockQuality.SYNCHRONISED)]
    assert await details(home, Kind.GLUCOSE_CONTEXT) == {
        "meal": "before_meal",
        "clock": "record_not_here",
    }
