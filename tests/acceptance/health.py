"""A home with health devices in the emulated air, and what the database holds of them."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import asyncpg

from adapters.observation import ClockQuality, Kind
from deploy.world.health import HealthDevice
from deploy.world.home import EmulatedHome
from deploy.world.settling import Fitting, fit, settle_one
from tests.acceptance.home import ZONE, Centre, eventually
from tests.diaries import FLAGS, Expected


@asynccontextmanager
async def health_home(
    centre: Centre,
    folder: Path,
    models: Mapping[HealthDevice, str],
    *,
    since: datetime,
    zone: str = ZONE,
) -> AsyncGenerator[EmulatedHome]:
    """A home with these devices, placed before their first record; its box is off."""
    async with (
        centre.installer() as api,
        EmulatedHome(folder, clock="wall", now=lambda: 0.0) as home,
    ):
        home.bluez.add(*models)
        settled = await settle_one(api, centre.stack, "Elna Holm", zone=zone, join=home.join)
        fittings = [
            Fitting(
                address=device.address,
                model=model,
                role="other",
                room="Stue",
                more={"from": since.isoformat()},
            )
            for device, model in models.items()
        ]
        await fit(api, settled.citizen, fittings)
        yield home


async def announced(centre: Centre, devices: Iterable[HealthDevice], wanted: int) -> None:
    """Devices ask for a connection as after each measurement, until so many rows are stored."""
    announcing = tuple(devices)

    async def enough() -> bool:
        for device in announcing:
            device.announce()
        await asyncio.sleep(0.3)
        found = await stored(centre, [one.address for one in announcing])
        return sum(one.rows.total() for one in found.values()) >= wanted

    await eventually(enough, "all records are stored", seconds=120)


async def stored(centre: Centre, addresses: Iterable[str]) -> Mapping[str, Expected]:
    """What the database holds of each device, but for the battery."""
    found = {one: Expected() for one in addresses}
    db = await asyncpg.connect(centre.stack.owner)
    try:
        rows = await db.fetch(_ROWS, list(found), int(Kind.BATTERY))
        details = await db.fetch(_DETAILS, list(found), list(FLAGS))
    finally:
        await db.close()
    for row in rows:
        assert row["clock"] == ClockQuality.DEVICE
        said = (Kind(row["kind"]), row["occurred"], row["value"], row["quality"])
        found[row["address"]].rows[said] += 1
    for row in details:
        found[row["address"]].flags[
            Kind(row["kind"]), row["occurred"], row["name"], row["value"]
        ] += 1
    return found


_ROWS = """
    SELECT d.address, o.kind, o.occurred, o.value, o.quality, o.clock
    FROM observation o JOIN device d ON d.id = o.device
    WHERE d.address = ANY ($1) AND o.kind <> $2
"""
_DETAILS = """
    SELECT d.address, o.kind, o.occurred, o.name, o.value
    FROM observation_detail o JOIN device d ON d.id = o.device
    WHERE d.address = ANY ($1) AND o.name = ANY ($2)
"""
