"""Whatever both lines do, a call leaves soon after one of them is well, and nothing flaps for long.

A small world in steps of a quarter of a second: two lines that are well, dead, or swallow what
they are given; one broker that knows the box by one name; and a box that does as `Way` says.
"""

import random
from dataclasses import dataclass, field
from typing import Literal

import pytest

from edge.sending.path import Path, Way

STEP = 0.25
AFTER = 20.0
UNANSWERED = 10.0
"""Seconds after which the box takes a connection that says nothing for dead."""
BOUND = 75.0
"""Seconds that a line is well, at the most, before a call has left by it."""

Weather = Literal["well", "dead", "swallows"]


@dataclass(slots=True, kw_only=True)
class End:
    """One way as the box has it: open since, and when it is tried again."""

    path: Path
    opened: float | None = None
    again: float = 0.0
    pause: float = 1.0


@dataclass(slots=True, kw_only=True)
class World:
    """A box with two ways; `trusting` is the saboteur: it opens the second one and stays there."""

    weather: dict[Path, Weather]
    gateway: bool = True
    trusting: bool = False
    now: float = 0.0
    number: int = 0
    waits: float | None = None
    opened: list[tuple[float, Path]] = field(default_factory=list[tuple[float, Path]])
    way: Way = field(default_factory=lambda: Way(AFTER))
    ends: dict[Path, End] = field(default_factory=lambda: {1: End(path=1), 2: End(path=2)})

    def press(self) -> None:
        if self.waits is None:
            self.number, self.waits = self.number + 1, self.now

    def step(self) -> None:
        self.now += STEP
        for end in self.ends.values():
            self._look()
            if end.opened is None:
                self._try(end)
            else:
                self._serve(end)

    def _look(self) -> None:
        self.way.look(None if self.waits is None else ("stream", self.number), self.now)

    def _try(self, end: End) -> None:
        wait = self.way.wait(end.path, self.now)
        if wait is None or wait > 0 or self.now < end.again:
            return
        if end.path == 1 and self.trusting and self.way.in_use != 1:
            return
        if self.weather[end.path] == "dead":
            self._close(end, lost=False)
            return
        for other in self.ends.values():
            if other.opened is not None:
                self._close(other, lost=True)
        end.opened = self.now
        self.opened.append((self.now, end.path))
        self.way.opened(end.path, self.now)

    def _serve(self, end: End) -> None:
        assert end.opened is not None
        if self.weather[end.path] != "well":
            if self.now - end.opened >= UNANSWERED:
                self._close(end, lost=True)
            return
        if self.waits is not None and not self.gateway:
            self.way.answered(end.path, self.now)
        elif self.waits is not None or (end.path == 1 and self.way.in_use != 1):
            self.waits = None  # else it is the word that the second way was used
            self.way.receipted(end.path, self.now)
            self._look()
        if not self.way.stays(end.path):
            self._close(end, lost=True)

    def _close(self, end: End, *, lost: bool) -> None:
        end.opened = None
        end.pause = 1.0 if lost else min(end.pause * 2, 30.0)
        end.again = self.now + (end.pause if end.path == 1 else 0)
        self.way.closed(end.path, self.now)


def weather(seed: int) -> World:
    return World(weather={1: "well", 2: random.Random(seed).choice(("well", "dead"))})  # noqa: S311


def longest(world: World, seed: int, seconds: float = 1_200) -> float:
    """The longest that a line was well while a call waited."""
    draw, worst = random.Random(seed), 0.0  # noqa: S311 - a seed
    well: dict[Path, float] = {1: 0.0, 2: 0.0}
    while world.now < seconds:
        if draw.random() < STEP / 60:
            world.weather[draw.choice((1, 2))] = draw.choice(("well", "dead", "swallows"))
        if draw.random() < STEP / 300:
            world.gateway = not world.gateway
        if draw.random() < STEP / 30:
            world.press()
        world.step()
        for path, how in world.weather.items():
            on = how == "well" and world.gateway and world.waits is not None
            well[path] = well[path] + STEP if on else 0.0
        worst = max(worst, *well.values())
    return worst


@pytest.mark.parametrize("trusting", [False, True])
def test_a_call_leaves_soon_after_a_line_is_well_unless_the_first_is_given_up(
    *, trusting: bool
) -> None:
    worlds = [weather(seed) for seed in range(20)]
    for world in worlds:
        world.trusting = trusting

    worst = max(longest(world, seed) for seed, world in enumerate(worlds))

    assert (worst <= BOUND) is not trusting, f"{worst} s"


def test_a_first_line_that_only_swallows_does_not_make_the_box_run_to_and_fro() -> None:
    world = World(weather={1: "swallows", 2: "well"})

    worst, left = 0.0, 0.0
    while world.now < 3_600:
        if world.now % 30 == 0:
            world.press()
        world.step()
        left = left + STEP if world.waits is not None else 0.0
        worst = max(worst, left)

    assert worst <= AFTER + 2
    assert len(world.opened) <= 60, "each half minute a call, an hour long"


@pytest.mark.parametrize("second", ["dead", "swallows"])
def test_a_useless_second_way_costs_a_first_one_that_comes_back_little(second: Weather) -> None:
    world = World(weather={1: "dead", 2: second})
    world.press()
    while world.now < 600:
        world.step()
    world.weather[1] = "well"
    while world.waits is not None:
        world.step()

    assert world.now - 600 <= 45
