"""A house in the real database, and what ingest would store of it."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any, Literal
from uuid import uuid4

import asyncpg

from adapters.observation import Kind
from deploy.runtime.services import OneDatabase
from gateway.home import Citizen
from gateway.settings import Settings

LONG_AGO = datetime(2010, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class StillClock:
    """A clock that a test sets."""

    at: datetime
    driven: bool = False

    def now(self) -> datetime:
        return self.at

    def now_ms(self) -> int:
        return int(self.at.timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Seen:
    """One observation to deliver."""

    device: int
    kind: Kind
    occurred: datetime
    value: float | None = None
    code: int | None = None


class House:
    """The owner's connection, and the numbers of what it made."""

    def __init__(self, db: "asyncpg.Connection[asyncpg.Record]", where: OneDatabase) -> None:
        self.db = db
        self.where = where
        self.municipality = 0
        self.district = 0
        self.edges: dict[int, int] = {}
        self.streams: dict[tuple[int, str], int] = {}
        self.sequence = 0

    def settings(self, **other: Any) -> Settings:
        return Settings(database=self.where.address, production=False, **other)

    async def citizen(self, zone: str = "Europe/Copenhagen") -> Citizen:
        """A citizen in a home of their own with a box."""
        home = await self.db.fetchval(
            "INSERT INTO home (municipality, district, zone) VALUES ($1, $2, $3) RETURNING id",
            self.municipality,
            self.district,
            zone,
        )
        return await self.citizen_in(home)

    async def citizen_in(self, home: int) -> Citizen:
        number = await self.db.fetchval(
            "INSERT INTO citizen (municipality, district, home) VALUES ($1, $2, $3) RETURNING id",
            self.municipality,
            self.district,
            home,
        )
        self.edges[number] = await self.db.fetchval(
            "INSERT INTO edge (municipality, name, home) VALUES ($1, $2, $3) RETURNING id",
            self.municipality,
            f"box-{number}",
            home,
        )
        return Citizen(self.municipality, number)

    async def device(self) -> int:
        return await self.db.fetchval(
            "INSERT INTO device (municipality, address) VALUES ($1, $2) RETURNING id",
            self.municipality,
            str(uuid4()),
        )

    async def placed(self, citizen: Citizen, role: str, room: str = "stue") -> int:
        """A new device, placed since long ago; its number."""
        device = await self.device()
        await self.db.execute(
            'INSERT INTO placement (municipality, device, citizen, role, room, "from")'
            " VALUES ($1, $2, $3, $4, $5, $6)",
            self.municipality,
            device,
            citizen.number,
            role,
            room,
            LONG_AGO,
        )
        return device

    async def plan(self, device: int, *at: str, valid_from: datetime = LONG_AGO) -> None:
        """A dose plan with a window of 60 and a grace of 30 minutes."""
        plan = await self.db.fetchval(
            "INSERT INTO dose_plan (municipality, placement, version, valid_from, zone)"
            " SELECT municipality, id, 1, $2, 'Europe/Copenhagen' FROM placement WHERE device = $1"
            " RETURNING id",
            device,
            valid_from,
        )
        for slot, one in enumerate(at, start=1):
            await self.db.execute(
                "INSERT INTO dose_plan_slot VALUES ($1, $2, $3, $4, 60, 30)",
                self.municipality,
                plan,
                slot,
                time.fromisoformat(one),
            )

    async def contact(
        self,
        citizen: Citizen,
        start: datetime = LONG_AGO,
        end: datetime | None = None,
        ended_by: str | None = None,
    ) -> None:
        await self.db.execute(
            'INSERT INTO contact (municipality, edge, "from", "to", ended_by)'
            " VALUES ($1, $2, $3, $4, $5)",
            self.municipality,
            self.edges[citizen.number],
            start,
            end,
            ended_by or ("lost" if end else None),
        )

    async def lose_contact(self, citizen: Citizen, at: datetime) -> None:
        """The will arrives: what ingest writes."""
        async with self.db.transaction():
            await self.db.execute(
                'UPDATE contact SET "to" = $2, ended_by = $3, sure_from = $2'
                ' WHERE edge = $1 AND "to" IS NULL',
                self.edges[citizen.number],
                at,
                "lost",
            )
            await self.due(citizen, at)

    async def due(self, citizen: Citizen, at: datetime) -> None:
        await self.db.execute(
            "INSERT INTO deadline VALUES ($1, $2, $3)"
            " ON CONFLICT (municipality, citizen)"
            " DO UPDATE SET due = LEAST(deadline.due, EXCLUDED.due)",
            citizen.municipality,
            citizen.number,
            at,
        )
        await self.db.execute("NOTIFY pending")

    async def deliver(
        self,
        citizens: Sequence[Citizen],
        seen: Iterable[Seen],
        *,
        lane: Literal["urgent", "bulk"] = "urgent",
        received: datetime | None = None,
    ) -> None:
        """What ingest does with one batch, in one transaction."""
        rows = list(seen)
        first, self.sequence = self.sequence, self.sequence + len(rows)
        async with self.db.transaction():
            stream = await self._stream(self.edges[citizens[0].number], lane)
            await self._observe(rows, received, batch=first)
            await self.db.execute(
                "UPDATE stream SET received = received + int8multirange(int8range($2, $3))"
                " WHERE id = $1",
                stream,
                first,
                self.sequence,
            )
            await self.db.execute(
                "INSERT INTO pending"
                " (municipality, lane, stream, range, batch, earliest, latest, citizens)"
                " VALUES ($1, $2, $3, int8range($4, $5), $4, $6, $7, $8)",
                *(self.municipality, lane, stream, first, self.sequence),
                min(one.occurred for one in rows),
                max(one.occurred for one in rows),
                [one.number for one in citizens],
            )
            await self.db.execute("NOTIFY pending")

    async def _observe(self, rows: list[Seen], received: datetime | None, *, batch: int) -> None:
        await self.db.executemany(
            "INSERT INTO observation VALUES ($1, $2, $3, $4, 0, $5, $6, 0, $7)",
            [
                (
                    *(one.device, int(one.kind), one.occurred, received or one.occurred),
                    *(one.value, one.code, batch),
                )
                for one in rows
            ],
        )

    async def _stream(self, edge: int, lane: str) -> int:
        if (edge, lane) not in self.streams:
            self.streams[edge, lane] = await self.db.fetchval(
                "INSERT INTO stream (municipality, uuid, edge, lane)"
                " VALUES ($1, gen_random_uuid(), $2, $3) RETURNING id",
                self.municipality,
                edge,
                lane,
            )
        return self.streams[edge, lane]

    async def rows(self, query: str, *arguments: object) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.db.fetch(query, *arguments)]

    async def alerts(self) -> list[dict[str, Any]]:
        return await self.rows("SELECT * FROM alert ORDER BY raised, citizen, kind")

    async def count(self, table: Literal["alert", "finding", "notice", "pending"]) -> int:
        return await self.db.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608


@asynccontextmanager
async def house(where: OneDatabase) -> AsyncGenerator[House]:
    db = await asyncpg.connect(where.dsn())
    try:
        made = House(db, where)
        made.municipality = await db.fetchval(
            "INSERT INTO municipality (name) VALUES ('Kommune') RETURNING id"
        )
        made.district = await db.fetchval(
            "INSERT INTO district (municipality, name) VALUES ($1, 'Nord') RETURNING id",
            made.municipality,
        )
        yield made
    finally:
        await db.close()
