"""The stage `edges`: serves the boxes' HTTPS, keeps the broker's lists, and knocks as the canary.

It alone holds our authority's keys. What it makes is judged by the machine's own clock, as every
TLS library does; the gateway's clock only says whether a code is too old.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Generator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from gateway.clock import Clock, WallClock
from gateway.edges import works
from gateway.edges.authority import Authority, BadAuthority
from gateway.edges.canary import EVERY, Canary
from gateway.edges.keeper import LONGEST, Keeper
from gateway.edges.refusals import Refusals
from gateway.edges.routes import Door, application
from gateway.health import Health
from gateway.listen import bound, split
from gateway.settings import BadSetting, Settings
from gateway.store.certificates import tell_authority
from gateway.store.pool import DatabaseDown, Pool, connect

_GRACE = 3
_MOST_AT_ONCE = 2_000
"""Connections; beyond that the answer is 503. A box asks once in two months."""

_FRESH = 5.0
"""Seconds between two looks at whether the server's certificate was renewed."""

_AGAIN = 2.0


def fit(settings: Settings) -> None:
    """Raises BadSetting unless the stage can run: said at once, and not again and again."""
    for name in ("authority", "broker_files", "broker_pid_file"):
        if getattr(settings, name) is None:
            raise BadSetting(f"GATEWAY_{name.upper()}: the stage edges needs it")
    _authority(settings)
    for name in ("edge_listen", "edge_address"):
        split(f"GATEWAY_{name.upper()}", getattr(settings, name))
    _doors(settings)


async def run(
    settings: Settings,
    clock: Clock,
    health: Health,
    *,
    longest: float = LONGEST,
    every: float = EVERY,
) -> None:
    """Until cancelled. Tests give shorter seconds between the keeper's and the canary's looks."""
    authority = _authority(settings)
    with await bound("GATEWAY_EDGE_LISTEN", settings.edge_listen) as listening:
        async with connect(settings, "edges") as pool, asyncio.TaskGroup() as group:
            keeper = Keeper(settings, pool, WallClock(), health, authority, longest=longest)
            door = Door(
                pool, clock, health, authority=lambda: keeper.authority, broker=settings.edge_broker
            )
            app = application(door)
            app.routes.extend(works.routes(health))
            server = _Server(_config(app, authority.folder))
            canary = Canary(
                partial(_doors, settings),
                authority.folder,
                health,
                partial(keeper.look, anew=True),
                every=every,
            )
            group.create_task(keeper.run())
            group.create_task(canary.run())
            group.create_task(_tell(pool, settings, authority, clock))
            group.create_task(server.keep_fresh(authority.folder))
            if settings.broker_log is not None:
                group.create_task(Refusals(settings.broker_log, health).run())
            health.ok("edges")
            await server.serve_until_cancelled([listening])


def _authority(settings: Settings) -> Authority:
    if settings.authority is None:
        raise BadSetting("GATEWAY_AUTHORITY: the stage edges needs it")
    try:
        return Authority.read(settings.authority)
    except BadAuthority as bad:
        raise BadSetting(f"GATEWAY_AUTHORITY: {bad}") from bad


async def _tell(pool: Pool, settings: Settings, authority: Authority, clock: Clock) -> None:
    """Codes made from now on name us. As soon as the database answers."""
    while True:
        try:
            await tell_authority(
                pool,
                fingerprint=authority.fingerprint,
                address=settings.edge_address,
                now=clock.now(),
            )
        except DatabaseDown:
            await asyncio.sleep(_AGAIN)
        else:
            return


def _doors(settings: Settings) -> list[tuple[str, int]]:
    """The broker's listeners as this machine reaches them: the boxes', and the gateway's own."""
    if settings.edge_broker_here is not None:
        boxes = split("GATEWAY_EDGE_BROKER_HERE", settings.edge_broker_here)
    else:
        told = urlsplit(settings.edge_broker)
        boxes = split("GATEWAY_EDGE_BROKER", told.netloc)
    return list(dict.fromkeys([boxes, (settings.broker_host, settings.broker_port)]))


def _config(app: ASGIApp, folder: Path) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,  # nobody stands between a box and us: an address is an address
        timeout_graceful_shutdown=_GRACE,
        limit_concurrency=_MOST_AT_ONCE,
        ssl_certfile=folder / "https.pem",
        ssl_keyfile=folder / "https.key",
    )


class _Server(uvicorn.Server):
    """A server in a program that handles its own signals, whose certificate is renewed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def serve_until_cancelled(self, sockets: list[socket.socket]) -> None:
        """When cancelled, lets open requests finish."""
        serving = asyncio.ensure_future(self.serve(sockets=sockets))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self.should_exit = True
            await serving
            raise

    async def keep_fresh(self, folder: Path) -> None:
        """Connections made from now on see the new certificate."""
        own = folder / "https.pem"
        seen = own.read_bytes()
        while True:
            await asyncio.sleep(_FRESH)
            with contextlib.suppress(OSError, ssl.SSLError):  # half of the pair is there: again
                if (now := own.read_bytes()) != seen and self.config.ssl is not None:
                    self.config.ssl.load_cert_chain(own, folder / "https.key")
                    seen = now
