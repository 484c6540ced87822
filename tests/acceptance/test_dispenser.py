"""What the dispenser stores is fetched over GATT, once, whatever happens to the box meanwhile."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from deploy.world.api import Api, Json
from deploy.world.dispenser import Dispenser
from tests.acceptance.home import Centre, emulated_home, eventually

pytestmark = pytest.mark.slow

T = TypeVar("T")


async def test_a_dose_that_is_taken_is_known_with_its_slot_and_confirmation(
    centre: Centre, tmp_path: Path
) -> None:
    async with emulated_home(centre, tmp_path) as (home, _), centre.nurse() as nurse:
        dispenser = home.devices.dispenser
        await _visited(nurse, dispenser)

        dispenser.due(2)
        dispenser.dispense(2)
        dispenser.take(2)
        (taken,) = await eventually(
            lambda: _said(nurse, dispenser.address, "dose_taken"), "the dose is known"
        )

        assert (taken["code"], taken["clock"]) == (2, "device")
        assert abs(datetime.fromisoformat(taken["occurred"]) - datetime.now(UTC)) < timedelta(
            minutes=1
        )
        assert await centre.ask(
            "SELECT value FROM observation_detail d JOIN device ON device.id = d.device"
            " WHERE address = $1 AND d.name = 'confirmation'",
            dispenser.address,
        ) == ["ok_button"]


async def test_records_made_while_the_box_was_dead_come_later_and_once(
    centre: Centre, tmp_path: Path
) -> None:
    async with emulated_home(centre, tmp_path) as (home, _), centre.nurse() as nurse:
        dispenser = home.devices.dispenser
        await _visited(nurse, dispenser)
        dispenser.take(1)
        await eventually(lambda: _said(nurse, dispenser.address, "dose_taken"), "the first")

        assert home.box is not None
        home.box.kill()
        for slot in (2, 3, 4):
            dispenser.take(slot)
        home.start_box()

        await eventually(
            lambda: _announced(dispenser, _slots(nurse, dispenser.address, {1, 2, 3, 4})),
            "all four",
        )
        taken = await _said(nurse, dispenser.address, "dose_taken")
        assert Counter(one["code"] for one in taken) == {1: 1, 2: 1, 3: 1, 4: 1}


async def test_a_dispenser_that_was_reset_is_heard_from_its_first_record_on(
    centre: Centre, tmp_path: Path
) -> None:
    async with emulated_home(centre, tmp_path) as (home, _), centre.nurse() as nurse:
        dispenser = home.devices.dispenser
        await _visited(nurse, dispenser)
        for slot in (1, 2, 3):
            dispenser.take(slot)
        await eventually(lambda: _slots(nurse, dispenser.address, {1, 2, 3}), "the first three")

        dispenser.reset()
        dispenser.take(4)
        dispenser.announce()

        await eventually(lambda: _slots(nurse, dispenser.address, {1, 2, 3, 4}), "the fourth")
        taken = await _said(nurse, dispenser.address, "dose_taken")
        assert Counter(one["code"] for one in taken) == {1: 1, 2: 1, 3: 1, 4: 1}


async def _visited(nurse: Api, dispenser: Dispenser) -> None:
    """The box begins to listen at some moment: what was announced before, it has not heard."""
    await eventually(
        lambda: _announced(dispenser, _said(nurse, dispenser.address, "battery")), "a first visit"
    )


async def _announced(dispenser: Dispenser, seen: Awaitable[T]) -> T:
    """What is seen a moment after an announcement."""
    dispenser.announce()
    await asyncio.sleep(1)
    return await seen


async def _said(nurse: Api, address: str, kind: str) -> list[Json]:
    """What the device observed, of one kind; as the public API tells it."""
    devices = await nurse.all("/devices", limit=200)
    device = next(device for device in devices if device["address"] == address)
    return await nurse.all(f"/devices/{device['id']}/observations", kind=kind)


async def _slots(nurse: Api, address: str, wanted: set[int]) -> bool:
    return {one["code"] for one in await _said(nurse, address, "dose_taken")} == wanted
