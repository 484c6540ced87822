"""A box's spool and a database that agree, to be made to differ by a test."""

from pathlib import Path
from uuid import UUID

import asyncpg

from adapters.observation import Kind
from deploy.world.frames import advertisement, static_address
from deploy.world.payloads import BTHOME, bthome_payload, motion_object
from edge.clock import clock_from
from edge.keeping.spool import Spool

DEVICE = static_address("kept")
FIRST = 1_772_400_000_000
"""When the first of the frames was heard, in milliseconds since 1970; then one each second."""
FRAMES = 4


async def spooled_and_stored(dsn: str, folder: Path) -> Path:
    """The file of a spool with FRAMES movements, each stored once in the database."""
    path = folder / "spool.db"
    said = {BTHOME: bthome_payload([motion_object(moving=True)])}
    times = [FIRST + 1000 * number for number in range(FRAMES)]
    with Spool(path, clock_from("wall", synchronised="yes")) as spool:
        spool.append_many(
            [advertisement(DEVICE, at=at, uptime=1.0, data=said) for at in times], "bulk"
        )
        run = spool.cut("bulk", frames=1, octets=10_000)
        assert run is not None
        stream = UUID(run.stream)
    await _store(dsn, stream, times)
    return path


async def change(dsn: str, *statements: str) -> None:
    """Make the database differ, as its owner."""
    db = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await db.execute(statement)
    finally:
        await db.close()


async def _store(dsn: str, stream: UUID, times: list[int]) -> None:
    rows = ", ".join(
        f"(1, {int(Kind.MOTION)}, to_timestamp({at} / 1000.0), now(), 0, 1, NULL, 0, 1)"
        for at in times
    )
    await change(
        dsn,
        "INSERT INTO municipality (name) VALUES ('Kommunen')",
        "INSERT INTO edge (municipality, name) SELECT id, 'box-kept' FROM municipality",
        f"INSERT INTO device (municipality, address) SELECT id, '{DEVICE}' FROM municipality",  # noqa: S608 - ours
        "INSERT INTO stream (municipality, uuid, edge, lane, received)"  # noqa: S608 - ours
        f" SELECT municipality, '{stream}', id, 'bulk', '{{[1,{FRAMES + 1})}}' FROM edge",
        f"INSERT INTO observation VALUES {rows}",  # noqa: S608 - ours
    )
