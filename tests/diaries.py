"""What health devices kept while nobody listened, and what is to be stored of it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from adapters.observation import Kind, Quality
from deploy.world.health_bytes import (
    CuffStatus,
    Glucose,
    GlucoseContext,
    Number,
    Pressure,
    SpotCheck,
    Weight,
)

RECORDS = 50
BEGAN = datetime(2024, 10, 20, 6, 10, tzinfo=UTC)
APART = timedelta(hours=5)
"""Fifty records lie on both sides of the night in which the clocks go back."""
PLACED = BEGAN - timedelta(days=30)
ZONE = ZoneInfo("Europe/Copenhagen")

Row = tuple[Kind, datetime, float | None, int]
"""Kind, when, value and quality of one observation."""
Flag = tuple[Kind, datetime, str, str]
"""Kind, when, name and value of one detail."""
FLAGS = frozenset(
    {"special", "user_id", "measurement_status", "device_and_sensor_status", "sensor_status"}
)
"""The details that are compared."""


@dataclass(slots=True)
class Expected:
    """What is to be stored of one device, each as often as it was measured."""

    rows: Counter[Row] = field(default_factory=Counter[Row])
    flags: Counter[Flag] = field(default_factory=Counter[Flag])

    def add(self, kind: Kind, at: datetime, said: Number | float | None, **flags: str) -> None:
        """One observation; a word of the standard is a value that there is not."""
        value, quality = None, Quality.NOT_A_NUMBER
        if isinstance(said, str):
            flags["special"] = said
            quality = Quality.INFINITE if "INF" in said else Quality.NOT_A_NUMBER
        elif said is not None:
            low, high = _PLAUSIBLE[kind]
            value = float(said)
            quality = Quality.GOOD if low <= value <= high else Quality.IMPLAUSIBLE
        self.rows[kind, at, value, quality] += 1
        self.flags.update((kind, at, name, word) for name, word in flags.items())


_PLAUSIBLE = {
    Kind.BP_SYSTOLIC: (40, 300),
    Kind.BP_DIASTOLIC: (20, 200),
    Kind.BP_MEAN: (25, 250),
    Kind.HEART_RATE: (20, 300),
    Kind.SPO2: (40, 100),
    Kind.BODY_WEIGHT: (15, 300),
    Kind.GLUCOSE: (0.5, 60),
    Kind.CONTROL_GLUCOSE: (0.5, 60),
}


def times() -> Iterator[tuple[int, datetime, datetime]]:
    """Each record's place, its moment, and what the device's clock showed."""
    for place in range(RECORDS):
        at = BEGAN + place * APART
        yield place, at, at.astimezone(ZONE).replace(tzinfo=None)


def pressures() -> tuple[Sequence[Pressure], Expected]:
    """A cuff for two: runs of equal values, none at all, too much, flags."""
    made, expected = list[Pressure](), Expected()
    odd: dict[int, tuple[Number, Number, Number]] = {
        7: ("NaN", "NaN", "NaN"),
        8: ("NRes", Decimal(80), Decimal(62)),
        9: ("+INF", Decimal(199), Decimal(90)),
        10: (Decimal(320), Decimal(80), "reserved"),
        11: (Decimal(120), Decimal(12), Decimal(0)),
    }
    for place, at, shown in times():
        systolic, diastolic, pulse = odd.get(
            place, (Decimal(130 + place // 10), Decimal(80), Decimal("61.5"))
        )
        status = CuffStatus.IRREGULAR_PULSE if place % 3 == 0 else CuffStatus(0)
        status |= CuffStatus.PULSE_LOW if place % 5 == 0 else CuffStatus(0)
        user = 1 + place % 2
        said = Pressure(
            systolic=systolic,
            diastolic=diastolic,
            pulse=pulse,
            at=shown,
            user=user,
            status=status,
        )
        made.append(said)
        words = (
            "irregular_pulse" * (place % 3 == 0),
            "pulse_too_low" * (place % 5 == 0),
        )
        flags = {"user_id": str(user)}
        if any(words):
            flags["measurement_status"] = " ".join(filter(None, words))
        numbers: tuple[tuple[Kind, Number], ...] = (
            (Kind.BP_SYSTOLIC, systolic),
            (Kind.BP_DIASTOLIC, diastolic),
            (Kind.BP_MEAN, "NaN"),
            (Kind.HEART_RATE, pulse),
        )
        for kind, number in numbers:
            expected.add(kind, at, number, **flags)
    return made, expected


def spot_checks() -> tuple[Sequence[SpotCheck], Expected]:
    """An oximeter: weak signals, none at all, more than there can be."""
    made, expected = list[SpotCheck](), Expected()
    odd: dict[int, tuple[Number, Number]] = {
        4: ("NaN", "NaN"),
        5: (Decimal(127), Decimal(66)),
        6: (Decimal(96), "NRes"),
        7: (Decimal(0), Decimal(0)),
    }
    for place, at, shown in times():
        saturation, pulse = odd.get(place, (Decimal(97), Decimal(66)))
        weak = place in (4, 6, 20)
        said = SpotCheck(
            saturation=saturation,
            pulse=pulse,
            at=shown,
            status=1 << 9,
            sensor=(1 << 3 | 1 << 5) if weak else 0,
        )
        made.append(said)
        flags = {"measurement_status": "from_storage"}
        if weak:
            flags["device_and_sensor_status"] = "inadequate_signal low_perfusion"
        expected.add(Kind.SPO2, at, saturation, **flags)
        expected.add(Kind.HEART_RATE, at, pulse, **flags)
    return made, expected


def weights() -> tuple[Sequence[Weight], Expected]:
    """A scale: the same weight for days, one that failed, one with a suitcase, one with a dog."""
    made, expected = list[Weight](), Expected()
    odd: dict[int, Decimal | None] = {3: None, 4: Decimal("327.67"), 5: Decimal("3.005")}
    for place, at, shown in times():
        weight = odd.get(place, Decimal("72.505"))
        user = 1 if place % 4 else None
        made.append(Weight(weight=weight, at=shown, user=255 if user is None else user))
        flags = {} if user is None else {"user_id": str(user)}
        if weight is None:
            flags["special"] = "unsuccessful"
        expected.add(Kind.BODY_WEIGHT, at, weight, **flags)
    return made, expected


def sugars() -> tuple[Sequence[Glucose], Expected]:
    """A glucose meter, counting from 0: meals, strips that failed, too high to tell."""
    made, expected = list[Glucose](), Expected()
    for place, at, shown in times():
        flags: dict[str, str] = {}
        said: Number | None = Decimal("0.0056")
        status = None
        kind, sample = Kind.GLUCOSE, 1
        if place == 2:
            said, status, flags = None, 1 << 3, {"sensor_status": "strip_insertion_error"}
        if place == 3:
            said, status = "+INF", 1 << 5
            flags = {"sensor_status": "higher_than_the_meter_can_measure"}
        if place == 4:
            said = "NaN"
        if place == 5:
            said = Decimal("0.0002")
        if place == 6:
            kind, sample = Kind.CONTROL_GLUCOSE, 10
        note = GlucoseContext(meal=1 + place % 2) if place % 5 == 0 else None
        made.append(
            Glucose(
                number=place,
                at=shown,
                concentration=said,
                kilograms=False,
                kind=sample,
                status=status,
                context=note,
            )
        )
        if said is None:
            expected.add(kind, at, None, special="no_result", **flags)
        else:
            value = said if isinstance(said, str) else float(said * 1000)
            expected.add(kind, at, value, **flags)
        if note is not None:
            expected.rows[Kind.GLUCOSE_CONTEXT, at, None, Quality.GOOD] += 1
    return made, expected
