"""An office to test in: municipalities, people with keys, homes, alerts, and the application."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from fastapi import FastAPI
from starlette.types import ASGIApp

from deploy.runtime.services import OneDatabase
from gateway.api.app import Pages, around, build
from gateway.api.desk import Desk
from gateway.health import Health
from gateway.reads.live import Live
from gateway.settings import Settings
from gateway.store import keys, people
from gateway.store.caller import Role
from gateway.store.certificates import tell_authority
from gateway.store.pool import Connection, Pool, connect, connect_to
from gateway.store.secrets import hash_password

PASSWORD = "correct horse battery"  # noqa: S105 - of an office that lives for one test
ADDRESS = "gateway.example:8444"
"""Of the boxes' HTTPS, as codes tell it."""
START = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)


@dataclass
class HandClock:
    """Stands still until the test moves it."""

    moment: datetime = START
    driven: bool = False

    def now(self) -> datetime:
        return self.moment

    def now_ms(self) -> int:
        return int(self.moment.timestamp() * 1000)

    def pass_(self, **time: float) -> None:
        self.moment += timedelta(**time)


@dataclass(frozen=True, kw_only=True)
class Flat:
    """A home with one citizen; inside numbers and outside ids."""

    municipality: int
    district: int
    home: int
    home_public: UUID
    citizen: int
    citizen_public: UUID


@dataclass(kw_only=True)
class Office:
    """What a test works with. `owner` may do everything; `pool` what the API may."""

    owner: Connection
    pool: Pool
    clock: HandClock
    desk: Desk
    desk_app: FastAPI
    app: ASGIApp
    client_address: str = "10.0.0.9"
    clients: list[httpx2.AsyncClient] = field(default_factory=list[httpx2.AsyncClient])
    _count: int = 0

    async def municipality(self, name: str = "Kalundborg") -> int:
        return await people.municipality(self.owner, name, create=True)

    async def district(self, name: str = "Nord", *, within: str = "Kalundborg") -> int:
        return await people.district(self.owner, await self.municipality(within), name, create=True)

    async def key(
        self, role: Role = "staff", *, within: str = "Kalundborg", districts: Sequence[str] = ()
    ) -> str:
        where = await self.municipality(within)
        _, access = await self._person(role, within, districts, login=None)
        expires = self.clock.now() + timedelta(days=365)
        made = await keys.add_key(self.owner, municipality=where, access=access, expires=expires)
        return made.secret

    async def as_(
        self, role: Role = "staff", *, within: str = "Kalundborg", districts: Sequence[str] = ()
    ) -> httpx2.AsyncClient:
        """A program with a key of that role."""
        key = await self.key(role, within=within, districts=districts)
        return self.client(headers={"Authorization": f"Bearer {key}"})

    async def login(
        self,
        login: str,
        role: Role = "staff",
        *,
        within: str = "Kalundborg",
        districts: Sequence[str] = (),
    ) -> None:
        """A person who may sign in with PASSWORD."""
        await self._person(role, within, districts, login=login)

    async def _person(
        self, role: Role, within: str, districts: Sequence[str], *, login: str | None
    ) -> tuple[UUID, int]:
        self._count += 1
        return await people.add_person(
            self.owner,
            municipality=await self.municipality(within),
            login=login or f"{role}{self._count}",
            name=f"{(login or role).capitalize()} {self._count}",
            role=role,
            districts=[await self.district(name, within=within) for name in districts] or None,
            password_hash=await hash_password(PASSWORD) if login else None,
        )

    def client(
        self,
        headers: Mapping[str, str] | None = None,
        *,
        base_url: str = "http://gateway",
        cookies: Mapping[str, str] | None = None,
    ) -> httpx2.AsyncClient:
        made = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app, client=(self.client_address, 4000)),
            base_url=base_url,
            headers=headers,
            cookies=dict(cookies or {}),
        )
        self.clients.append(made)
        return made

    async def flat(
        self,
        *,
        within: str = "Kalundborg",
        district: str = "Nord",
        name: str = "Inger Holm",
        phone: str = "+45 12 34 56 78",
    ) -> Flat:
        where, part = await self.municipality(within), await self.district(district, within=within)
        home = await self._one(
            "INSERT INTO home (municipality, district) VALUES ($1, $2) RETURNING id, public",
            where,
            part,
        )
        citizen = await self._one(
            "INSERT INTO citizen (municipality, district, home) VALUES ($1, $2, $3) "
            "RETURNING id, public",
            where,
            part,
            home["id"],
        )
        await self.owner.execute(
            "INSERT INTO identity.citizen (municipality, citizen, name, address, phone, entry) "
            "VALUES ($1, $2, $3, 'Skovvej 4, 4400 Kalundborg', $4, 'Nøgleboks 12')",
            where,
            citizen["id"],
            name,
            phone,
        )
        return Flat(
            municipality=where,
            district=part,
            home=home["id"],
            home_public=home["public"],
            citizen=citizen["id"],
            citizen_public=citizen["public"],
        )

    async def alert(
        self,
        flat: Flat,
        *,
        kind: str = "call_pressed",
        minutes_ago: float = 3,
        reason: str = "Trykket kl. 20.57 i stuen",
        late: bool = False,
    ) -> UUID:
        at = self.clock.now() - timedelta(minutes=minutes_ago)
        row = await self._one(
            """
            INSERT INTO alert (municipality, district, citizen, kind, since, raised, reason, late)
            VALUES ($1, $2, $3, $4, $5, $5, $6, $7) RETURNING id, public
            """,
            flat.municipality,
            flat.district,
            flat.citizen,
            kind,
            at,
            reason,
            late,
        )
        await self.owner.execute(
            """
            INSERT INTO finding (municipality, citizen, rule, rule_version, subject, since, state,
                                 reason, alert)
            VALUES ($1, $2, $3, 1, '17:5', $4, 'holds', $5, $6)
            """,
            flat.municipality,
            flat.citizen,
            kind,
            at,
            reason,
            row["id"],
        )
        await self.owner.execute("SELECT pg_notify('alert', $1)", str(row["public"]))
        return row["public"]

    async def device(self, *, within: str = "Kalundborg", address: str | None = None) -> Any:
        self._count += 1
        return await self._one(
            "INSERT INTO device (municipality, address) VALUES ($1, $2) RETURNING id, public",
            await self.municipality(within),
            address or f"A4:C1:38:00:00:{self._count:02X}",
        )

    async def _one(self, query: str, *arguments: object) -> Any:
        row = await self.owner.fetchrow(query, *arguments)
        assert row is not None
        return row


@asynccontextmanager
async def office(
    database: OneDatabase, _folder: Path, *pages: Pages, **settings: Any
) -> AsyncGenerator[Office]:
    """The application on a database of its own."""
    clock, health = HandClock(), Health()
    usual: dict[str, Any] = {
        "edge_broker": "mqtts://gateway.example:8883",
        "production": False,
        "requests_a_minute": 100_000,  # the clock stands still: no bucket fills up again
    }
    chosen = Settings(database=database.address, **{**usual, **settings})
    async with connect(chosen, "api") as pool, connect_to(database.dsn()) as owner:
        await tell_authority(owner, fingerprint="ab" * 32, address=ADDRESS, now=clock.now())
        desk = Desk(pool=pool, clock=clock, settings=chosen, health=health, live=Live(pool, clock))
        app = build(desk, *pages)
        made = Office(
            owner=owner,
            pool=pool,
            clock=clock,
            desk=desk,
            desk_app=app,
            app=around(app, health),
        )
        try:
            yield made
        finally:
            for client in made.clients:
                await client.aclose()
