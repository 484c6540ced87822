"""The HTTP servers: the application put together, and served until told to stop."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator, Mapping
from typing import Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from gateway import log
from gateway.api import (
    alerts,
    audit,
    beginning,
    box_events,
    commands,
    devices,
    edges,
    edges_changes,
    edges_import,
    emergencies,
    health,
    homes,
    keys,
    mapping,
    placements,
    problems,
    register,
    register_people,
    register_repair,
    register_things,
    roles,
    sessions,
    stream,
    walk,
)
from gateway.api.access import guard
from gateway.api.description import described, operation_id
from gateway.api.desk import Desk
from gateway.api.door import Door
from gateway.api.headers import Headers
from gateway.api.linker import keep_linked
from gateway.api.sizes import Sizes
from gateway.clock import Clock
from gateway.health import Health
from gateway.listen import bound
from gateway.reads.live import Live
from gateway.settings import BadSetting, Settings
from gateway.store.pool import connect

Pages = Callable[[Door], APIRouter]
"""Screens, made when they are given the door: this room does not know them."""

_GRACE = 3
"""Seconds that open requests get when the server stops; streams are ended at once."""
_CONNECTIONS = 12
"""To the database: one listens for all streams, the others answer."""

_MOST_AT_ONCE = 2_000
"""Connections; beyond that the answer is 503, and those that are there go on."""

_log = log.get(__name__)
_ROUTERS = (
    alerts.router,
    homes.router,
    devices.router,
    placements.router,
    edges_import.router,  # of a path that two fit, the first says which methods it has
    edges.router,
    edges_changes.router,
    box_events.router,
    commands.router,
    walk.router,
    stream.router,
    audit.router,
    health.router,
    sessions.router,
    keys.router,
    mapping.router,
    register.router,
    register_people.router,
    register_repair.router,
    register_things.router,
    roles.router,
    emergencies.router,
)


async def run(
    settings: Settings, clock: Clock, health: Health, *, pages: tuple[Pages, ...] = ()
) -> None:
    """Serves HTTP, and HTTPS where a certificate is set, until cancelled."""
    with contextlib.ExitStack() as open_sockets:
        sockets = [
            (open_sockets.enter_context(await bound(setting, address)), tls)
            for setting, address, tls in _places(settings)
        ]
        async with connect(settings, "api", most=_CONNECTIONS) as pool:
            live = Live(pool, clock)
            desk = Desk(pool=pool, clock=clock, settings=settings, health=health, live=live)
            app = around(build(desk, *pages), health)
            async with asyncio.TaskGroup() as group:
                group.create_task(live.run())
                group.create_task(beginning.announce(pool, settings, clock))
                group.create_task(keep_linked(pool, settings.audit_heads, clock, health))
                for listening, tls in sockets:
                    group.create_task(_serve(_Server(_config(app, tls)), listening, live))
                health.ok("api")


def build(desk: Desk, *pages: Pages) -> FastAPI:
    """The application: every route behind the one door."""
    app = FastAPI(
        title="Trygport",
        dependencies=[Depends(guard)],
        openapi_url=None,
        generate_unique_id_function=operation_id,
        redirect_slashes=False,
        # its own telemetry would carry addresses and the texts of errors out of the house
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.desk = desk
    problems.install(app)
    for router in _ROUTERS:
        app.include_router(router)
    for made in pages:
        door = Door(desk)
        app.include_router(made(door))
        app.state.refused = door.refused

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> JSONResponse:
        return JSONResponse(described(app))

    return app


def around(app: FastAPI, health: Health) -> ASGIApp:
    """The application as it is served: sizes, headers, log and measurements around it."""
    return Headers(Sizes(app), health)


class _Server(uvicorn.Server):
    """A server in a program that handles its own signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _places(settings: Settings) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Where to listen: the setting, its HOST:PORT and uvicorn's options. Raises BadSetting."""
    places: list[tuple[str, str, Mapping[str, Any]]] = [
        ("GATEWAY_HTTP_LISTEN", settings.http_listen, {})
    ]
    if settings.https_listen is not None:
        if settings.tls_cert is None or settings.tls_key is None:
            raise BadSetting("GATEWAY_HTTPS_LISTEN needs GATEWAY_TLS_CERT and GATEWAY_TLS_KEY")
        tls = {"ssl_certfile": settings.tls_cert, "ssl_keyfile": settings.tls_key}
        places.append(("GATEWAY_HTTPS_LISTEN", settings.https_listen, tls))
    return places


def _config(app: ASGIApp, tls: Mapping[str, Any]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        limit_concurrency=_MOST_AT_ONCE,
        **tls,
    )


async def _serve(server: _Server, listening: socket.socket, live: Live) -> None:
    """Serves; when cancelled, ends the streams and lets open requests finish."""
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        live.close()
        server.should_exit = True
        await serving
        raise
