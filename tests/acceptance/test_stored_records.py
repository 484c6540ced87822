"""What health devices kept while the box was away reaches the database once, as it was measured."""

import asyncio
import struct
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from adapters.observation import Kind, Quality
from deploy.world.frames import static_address
from deploy.world.health import BodyScale, Cuff, HealthDevice, Scale
from deploy.world.health_records import GlucoseMeter, Oximeter
from deploy.world.vitals import Taken, kept, read_vitals
from tests.acceptance.health import announced, health_home, stored
from tests.acceptance.home import ZONE, Centre, soon
from tests.diaries import PLACED, RECORDS, pressures, spot_checks, sugars, weights

pytestmark = pytest.mark.slow

LONDON = ZoneInfo("Europe/London")
SPRING = datetime(2019, 3, 1, tzinfo=UTC)
_KINDS = {
    "bp_systolic": Kind.BP_SYSTOLIC,
    "bp_diastolic": Kind.BP_DIASTOLIC,
    "heart_rate": Kind.HEART_RATE,
    "body_weight": Kind.BODY_WEIGHT,
    "muscle_mass": Kind.MUSCLE_MASS,
}


async def test_fifty_records_each_of_four_devices_come_once_with_their_own_time_and_flags(
    centre: Centre, tmp_path: Path
) -> None:
    cuff, oximeter = Cuff(address("cuff")), Oximeter(address("oximeter"))
    scale, meter = Scale(address("scale")), GlucoseMeter(address("meter"))
    models: Mapping[HealthDevice, str] = {
        cuff: "blood_pressure",
        oximeter: "pulse_oximeter",
        scale: "weight_scale",
        meter: "glucose",
    }
    async with health_home(centre, tmp_path, models, since=PLACED) as home:
        assert home.box is not None
        home.box.kill()
        pressed, checked, weighed, tested = pressures(), spot_checks(), weights(), sugars()
        cuff.measure(*(one.octets() for one in pressed[0]))
        oximeter.measure(*checked[0])
        scale.measure(*(one.octets() for one in weighed[0]))
        meter.measure(*tested[0])
        meter.pause = 0.03  # so that the box dies in the middle of a download
        home.start_box()
        await announced(centre, [meter], 20)
        home.box.kill()
        meter.pause = 0.002
        home.start_box()

        expected = {
            cuff.address: pressed[1],
            oximeter.address: checked[1],
            scale.address: weighed[1],
            meter.address: tested[1],
        }
        wanted = sum(one.rows.total() for one in expected.values())
        await announced(centre, models, wanted)
        await asyncio.sleep(0.3)  # what comes twice would come now

        found = await stored(centre, expected)
        for device, model in models.items():
            assert found[device.address].rows == expected[device.address].rows, model
            assert found[device.address].flags == expected[device.address].flags, model
        assert sum(len(one) for one, _ in (pressed, checked, weighed, tested)) == 4 * RECORDS
        await soon(lambda: bool(meter.clock_said), "the meter's clock is set")
        off = shown(meter.clock_said[-1]) - datetime.now(ZoneInfo(ZONE)).replace(tzinfo=None)
        assert abs(off) < timedelta(minutes=2)


@pytest.mark.long
async def test_recorded_pressures_weights_muscle_and_water_are_read_back_as_they_were_taken(
    centre: Centre, tmp_path: Path, shared: Path
) -> None:
    taken = read_vitals(shared / "data" / "tihm_vitals_shared.csv.gz")
    of_devices = kept(taken)
    cuff, scale, body = (
        Cuff(address("family cuff")),
        Scale(address("family scale")),
        BodyScale(address("family body scale")),
    )
    models: Mapping[HealthDevice, str] = {
        cuff: "blood_pressure",
        scale: "weight_scale",
        body: "body_composition",
    }
    cuff.measure(*(one.octets() for one in of_devices.cuff))
    scale.measure(*(one.octets() for one in of_devices.scale))
    body.measure(*(one.octets() for one in of_devices.body_scale))

    zone = str(LONDON)
    async with health_home(centre, tmp_path, models, since=SPRING, zone=zone):
        mean, fat = len(of_devices.cuff), len(of_devices.body_scale)
        wanted = 3 * 698 + 537 + 2 * 358
        await announced(centre, models, wanted + mean + fat)
        await asyncio.sleep(0.3)  # what comes twice would come now
        found = await stored(centre, [device.address for device in models])

    rows = Counter(row for one in found.values() for row in one.rows.elements())
    assert rows.total() == wanted + mean + fat
    good = Counter({row[:3]: n for row, n in rows.items() if row[3] == Quality.GOOD})
    told = Counter({row: n for row, n in good.items() if row[0] is not Kind.BODY_WATER_MASS})
    assert told == as_recorded(taken)
    water = [row for row in good.elements() if row[0] is Kind.BODY_WATER_MASS]
    assert off_in_water(taken, water) < 0.1


def as_recorded(taken: Sequence[Taken]) -> Counter[tuple[Kind, datetime, float | None]]:
    """What the recording says, but for water: kind, moment, value."""
    return Counter(
        (_KINDS[kind], moment(one), float(value))
        for one in taken
        for kind, value in one.values.items()
        if kind in _KINDS
    )


def off_in_water(
    taken: Sequence[Taken], water: Sequence[tuple[Kind, datetime, float | None]]
) -> float:
    """The largest difference in per cent of body weight, every recorded share against its mass."""
    masses: defaultdict[datetime, list[float]] = defaultdict(list)
    for _, at, mass in water:
        masses[at].append(mass or 0.0)
    worst = 0.0
    for one in taken:
        if (share := one.values.get("body_water")) is not None:
            weight = float(one.values["body_weight"])
            worst = max(
                worst, min(abs(mass / weight * 100 - float(share)) for mass in masses[moment(one)])
            )
    assert sum(map(len, masses.values())) == sum("body_water" in one.values for one in taken)
    return worst


def moment(one: Taken) -> datetime:
    return one.shown.replace(tzinfo=LONDON).astimezone(UTC)


def shown(current_time: bytes) -> datetime:
    """What a device shows after it was told this Current Time."""
    year, month, day, hour, minute, second = struct.unpack_from("<H5B", current_time)
    return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - a clock on the wall


def address(name: str) -> str:
    return static_address("stored records", name)
