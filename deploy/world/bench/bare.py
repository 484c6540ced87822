"""The API's two busiest answers without sign-in, rights and log: what `bench access` compares with.

Same queries, same bodies, same server around them; asked as the owner of the tables, whom no
policy confines. Never a part of what ships.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import uvicorn
from fastapi import FastAPI

from gateway.api import alerts, devices
from gateway.api.app import around
from gateway.health import Health
from gateway.reads import alerts as alert_reads
from gateway.reads import devices as device_reads
from gateway.settings import Settings
from gateway.store.caller import Caller
from gateway.store.pool import Pool, as_it_was, set_up
from gateway.store.seal import of_settings

if TYPE_CHECKING:
    from gateway.store.pool import Row

_CONNECTIONS = 12
_DAY = timedelta(days=1)


def build(pool: Pool, caller: Caller) -> FastAPI:
    """The two routes, for one caller that nobody asks about."""
    app = FastAPI(openapi_url=None, telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.get("/alerts")
    async def list_alerts(limit: int = 50) -> alerts.AlertsBody:
        async with pool.acquire() as db:
            found = await alert_reads.alerts(db, caller, limit=limit + 1)
        shown = [alerts.alert_body(one) for one in found[:limit]]
        return alerts.AlertsBody(alerts=shown, next=None)

    @app.get("/devices/{public}/observations")
    async def list_observations(public: UUID) -> devices.ObservationsBody:
        until = datetime.now(UTC)
        async with pool.acquire() as db:
            found = await device_reads.observations(
                db, caller, public, since=until - _DAY, until=until, kinds=None, limit=1_001
            )
        shown = [devices.observation_body(one) for one in found]
        return devices.ObservationsBody(observations=shown, next=None)

    return app


async def serve(dsn: str, port: int, login: str) -> None:
    """Serves until the process ends."""
    connections: asyncpg.Pool[Row] = asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=_CONNECTIONS,
        init=_as_owner,
        reset=as_it_was,
        server_settings={"jit": "off"},
    )
    async with connections:
        pool = Pool(connections)
        app = around(build(pool, await _caller(pool, login)), Health())
        config = uvicorn.Config(
            app, port=port, log_config=None, access_log=False, lifespan="off", server_header=False
        )
        await uvicorn.Server(config).serve()


async def _as_owner(connection: "asyncpg.Connection[Row]") -> None:
    """The view is its reader's, whom policies confine: here one of the owner's hides it."""
    await set_up(connection)
    seen = await connection.fetchval("SELECT pg_get_viewdef('public.placed_observation')")
    await connection.execute(f"CREATE TEMP VIEW placed_observation AS {seen}")


async def _caller(pool: Pool, login: str) -> Caller:
    row = await pool.fetchrow(
        """
        SELECT p.municipality, p.id AS person, p.public, a.role, a.districts
        FROM person p JOIN access a ON a.municipality = p.municipality AND a.person = p.id
        WHERE p.login = $1
        """,
        login,
    )
    if row is None:
        raise LookupError(login)
    return Caller(
        municipality=row["municipality"],
        person=row["person"],
        public=row["public"],
        name=login,
        role=row["role"],
        districts=frozenset(row["districts"]),
        seal=of_settings(Settings.read()),
    )


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
