"""Which fault comes when, to whom and for how long: drawn from a seed before anything runs."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from deploy.world.chaos.saboteurs import ASYNC_COMMIT, LEDGER, PUBACK, RECEIPT_FIRST

STAGES = ("ingest", "second ingest", "watch", "notify", "api")
"""The gateway's processes; telemetry is shared by the two that take it in."""
HOUSES = ("house 1", "house 2", "house 3", "house 4")
WIRES = ("boxes to broker", "gateway to broker", "gateway to database")
_TIME_TO_START = 3.0
_SPOILED = (
    "cut",
    "cut one",
    "slow",
    "swallow",
    "swallow and cut",
    "half-close",
    "tear",
    "refuse",
)

MENU: Mapping[tuple[str, str], int] = {
    ("kill", "ingest"): 3,
    ("kill", "second ingest"): 2,
    ("kill", "watch"): 3,
    ("kill", "notify"): 2,
    ("kill", "api"): 1,
    ("kill", "broker"): 3,
    ("kill", "database"): 2,
    ("freeze", "ingest"): 1,
    ("freeze", "second ingest"): 1,
    ("freeze", "watch"): 2,
    ("freeze", "notify"): 1,
    ("freeze", "api"): 1,
    ("freeze", "broker"): 2,
    ("freeze", "database"): 2,
    ("restart with store", "broker"): 1,
    ("restart without store", "broker"): 2,
    ("stop immediately", "database"): 2,
    ("fill card", "house 4"): 2,
    ("fill disk", "database"): 1,
    ("step clock", "box"): 3,
    ("step clock", "gateway"): 1,
    ("answer 503", "webhook"): 1,
    **{("kill", house): 2 for house in HOUSES},
    **{("freeze", house): 1 for house in HOUSES},
    **{(how, wire): 1 for how in _SPOILED for wire in WIRES},
}
"""What may happen to whom, and how often of all."""

_FOR: Mapping[str, Mapping[tuple[str, str], int]] = {
    PUBACK: {
        ("kill", "ingest"): 2,
        ("kill", "second ingest"): 2,
        ("restart without store", "broker"): 2,
        ("kill", "broker"): 1,
    },
    LEDGER: {("kill", "ingest"): 2, ("cut", "gateway to broker"): 1, ("kill", "broker"): 1},
    RECEIPT_FIRST: {
        ("kill", "ingest"): 2,
        ("kill", "second ingest"): 2,
        ("stop immediately", "database"): 1,
    },
    ASYNC_COMMIT: {("kill", "database"): 1},
}
"""For each saboteur what brings it out soonest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One fault: what, to whom, for how many seconds, and the pause before the next begins."""

    number: int
    fault: str
    target: str
    seconds: float
    pause: float
    draw: float
    """A number of [0, 1) for what else the fault must choose."""

    @property
    def name(self) -> str:
        """Fault and kind of target, as they are counted."""
        return f"{self.fault} {counted_as(self.target)}"


def counted_as(target: str) -> str:
    """The kind of a target: all houses are boxes."""
    return "box" if target in HOUSES else target


def menu(saboteur: str | None) -> Mapping[tuple[str, str], int]:
    """What is drawn from."""
    return MENU if saboteur is None else _FOR[saboteur]


def plan(rounds: int, seed: int, saboteur: str | None = None) -> Sequence[Round]:
    """The rounds; the same for the same arguments."""
    rng = random.Random(f"chaos {seed}")  # noqa: S311 - play
    cards = _dealt(rng, menu(saboteur))
    # what is to be found out must have had the time to do its work since it was last killed
    slower = 1.0 if saboteur is None else _TIME_TO_START
    return [_round(number, *next(cards), rng, slower=slower) for number in range(1, rounds + 1)]


def _round(number: int, fault: str, target: str, rng: random.Random, *, slower: float) -> Round:
    return Round(
        number=number,
        fault=fault,
        target=target,
        seconds=round(rng.choice((0.1, 0.3, 0.6, 1.0, 1.5, 3.0)) * rng.uniform(0.7, 1.3), 2),
        pause=round(rng.uniform(0.3, 1.7) * slower, 2),
        draw=rng.random(),
    )


def _dealt(rng: random.Random, weights: Mapping[tuple[str, str], int]) -> Iterator[tuple[str, str]]:
    """As from a pack of cards that is shuffled anew when it is empty: nothing is left out long."""
    pack = [one for one, times in weights.items() for _ in range(times)]
    while True:
        rng.shuffle(pack)
        yield from pack
