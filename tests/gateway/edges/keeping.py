"""The stage `edges` on a real database and a real broker, with boxes that have joined."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from deploy.runtime.services import OneDatabase, free_port
from gateway.clock import WallClock
from gateway.edges import stage
from gateway.health import Health
from gateway.settings import Settings
from gateway.store import boxes, certificates, people
from gateway.store.certificates import Certificate
from gateway.store.pool import Connection, connect, connect_to
from gateway.store.secrets import digest
from tests.gateway.edges.requests import new_key, request
from tests.gateway.edges.trust import Identity, Trust, now

SOON = 0.2
"""Seconds between two looks of keeper and canary in a test; 60 and 30 in the service."""


@dataclass(kw_only=True)
class Kept:
    """What a test has. `owner` is the database as an administrator's commands have it."""

    trust: Trust
    owner: Connection
    settings: Settings
    health: Health = field(default_factory=Health)

    async def joined(self) -> Identity:
        """A box that has joined: with a certificate that the database knows."""
        where = await people.municipality(self.owner, "Kalundborg", create=True)
        made = await boxes.add_box(self.owner, municipality=where, home=None, now=now())
        key, at = new_key(), now()
        given = self.trust.authority.certify_box(request(key), made.name, at)
        wanted = Certificate(
            edge=made.name,
            serial=given.serial,
            key=bytes(32),
            pem=given.pem,
            issued=given.issued,
            renew=given.renew,
            expires=given.expires,
        )
        async with connect(self.settings, "edges") as pool:
            await certificates.take(
                pool,
                digest(made.secret),
                key=bytes(32),
                now=at,
                wall=at,
                certify=lambda _edge: wanted,
            )
        return self.trust.kept(made.name, key, given.pem, given.serial)

    async def revoke(self, who: Identity) -> None:
        await boxes.revoke_box(self.owner, who.name, now(), "stolen", None)

    @property
    def revoked(self) -> Path:
        """The list that the broker reads."""
        return self.trust.broker.files / "revoked.pem"

    def counted(self, answer: str) -> float:
        told = self.health.registry.get_sample_value
        return told("trygport_canary_knocks_total", {"answer": answer}) or 0.0


@asynccontextmanager
async def kept(trust: Trust, database: OneDatabase) -> AsyncGenerator[Kept]:
    """Not started yet: see `running`."""
    settings = Settings.model_validate(
        {
            "production": False,
            "database": database.address,
            "authority": trust.authority.folder,
            "broker_files": trust.broker.files,
            "broker_pid_file": trust.broker.pid_file,
            "broker_log": trust.broker.log,
            "broker_port": trust.broker.gateway_port,
            "edge_broker": f"mqtts://127.0.0.1:{trust.broker.port}",
            "edge_listen": f"127.0.0.1:{free_port()}",
        }
    )
    async with connect_to(database.dsn()) as owner:
        yield Kept(trust=trust, owner=owner, settings=settings)


@asynccontextmanager
async def running(
    here: Kept, *, longest: float = SOON, every: float = SOON
) -> AsyncGenerator[None]:
    """The stage, until the end of the block."""
    task = asyncio.create_task(
        stage.run(here.settings, WallClock(), here.health, longest=longest, every=every)
    )
    try:
        await until(lambda: here.health.ready, task=task)
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(
    true: Callable[[], object],
    *,
    within: timedelta = timedelta(seconds=10),
    task: "asyncio.Task[None] | None" = None,
) -> float:
    """Wait until it holds; the seconds that it took."""
    started = asyncio.get_running_loop().time()
    async with asyncio.timeout(within.total_seconds()):
        while not await asyncio.to_thread(true):
            if task is not None and task.done():
                await task
            await asyncio.sleep(0.02)
    return asyncio.get_running_loop().time() - started
