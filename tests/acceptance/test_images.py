"""Memory cards put back from an image, and two boxes that run from one: every press is told."""

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.world.api import Api, Json
from deploy.world.fleet import Box
from edge.joining.identity import FILE, OWN
from edge.keeping.disk import SPOOL
from edge.sending.line import Line
from edge.sending.uplink import Uplink
from tests.acceptance.home import (
    SOON,
    Centre,
    ScriptedHome,
    alerts_of,
    counted,
    eventually,
    running,
    scripted_homes,
)

pytestmark = pytest.mark.slow

PRESSES = 5
"""How often each of two boxes under one name is pressed."""
UNSENT = 1_000
"""The counter of the press that lies on both cards."""
BOUND = 60.0
"""Seconds for both to get everything through; on a quiet machine it is a tenth of that."""


# ---------------------------------------------------------------- one box, an image put back


async def test_a_box_put_back_from_an_image_loses_and_repeats_nothing(
    centre: Centre, tmp_path: Path
) -> None:
    """What the box sent after the image was taken stays; what the image kept unsent is sent."""
    async with scripted_homes(centre, tmp_path, run=False) as (home,):
        async with running([home]):
            home.press()
            await home.sent()
        home.press()  # in the image, and not yet sent
        home.hear(*(home.moves() for _ in range(20)))
        image = photograph(home, tmp_path / "image")
        home.hear(*(home.opens() for _ in range(3)))  # the card runs on under the same numbers
        async with running([home]):
            home.press()
            await home.sent()

        with replaced(home, image) as back:
            async with running([back]):
                back.press()
                back.hear(back.moves(), back.opens())
                await back.sent()

            await told(centre, home, presses=4)
            found = await counted(centre, [home, back])
        assert (found.lost, found.duplicated) == (0, 0)
        assert found.sent == 4 + 21 + 4


async def test_a_box_that_goes_on_under_the_images_numbers_is_seen_to_lose(
    centre: Centre, tmp_path: Path
) -> None:
    """The saboteur: the ledger has those numbers already, of the card that ran on."""
    async with scripted_homes(centre, tmp_path, run=False) as (home,):
        async with running([home]):
            home.press()
            await home.sent()
            image = photograph(home, tmp_path / "image")
            home.press()
            await home.sent()

        with replaced(home, image) as back:
            go_on_under_old_numbers(back)
            async with running([back]):
                back.press()
                await back.sent()

            found = await counted(centre, [back])
        assert found.sent == 2
        assert found.lost > 0


async def test_an_image_put_back_again_and_again_never_uses_a_number_twice(
    centre: Centre, tmp_path: Path
) -> None:
    """Each start names its streams anew: the same card runs three different lives."""
    async with scripted_homes(centre, tmp_path, run=False) as (home,):
        async with running([home]):  # so that it knows its devices
            pass
        home.press()
        image = photograph(home, tmp_path / "image")
        lives = [home]
        for life in range(3):
            folder = shutil.copytree(image, tmp_path / f"life-{life}")
            with replaced(home, folder) as back:
                async with running([back]):
                    pressed_by(back, 10 + life)
                    back.hear(*(back.moves() for _ in range(life)))
                    await back.sent()
                lives.append(back)

        found = await counted(centre, lives)
        assert (found.sent, found.lost, found.duplicated) == (1 + 3 + 3, 0, 0)
        await told(centre, home, presses=4)


# ---------------------------------------------------------------- one box, a new card


async def test_presses_on_the_old_card_and_on_the_new_one_are_told_once_each(
    centre: Centre, tmp_path: Path
) -> None:
    """The new spool knows nothing of the old one, whose rest comes when that card is put back."""
    async with scripted_homes(centre, tmp_path, run=False) as (home,):
        async with running([home]):
            home.press()
            home.hear(home.opens())
            await home.sent()
        home.press()  # kept by the old card, and not yet sent
        with replaced(home, empty_card(home, tmp_path / "new")) as fresh:
            async with running([fresh]):
                fresh.press()
                fresh.hear(fresh.moves())
                await fresh.sent()
            await told(centre, home, presses=2)
            async with running([home]):
                await home.sent()

            await told(centre, home, presses=3)
            found = await counted(centre, [home, fresh])
        assert (found.sent, found.lost, found.duplicated) == (3 + 2, 0, 0)


# ---------------------------------------------------------------- two boxes, one image


async def test_two_boxes_from_one_image_both_get_every_press_through(
    centre: Centre, tmp_path: Path
) -> None:
    """They have one name at the broker, so each throws the other out whenever it comes."""
    async with two_from_one(centre, tmp_path, Counting) as (home, clone):
        async with running_both(home, clone):
            started, waits = time.monotonic(), list[float]()
            for number in range(PRESSES):
                for place, each in enumerate((home, clone)):
                    pressed_by(each, 2 * number + place)
                    each.hear(each.moves())
                waits.append(await all_sent(home, clone))
                await asyncio.sleep(0.5)
            took = time.monotonic() - started
        print(  # noqa: T201 - figures
            f"two boxes, one name: {PRESSES} presses each in {took:.1f} s, "
            f"slowest pair {max(waits):.1f} s, {connections(home, clone)} connections"
        )

        await told(centre, home, presses=1 + 2 * PRESSES)
        found = await counted(centre, [home, clone])
        assert (found.sent, found.lost, found.duplicated) == (2 + 4 * PRESSES, 0, 0)
        assert max(waits) < BOUND
        said = (centre.stack.folder / "gateway.log").read_text()
        assert f'"edge": "{home.box.edge}"' in said
        assert "two boxes run under one name" in said


async def test_two_boxes_of_one_name_that_have_nothing_to_say_do_not_fight(
    centre: Centre, tmp_path: Path
) -> None:
    async with two_from_one(centre, tmp_path, Counting) as (home, clone):
        async with running_both(home, clone):
            await asyncio.sleep(3)
            before = connections(home, clone)
            await asyncio.sleep(8)
            came = connections(home, clone) - before
        print(f"two boxes, one name, nothing to say: {came} connections in 8 s")  # noqa: T201 - figures
        assert came <= 3


async def test_a_press_that_both_boxes_of_one_image_hear_is_one_press(
    centre: Centre, tmp_path: Path
) -> None:
    async with two_from_one(centre, tmp_path, Counting) as (home, clone):
        async with running_both(home, clone):
            heard = home.call(77)
            home.hear(heard)
            clone.hear(replace(heard, rssi=-80))
            await all_sent(home, clone)

        (alert,) = await told(centre, home, presses=2)
        assert alert["kind"] == "call_pressed"


# ---------------------------------------------------------------- cards and boxes


class Counting(Uplink):
    """Counts how often it connected."""

    opened = 0

    async def open(self) -> Line:
        line = await super().open()
        self.opened += 1
        return line


def connections(*homes: ScriptedHome) -> int:
    uplinks = [home.box.uplink for home in homes]
    return sum(each.opened for each in uplinks if isinstance(each, Counting))


def go_on_under_old_numbers(home: ScriptedHome) -> None:
    """What a spool never does: its next frames get the numbers after the last that it kept."""
    spool: Any = home.box.spool
    shelf = spool._shelf  # noqa: SLF001 - the saboteur's own way in
    for stream in shelf.streams.values():
        shelf.current[stream.lane] = stream


def photograph(home: ScriptedHome, to: Path) -> Path:
    """A copy of the box's card as it is at this moment, its write-ahead log among it."""
    return shutil.copytree(
        home.box.spool.path.parent, to, ignore=shutil.ignore_patterns(f"{SPOOL}*lock*")
    )


def empty_card(home: ScriptedHome, to: Path) -> Path:
    """A new card with who the box is, and nothing else."""
    to.mkdir()
    for name in (FILE, OWN):
        shutil.copy2(home.box.spool.path.parent / name, to / name)
    return to


class replaced:  # noqa: N801 - used as a statement's word, like contextlib's
    """The home with a box that runs from another card; closed when the block ends."""

    def __init__(self, home: ScriptedHome, card: Path, uplink: type[Uplink] = Uplink) -> None:
        self.home, self.box = home, Box(card, home.clock, uplink=uplink)

    def __enter__(self) -> ScriptedHome:
        return replace(self.home, box=self.box)

    def __exit__(self, *_: object) -> None:
        self.box.spool.close()


@asynccontextmanager
async def two_from_one(
    centre: Centre, folder: Path, uplink: type[Uplink]
) -> AsyncGenerator[tuple[ScriptedHome, ScriptedHome]]:
    """A home whose box is away, and the same card twice, with a press that was not yet sent."""
    async with scripted_homes(centre, folder, run=False) as (home,):
        async with running([home]):
            home.hear(home.opens())
            await home.sent()
        pressed_by(home, UNSENT)
        cards = [photograph(home, folder / f"card-{number}") for number in (1, 2)]
        with replaced(home, cards[0], uplink) as first, replaced(home, cards[1], uplink) as second:
            yield first, second


@asynccontextmanager
async def running_both(*homes: ScriptedHome) -> AsyncGenerator[None]:
    """Both boxes run; neither can be waited for to stay online."""
    tasks = [asyncio.create_task(home.box.run()) for home in homes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def pressed_by(home: ScriptedHome, counter: int) -> None:
    home.hear(home.call(counter))


async def all_sent(*homes: ScriptedHome) -> float:
    """Seconds until every box has a receipt for all that it kept."""
    began = time.monotonic()
    await asyncio.gather(*(home.sent(seconds=BOUND) for home in homes))
    return time.monotonic() - began


async def told(centre: Centre, home: ScriptedHome, *, presses: int) -> Sequence[Json]:
    """The one case of this citizen, once it has so many presses; a moment later it has no more."""

    async def case(nurse: Api) -> list[Json]:
        alerts = await alerts_of(nurse, home.citizen, "call_pressed")
        return alerts if alerts and len(alerts[0]["findings"]) >= presses else []

    async with centre.nurse() as nurse:
        await eventually(lambda: case(nurse), f"{presses} presses in one case", seconds=SOON)
        await asyncio.sleep(0.5)
        alerts = await alerts_of(nurse, home.citizen, "call_pressed")
    assert [len(alert["findings"]) for alert in alerts] == [presses]
    return alerts
