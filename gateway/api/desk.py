"""What every route works with: the database, the clock, the live stream."""

from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from gateway.clock import Clock
from gateway.health import Health
from gateway.reads.live import Live
from gateway.settings import Settings
from gateway.store.pool import Pool
from gateway.store.seal import Seal, of_settings
from gateway.throttle import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Opened once by `gateway.api.app.run`, and handed to every request."""

    pool: Pool
    clock: Clock
    settings: Settings
    health: Health
    live: Live
    rate: Rate = field(default_factory=Rate)
    seal: Seal = field(init=False)
    """The keys that names are sealed with."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "seal", of_settings(self.settings))


def desk_of(request: Request) -> Desk:
    return cast("Desk", request.app.state.desk)


async def _here(request: Request) -> Desk:
    """Not desk_of itself: FastAPI sends what is not async to a thread, once for every request."""
    return desk_of(request)


Here = Annotated[Desk, Depends(_here)]
