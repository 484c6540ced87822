"""Recorded blood pressures and body measures as what a cuff and a body scale kept of them.

The file says local time, which is what such a device shows. A home's people share one device of
each here, as a family does: the home is the device's user, counted from 1.
"""

import csv
import gzip
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

from deploy.world.health_bytes import Composition, Pressure, Weight

STEP = Decimal("0.005")
"""Kilograms that a scale counts by (Weight and Body Composition Measurement)."""
NO_FAT = Decimal(0)
"""No recording says the body's fat, and a measurement without it has, by the profile, failed. A
zero is read as implausible and marked so."""
_PERCENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What one home's devices said at one time: value by the recording's own kind."""

    home: str
    shown: datetime
    values: Mapping[str, Decimal]


@dataclass(slots=True)
class Kept:
    """The values as devices keep them, each in the order in which they were taken."""

    cuff: list[Pressure] = field(default_factory=list[Pressure])
    scale: list[Weight] = field(default_factory=list[Weight])
    body_scale: list[Composition] = field(default_factory=list[Composition])


def read_vitals(path: Path) -> Sequence[Taken]:
    """All rows of a recording of vitals (DATA.md beside it), by home and time."""
    taken: defaultdict[tuple[str, str], dict[str, Decimal]] = defaultdict(dict)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            taken[row["timestamp"], row["home_id"]][row["kind"]] = Decimal(row["value"])
    return [
        Taken(home=home, shown=datetime.fromisoformat(shown), values=values)
        for (shown, home), values in sorted(taken.items())
    ]


def kept(taken: Sequence[Taken]) -> Kept:
    """What cuff and scales have of it; temperatures are another device's."""
    users = {home: user for user, home in enumerate(sorted({one.home for one in taken}), start=1)}
    found = Kept()
    for one in taken:
        if "bp_systolic" in one.values:
            found.cuff.append(_pressure(one, users[one.home]))
        elif "muscle_mass" in one.values:
            found.body_scale.append(_composition(one, users[one.home]))
        elif "body_weight" in one.values:
            weight = one.values["body_weight"]
            found.scale.append(Weight(weight=weight, at=one.shown, user=users[one.home]))
    return found


def water_mass(percent: Decimal, weight: Decimal) -> Decimal:
    """Kilograms of water in a body, to the scale's step: the profile has no share of water."""
    steps = (percent * weight / _PERCENT / STEP).quantize(Decimal(1), ROUND_HALF_EVEN)
    return steps * STEP


def _pressure(one: Taken, user: int) -> Pressure:
    return Pressure(
        systolic=one.values["bp_systolic"],
        diastolic=one.values["bp_diastolic"],
        pulse=one.values["heart_rate"],
        at=one.shown,
        user=user,
    )


def _composition(one: Taken, user: int) -> Composition:
    weight = one.values["body_weight"]
    return Composition(
        fat=NO_FAT,
        at=one.shown,
        user=user,
        muscle=one.values["muscle_mass"],
        water=water_mass(one.values["body_water"], weight),
        weight=weight,
    )
