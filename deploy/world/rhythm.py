"""How a day in a simulated home goes: figures counted in recorded homes, and a day drawn from them.

The figures are those of DATA.md, section 5, beside the recordings (TIHM, 25 homes of people living
with dementia, CC BY 4.0); the ones of doses are from literature, as that section says.
"""

import bisect
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Sensor = Literal[
    "kitchen", "hall", "lounge", "bedroom", "fridge", "bathroom", "front_door", "back_door"
]

BY_HOUR: Sequence[float] = (
    *(3.8, 2.8, 2.8, 2.7, 2.9, 4.5, 7.8, 16.4, 25.2, 29.7, 26.9, 24.8),
    *(25.3, 24.6, 19.7, 19.1, 21.4, 25.8, 26.3, 21.4, 17.8, 16.4, 14.8, 7.6),
)
"""Events of a home in each hour of the local day."""
BY_SENSOR: Mapping[Sensor, int] = {
    "kitchen": 86,
    "hall": 73,
    "lounge": 65,
    "bedroom": 42,
    "fridge": 38,
    "bathroom": 29,
    "front_door": 16,
    "back_door": 10,
}
"""Events of each sensor in a day, medians."""
GAPS: Sequence[tuple[float, float]] = ((0.05, 2), (0.25, 12), (0.5, 50), (0.75, 115), (0.95, 616))
"""Seconds between two events of a home: share of the gaps that are at most so long."""
BATHROOM_VISITS = 2.2
"""Visits to the bathroom between 23 and 06, mean of a night."""

MISSED, LATE = 0.02, 0.08
"""Shares of the doses that are missed and that are taken late."""
EVENING = 1.5
"""How many times as often an evening dose is missed or late as a morning one."""

_HOUR = 3600
_DAY = 24 * _HOUR
_NIGHT = (23, 0, 1, 2, 3, 4, 5)
_SHUT, _BURST = 0.15, 0.89
"""Shares of the gaps that end with a door that shuts again, and with a burst of movement: chosen
so that the drawn gaps come within a third of the recorded ones at every share."""
_EVENTS = 1 / (1 - _BURST)
_VISIT: Sequence[Sensor] = ("bedroom", "hall", "bathroom", "bathroom", "hall", "bedroom")
_TWICE: Sequence[Sensor] = ("fridge", "front_door", "back_door")
"""What has a door speaks when it opens and, a few seconds later, when it shuts."""


@dataclass(frozen=True, slots=True, order=True)
class Happening:
    """Something that a sensor hears, so many seconds after local midnight."""

    at: float
    sensor: Sensor


@dataclass(frozen=True, slots=True)
class Dose:
    """How one dose goes: minutes after it was due at which it is taken, or None: it is missed."""

    after: float | None


def day(seed: str, *, rate: float = 1.0) -> tuple[Happening, ...]:
    """One day of one home, in time order; the same for the same seed.

    `rate` multiplies how much happens, not how fast the clock runs.
    """
    dice = random.Random(seed)  # noqa: S311 - a simulation
    events: list[Happening] = []
    for hour, mean in enumerate(BY_HOUR):
        for start in _starts(dice, hour, _bursts(hour, mean) * rate):
            events += _wander(dice, start, _AT_NIGHT if hour in _NIGHT else _WEIGHTS)
        if hour in _NIGHT:
            for start in _starts(dice, hour, BATHROOM_VISITS / len(_NIGHT) * rate):
                events += _visit(dice, start)
    return tuple(sorted(event for event in events if event.at < _DAY))


def dose(dice: random.Random, *, evening: bool) -> Dose:
    """How a dose goes: most are taken within twenty minutes, some late, few never."""
    often = EVENING if evening else 1.0
    luck = dice.random()
    if luck < MISSED * often:
        return Dose(None)
    if luck < (MISSED + LATE) * often:
        return Dose(dice.uniform(60, 180))
    return Dose(dice.uniform(0, 20))


def _bursts(hour: int, mean: float) -> float:
    """Bursts of movement in an hour, beside the visits to the bathroom at night."""
    visits = BATHROOM_VISITS / len(_NIGHT) * len(_VISIT) if hour in _NIGHT else 0.0
    return max(mean - visits, 0.0) / _EVENTS


def _starts(dice: random.Random, hour: int, mean: float) -> Iterator[float]:
    """Moments in an hour at a mean number of them, each independent of the others."""
    at = hour * _HOUR + (dice.expovariate(mean / _HOUR) if mean else _DAY)
    while at < (hour + 1) * _HOUR:
        yield at
        at += dice.expovariate(mean / _HOUR)


def _wander(dice: random.Random, at: float, weights: Mapping[Sensor, float]) -> Iterator[Happening]:
    """A burst: rooms by how much they are used, a door twice."""
    while True:
        sensor = dice.choices(tuple(weights), tuple(weights.values()))[0]
        yield Happening(at, sensor)
        if sensor in _TWICE:
            at += dice.uniform(1, 8)
            yield Happening(at, sensor)
        if dice.random() > _BURST_ON:
            return
        at += _gap(dice)


def _visit(dice: random.Random, at: float) -> Iterator[Happening]:
    for sensor in _VISIT:
        yield Happening(at, sensor)
        at += dice.uniform(8, 90)


def _gap(dice: random.Random) -> float:
    """Seconds to the next event of a burst: the recorded gaps, up to the share that is a burst."""
    share = dice.uniform(_SHUT, _BURST)
    place = bisect.bisect([known for known, _ in _CURVE], share)
    (low, short), (high, long) = _CURVE[place - 1], _CURVE[place]
    return short * (long / short) ** ((share - low) / (high - low))


_CURVE: Sequence[tuple[float, float]] = ((0.0, 1), *GAPS)
_WEIGHTS: Mapping[Sensor, float] = {
    sensor: events / (2 if sensor in _TWICE else 1) for sensor, events in BY_SENSOR.items()
}
_AT_NIGHT: Mapping[Sensor, float] = {
    sensor: weight for sensor, weight in _WEIGHTS.items() if sensor != "bathroom"
}
"""At night one goes to the bathroom by visits, which are counted by themselves."""
_PAIRS = sum(_WEIGHTS[sensor] for sensor in _TWICE) / sum(_WEIGHTS.values())
_BURST_ON = 1 - (1 + _PAIRS) / _EVENTS
"""Chance that a burst goes on, so that it has its mean number of events, doors counted twice."""


def gaps(events: Sequence[Happening]) -> tuple[float, ...]:
    """The seconds between events, in ascending order."""
    return tuple(sorted(after.at - before.at for before, after in pairwise(events)))
