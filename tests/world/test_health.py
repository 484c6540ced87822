"""Health devices of the emulator: their bytes against the adapters, their records through bleak."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from bleak import BleakClient, BleakScanner
from hypothesis import given
from hypothesis import strategies as st

from adapters.frame import Frame
from adapters.ieee11073 import Special, float_value, sfloat_value
from adapters.observation import Kind, Observation, Quality
from adapters.registry import read
from deploy.world.bluez import Bluez
from deploy.world.health import (
    BLOOD_PRESSURE_MEASUREMENT,
    BODY_COMPOSITION_MEASUREMENT,
    HEART_RATE_MEASUREMENT,
    TEMPERATURE_MEASUREMENT,
    WEIGHT_MEASUREMENT,
    Cuff,
    HealthDevice,
)
from deploy.world.health_bytes import (
    Composition,
    CuffStatus,
    Glucose,
    GlucoseContext,
    Number,
    Pressure,
    SpotCheck,
    Weight,
    date_time,
    float32,
    heart_rate,
    sfloat,
    temperature,
)
from deploy.world.health_records import (
    CONTROL_POINT,
    GLUCOSE_CONTEXT,
    GLUCOSE_MEASUREMENT,
    SPOT_CHECK,
    GlucoseMeter,
    Oximeter,
)
from tests.world.radio import settle, until

ADDRESS = "C8:2B:96:00:00:11"
MORNING = datetime(2026, 3, 1, 7, 30, 5)  # noqa: DTZ001 - as a device shows it


def says(uuid: str, value: bytes) -> dict[Kind, Observation]:
    heard = Frame(device=ADDRESS, heard="characteristic", at=0, uptime=0.0, uuid=uuid, value=value)
    return {one.kind: one for one in read(heard)}


def values(said: dict[Kind, Observation]) -> dict[Kind, float | None]:
    return {kind: one.value for kind, one in said.items()}


# ---------------------------------------------------------------- bytes


def test_numbers_are_the_bytes_of_the_standard() -> None:
    assert sfloat(Decimal(120)) == bytes.fromhex("7800")
    assert sfloat(Decimal("36.4")) == bytes.fromhex("6cf1")
    assert sfloat(Decimal(-5)) == bytes.fromhex("fb0f")
    assert sfloat("NaN") == bytes.fromhex("ff07")
    assert float32(Decimal("36.4")) == bytes.fromhex("6c0100ff")
    assert date_time(MORNING) == bytes.fromhex("ea070301071e05")


@given(st.integers(-2045, 2045), st.integers(-8, 7))
def test_the_two_implementations_agree_on_every_short_number(mantissa: int, exponent: int) -> None:
    number = Decimal(mantissa).scaleb(exponent)

    assert sfloat_value(sfloat(number)) == pytest.approx(float(number), rel=1e-12)


@pytest.mark.parametrize("special", ["NaN", "NRes", "+INF", "-INF", "reserved"])
def test_what_is_no_number_is_the_same_word_in_both(special: Number) -> None:
    assert sfloat_value(sfloat(special)) is Special(special)
    assert float_value(float32(special)) is Special(special)


def test_a_pressure_is_read_as_it_was_measured() -> None:
    status = CuffStatus.IRREGULAR_PULSE | CuffStatus.PULSE_LOW
    said = says(
        BLOOD_PRESSURE_MEASUREMENT,
        Pressure(
            systolic=Decimal(142),
            diastolic=Decimal("88.5"),
            pulse=Decimal(61),
            at=MORNING,
            user=2,
            status=status,
        ).octets(),
    )

    assert values(said) == {
        Kind.BP_SYSTOLIC: 142,
        Kind.BP_DIASTOLIC: 88.5,
        Kind.BP_MEAN: None,
        Kind.HEART_RATE: 61,
    }
    assert said[Kind.BP_MEAN].quality is Quality.NOT_A_NUMBER
    assert said[Kind.BP_SYSTOLIC].details == {
        "timestamp": "2026-03-01T07:30:05",
        "user_id": "2",
        "measurement_status": "irregular_pulse pulse_too_low",
    }


def test_scales_say_masses_in_steps_of_five_grams() -> None:
    weight = Weight(weight=Decimal("72.505"), at=MORNING, bmi=Decimal("24.1"), height=1735)
    body = Composition(
        fat=Decimal("31.2"),
        at=MORNING,
        muscle=Decimal("37.9"),
        water=Decimal("27.92"),
        weight=Decimal("55.4"),
    )

    assert values(says(WEIGHT_MEASUREMENT, weight.octets())) == {
        Kind.BODY_WEIGHT: 72.505,
        Kind.BMI: 24.1,
        Kind.BODY_HEIGHT: 1.735,
    }
    assert values(says(BODY_COMPOSITION_MEASUREMENT, body.octets())) == {
        Kind.BODY_FAT: 31.2,
        Kind.MUSCLE_MASS: 37.9,
        Kind.BODY_WATER_MASS: 27.92,
        Kind.BODY_WEIGHT: 55.4,
    }
    with pytest.raises(ValueError, match="between two steps"):
        Weight(weight=Decimal("72.501")).octets()
    assert says(WEIGHT_MEASUREMENT, Weight(weight=None).octets())[Kind.BODY_WEIGHT].value is None


def test_a_spot_check_says_its_flags_and_that_its_clock_was_never_set() -> None:
    check = SpotCheck(
        saturation="NRes", pulse=Decimal(70), status=1 << 9, sensor=1 << 5, clock_set=False
    )
    said = says(SPOT_CHECK, check.octets())

    assert values(said) == {Kind.SPO2: None, Kind.HEART_RATE: 70}
    assert said[Kind.SPO2].details == {
        "timestamp": "0000-00-00T00:00:00",
        "clock": "not_set",
        "measurement_status": "from_storage",
        "device_and_sensor_status": "low_perfusion",
        "special": "NRes",
    }


def test_a_glucose_record_has_its_number_and_its_context() -> None:
    record = Glucose(
        number=41,
        at=MORNING,
        offset=-60,
        concentration=Decimal("0.0056"),
        status=1 << 7,
        context=GlucoseContext(carbohydrate=(1, Decimal("0.045")), meal=2),
    )
    said = says(GLUCOSE_MEASUREMENT, record.octets())[Kind.GLUCOSE]
    noted = says(GLUCOSE_CONTEXT, GlucoseContext(meal=2).octets(41))[Kind.GLUCOSE_CONTEXT]

    assert (said.value, said.record) == (5.6, 41)
    assert said.details["timestamp"] == "2026-03-01T06:30:05"
    assert said.details["sensor_status"] == "too_warm"
    assert (noted.record, noted.details) == (41, {"meal": "after_meal"})


def test_milligrams_of_glucose_are_read_as_millimoles() -> None:
    record = Glucose(number=1, at=MORNING, concentration=Decimal("0.00101"), kilograms=True)

    assert says(GLUCOSE_MEASUREMENT, record.octets())[Kind.GLUCOSE].value == pytest.approx(
        5.606, abs=0.001
    )


def test_temperature_and_heart_rate_are_read_as_they_were_measured() -> None:
    fever = says(TEMPERATURE_MEASUREMENT, temperature(Decimal("38.25"), at=MORNING, place=6))
    pulse = says(HEART_RATE_MEASUREMENT, heart_rate(300, contact=True, intervals=(Decimal("0.5"),)))

    assert fever[Kind.BODY_TEMPERATURE].value == 38.25
    assert fever[Kind.BODY_TEMPERATURE].details["temperature_type"] == "mouth"
    assert values(pulse) == {Kind.HEART_RATE: 300, Kind.BEAT_INTERVAL: 0.5}


VECTORS: dict[str, bytes] = {
    "v0178": Pressure(systolic="NaN", diastolic="NaN", dated=False).octets(),
    "v0180": Pressure(
        systolic=Decimal(155),
        diastolic=Decimal(95),
        mean=Decimal(115),
        pulse=Decimal(78),
        status=CuffStatus.IRREGULAR_PULSE,
        dated=False,
    ).octets(),
    "v0193": Glucose(
        number=7,
        at=datetime(2026, 10, 15, 7, 48),  # noqa: DTZ001 - as the meter shows it
        concentration=Decimal("0.00118"),
        kilograms=True,
    ).octets(),
    "v0196": temperature("NaN", dated=False),
    "v0199": temperature(
        Decimal("37.60"),
        at=datetime(2012, 12, 5, 11, 50, 27),  # noqa: DTZ001 - as it shows it
        place=4,
    ),
    "v0201": temperature(Decimal("36.4"), dated=False),
    "v0204": heart_rate(90, intervals=(Decimal(2), Decimal(4))),
    "v0216": SpotCheck(
        saturation=Decimal(95),
        pulse=Decimal(60),
        at=datetime(2026, 11, 23, 13, 30),  # noqa: DTZ001 - as it shows it
        status=1 << 7,
        sensor=0,
        amplitude=Decimal("3.7"),
    ).octets(),
    "v0222": Weight(
        weight=Decimal(70),
        at=datetime(2023, 12, 25, 14, 30, 45),  # noqa: DTZ001 - as it shows it
    ).octets(),
}
"""Rows of `ble_vectors.jsonl`, made by others, and what our encoder makes of the same values."""


def test_the_encoder_says_the_same_values_in_the_same_bytes_as_others_do(shared: Path) -> None:
    rows = (shared / "data" / "ble_vectors.jsonl").read_text().splitlines()
    theirs = {row["id"]: bytes.fromhex(row["payload_hex"]) for row in map(json.loads, rows)}

    assert {row: theirs[row] for row in VECTORS} == VECTORS


# ---------------------------------------------------------------- records, through bleak


@asynccontextmanager
async def connection(device: HealthDevice) -> AsyncGenerator[BleakClient]:
    async with BleakScanner() as scanner:
        device.announce()
        async for found, _ in scanner.advertisement_data():
            async with BleakClient(found) as client:
                yield client
            return


async def test_a_cuff_sends_what_it_kept_once_and_forgets_it(bluez: Bluez) -> None:
    cuff, heard = Cuff(ADDRESS), list[bytes]()
    bluez.add(cuff)
    kept = [
        Pressure(
            systolic=Decimal(120 + minute),
            diastolic=Decimal(80),
            at=MORNING + timedelta(minutes=minute),
        ).octets()
        for minute in range(5)
    ]
    cuff.measure(*kept)

    async with connection(cuff) as client:
        await client.start_notify(
            BLOOD_PRESSURE_MEASUREMENT, lambda _, value: heard.append(bytes(value))
        )
        await until(lambda: len(heard) == 5)

    assert heard == kept
    assert cuff.kept == []


@asynccontextmanager
async def asking(
    bluez: Bluez, device: GlucoseMeter | Oximeter, *measurements: str
) -> AsyncGenerator[tuple[BleakClient, list[bytes]]]:
    bluez.add(device)
    told: list[bytes] = []
    async with connection(device) as client:
        for uuid in (*measurements, CONTROL_POINT):
            await client.start_notify(uuid, lambda _, value: told.append(bytes(value)))
        yield client, told


async def ask(client: BleakClient, told: list[bytes], command: str) -> list[bytes]:
    """What is told until the control point's own answer, which comes last."""
    told.clear()
    await client.write_gatt_char(CONTROL_POINT, bytes.fromhex(command), response=True)
    await until(lambda: told[-1:] != [] and told[-1][0] in (5, 6) and told[-1][1] == 0)
    await settle()
    return list(told)


async def test_a_meter_gives_the_records_that_it_is_asked_for_as_often_as_it_is(
    bluez: Bluez,
) -> None:
    meter = GlucoseMeter(ADDRESS)
    records = [Glucose(number=number, at=MORNING) for number in (7, 8)]
    noted = GlucoseContext(meal=1)
    records.append(Glucose(number=9, at=MORNING, context=noted))
    meter.measure(*records)

    async with asking(bluez, meter, GLUCOSE_MEASUREMENT, GLUCOSE_CONTEXT) as (client, told):
        assert await ask(client, told, "0401") == [bytes.fromhex("05000300")]
        for _ in range(2):
            assert await ask(client, told, "0103010800") == [
                records[1].octets(),
                records[2].octets(),
                noted.octets(9),
                bytes.fromhex("06000101"),
            ]
        assert await ask(client, told, "0103010a00") == [bytes.fromhex("06000106")]
        assert await ask(client, told, "0109") == [bytes.fromhex("06000104")]
        assert await ask(client, told, "0901") == [bytes.fromhex("06000902")]
        assert await ask(client, told, "0201") == [bytes.fromhex("06000201")]
        assert await ask(client, told, "0401") == [bytes.fromhex("05000000")]


async def test_an_oximeter_gives_all_its_records_or_none(bluez: Bluez) -> None:
    oximeter = Oximeter(ADDRESS)
    check = SpotCheck(saturation=Decimal(97), pulse=Decimal(66), at=MORNING)
    oximeter.measure(check)

    async with asking(bluez, oximeter, SPOT_CHECK) as (client, told):
        assert await ask(client, told, "0103010000") == [bytes.fromhex("06000104")]
        assert await ask(client, told, "0101") == [check.octets(), bytes.fromhex("06000101")]
