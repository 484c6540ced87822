"""What health devices kept while the box was away reaches the database once, as it was measured."""

import asyncio
import struct
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from adapters.observation import Kind, Quality
from deploy.world.frames import static_address
from deploy.world.health import BodyScale, Cuff, HealthDevice, Scale
from deploy.world.health_bytes import SpotCheck
from deploy.world.health_records import GlucoseMeter, Oximeter
from deploy.world.vitals import Taken, kept, read_vitals
from tests.acceptance.health import announced, health_home, stored
from tests.acceptance.home import ZONE, Centre, eventually, soon
from tests.diaries import PLACED, RECORDS, Expected, pressures, spot_checks, sugars, weights

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
    four = Four()
    timeless = Oximeter(address("without a clock"))
    models = {**four.models, timeless: "pulse_oximeter"}
    async with health_home(centre, tmp_path, models, since=PLACED) as home:
        expected = four.measure()
        equal = SpotCheck(saturation=Decimal(97), pulse=Decimal(66), clock_set=False)
        timeless.measure(equal, equal)
        four.meter.pause = 0.03  # so that the box dies in the middle of a download
        box = home.start_box()
        await announced(centre, [four.meter], 20)
        box.kill()
        four.meter.pause = 0.002
        home.start_box()

        wanted = sum(one.rows.total() for one in expected.values())
        await announced(centre, four.models, wanted)
        await asyncio.sleep(0.3)  # what comes twice would come now

        found = await stored(centre, expected)
        for one, its in expected.items():
            assert found[one].rows == its.rows
            assert found[one].flags == its.flags
        await told_as_heard(centre, timeless)
        await its_clock_is_set(four.meter)


class Four:
    """The four devices, and fifty records of each."""

    def __init__(self) -> None:
        self.cuff, self.scale = Cuff(address("cuff")), Scale(address("scale"))
        self.oximeter, self.meter = Oximeter(address("oximeter")), GlucoseMeter(address("meter"))
        self.models: Mapping[HealthDevice, str] = {
            self.cuff: "blood_pressure",
            self.oximeter: "pulse_oximeter",
            self.scale: "weight_scale",
            self.meter: "glucose",
        }

    def measure(self) -> Mapping[str, Expected]:
        """What is to be stored of each, by its address."""
        pressed, checked, weighed, tested = pressures(), spot_checks(), weights(), sugars()
        self.cuff.measure(*(one.octets() for one in pressed[0]))
        self.oximeter.measure(*checked[0])
        self.scale.measure(*(one.octets() for one in weighed[0]))
        self.meter.measure(*tested[0])
        assert sum(len(one) for one, _ in (pressed, checked, weighed, tested)) == 4 * RECORDS
        return {
            self.cuff.address: pressed[1],
            self.oximeter.address: checked[1],
            self.scale.address: weighed[1],
            self.meter.address: tested[1],
        }


async def its_clock_is_set(device: HealthDevice) -> None:
    """The home's local time."""
    await soon(lambda: bool(device.clock_said), "the device's clock is set")
    off = shown(device.clock_said[-1]) - datetime.now(ZoneInfo(ZONE)).replace(tzinfo=None)
    assert abs(off) < timedelta(minutes=2)


async def told_as_heard(centre: Centre, timeless: Oximeter) -> None:
    """Two equal records of a clock that was never set are two, at the time of hearing."""
    asked = (timeless.address, Kind.SPO2)

    async def occurred() -> list[datetime]:
        timeless.announce()
        return await centre.ask(_OCCURRED, *asked)

    found = await eventually(occurred, "records without a time are stored")
    assert len(found) == 2
    assert all(datetime.now(UTC) - at < timedelta(minutes=2) for at in found)
    assert await centre.ask(_CLOCK, *asked) == ["not_set"] * 2


_OCCURRED = """
    SELECT o.occurred FROM observation o JOIN device d ON d.id = o.device
    WHERE d.address = $1 AND o.kind = $2
"""
_CLOCK = """
    SELECT o.value FROM observation_detail o JOIN device d ON d.id = o.device
    WHERE d.address = $1 AND o.kind = $2 AND o.name = 'clock'
"""


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
    async with health_home(centre, tmp_path, models, since=SPRING, zone=zone) as home:
        home.start_box()
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
