"""Remembers whose boxes and devices are, until the database says that something changed."""

import asyncio
import contextlib
import re
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from gateway.ingest.batches import Arrival, SpoiledFrame
from gateway.store import known, streams
from gateway.store.bell import listening
from gateway.store.device_keys import DeviceKeys
from gateway.store.known import Address, Device, Edge
from gateway.store.pool import Connection, DatabaseDown, Pool
from gateway.store.seal import Seal

_LONGEST = 60.0
"""Seconds that anything is remembered, should an announcement have been missed."""
MOST = 300_000
"""Devices remembered at a time, about 75 MB: a country has 78 000 different ones in a minute, and
a box may invent as many as it likes."""
_AGAIN = 1.0
_ADDRESS = re.compile("[0-9A-F]{2}(:[0-9A-F]{2}){5}")


class NewEpoch(DatabaseDown):
    """The database was restored while we ran: all that is remembered is of another life of it.

    Whoever runs begins anew.
    """


@dataclass(slots=True)
class Picture:
    """What is known at one time; None for what was asked for and is not ours.

    Whoever works with a picture keeps it to the end: forgetting begins a new one.
    """

    edges: dict[str, Edge | None] = field(default_factory=dict[str, "Edge | None"])
    devices: dict[Address, Device | None] = field(default_factory=dict[Address, "Device | None"])
    since: float = field(default_factory=time.monotonic)


class Known:
    """The boxes and devices that were asked for lately.

    While the database's announcements cannot be heard, nothing is remembered. `seal` opens the
    devices' keys, each once.
    """

    def __init__(self, pool: Pool, seal: Seal, *, most: int = MOST) -> None:
        self._pool = pool
        self._keys = DeviceKeys(seal)
        self._most = most
        self._picture = Picture()
        self._hears = False
        self._epoch: UUID | None = None

    async def in_epoch(self, db: Connection | Pool) -> UUID:
        """The store's epoch, the same for as long as we remember. Raises NewEpoch, DatabaseDown."""
        found = await streams.epoch(db)
        if self._epoch not in (None, found):
            raise NewEpoch(f"the store is in its epoch {found}, and was in {self._epoch}")
        self._epoch = found
        return found

    async def run(self) -> None:
        """Listen for changes until cancelled; a lost connection is made again."""
        while True:
            with contextlib.suppress(DatabaseDown):
                async with listening(self._pool, "home") as bell:
                    self._picture, self._hears = Picture(), True
                    while True:
                        if await bell.wait(_LONGEST):
                            self._picture = Picture()
            self._hears = False
            await asyncio.sleep(_AGAIN)

    async def look_up(self, arrivals: Collection[Arrival], others: Collection[str]) -> Picture:
        """All that these batches need, and other boxes, asked of the database where not known.

        Raises DatabaseDown.
        """
        picture = self._current()
        await self._look_up_edges(picture, {arrival.edge for arrival in arrivals} | set(others))
        if missing := _missing(picture, arrivals):
            asked = {address for address in missing if _ADDRESS.fullmatch(address[1])}
            found = await known.devices(self._pool, asked, self._keys) if asked else {}
            picture.devices.update({address: found.get(address) for address in missing})
        return picture

    async def edge(self, name: str) -> Edge | None:
        """One box. Raises DatabaseDown."""
        return (await self.edges({name}))[name]

    async def edges(self, names: set[str]) -> Mapping[str, Edge | None]:
        """These boxes, in one question to the database. Raises DatabaseDown."""
        picture = self._current()
        await self._look_up_edges(picture, names)
        return picture.edges

    def _current(self) -> Picture:
        full = len(self._picture.devices) > self._most
        if full or not self._hears or time.monotonic() - self._picture.since > _LONGEST:
            self._picture = Picture()
        return self._picture

    async def _look_up_edges(self, picture: Picture, names: set[str]) -> None:
        if missing := names - picture.edges.keys():
            found = await known.edges(self._pool, missing)
            picture.edges.update({name: found.get(name) for name in missing})


def _missing(picture: Picture, arrivals: Iterable[Arrival]) -> set[Address]:
    """The devices of our boxes' batches that were not asked for yet."""
    missing: set[Address] = set()
    for arrival in arrivals:
        if (edge := picture.edges[arrival.edge]) is None:
            continue
        for frame in arrival.frames:
            if not isinstance(frame, SpoiledFrame):
                address = edge.municipality, frame.device
                if address not in picture.devices:
                    missing.add(address)
    return missing
