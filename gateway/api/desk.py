"""What every route works with: the database, the clock, the live stream."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends, Request

from gateway.api.throttle import Throttle
from gateway.clock import Clock
from gateway.reads.live import Live
from gateway.store.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """What a box is told when it joins. `ca` is PEM text."""

    broker: str
    ca: str | None
    password_file: Path | None
    pid_file: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Opened once by `gateway.api.app.run`, and handed to every request."""

    pool: Pool
    clock: Clock
    live: Live
    joins: Throttle = field(default_factory=lambda: Throttle(30, timedelta(minutes=1)))


def desk_of(request: Request) -> Desk:
    return cast("Desk", request.app.state.desk)


Here = Annotated[Desk, Depends(desk_of)]
