"""Birth, last will, and every five minutes: how deep the spool is and how old its oldest frame."""

import json
from dataclasses import asdict, dataclass, field
from typing import Literal

from adapters.frame import LANES, Lane
from edge.clock import Clock
from edge.keeping.spool import Spool
from edge.radio import Mode, Reader

FORMAT = 1
"""The version of the state message that this module writes."""
EVERY = 300.0
"""Seconds between state messages when nothing else gives a reason for one."""

State = Literal["running", "stopped", "lost"]


@dataclass(kw_only=True)
class Heartbeat:
    """What the box says of itself. `keepalive` is seconds, `config` the version it follows.

    `mode` is how the radio listens, `room_days` for how many days more the spool has room,
    `path` the way to the gateway that is in use (2: the second), `trouble` what keeps the box
    from its duty, in one word, `refused` why the newest configuration is not followed. The last
    will is written at connecting, so the time in it is that
    of the connection's start.
    """

    spool: Spool
    clock: Clock
    version: str = "0"
    keepalive: int = 60
    config: int = 0
    reader: Reader = "off"
    mode: Mode | None = None
    room_days: float | None = None
    path: Literal[1, 2] = 1
    trouble: str | None = None
    refused: str | None = None
    started: int = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock.now_ms()

    def message(self, state: State) -> bytes:
        """One state message, times in milliseconds since 1970.

        `epoch` is the life of the gateway's store that is followed, `card` what a full one cost.
        """
        cost = self.spool.cost
        said = {
            "format": FORMAT,
            "state": state,
            "version": self.version,
            "at": self.clock.now_ms(),
            "started": self.started,
            "keepalive": self.keepalive,
            **{lane: self._lane(lane) for lane in LANES},
            "config": self.config,
            "reader": self.reader,
            "epoch": self.spool.epoch,
            "keep_days": self.spool.keep_days,
            "card": cost and asdict(cost),
            "mode": self.mode,
            "room_days": self.room_days,
            "path": self.path,
            "trouble": self.trouble,
            "refused": self.refused,
        }
        return json.dumps(said, separators=(",", ":")).encode()

    def _lane(self, lane: Lane) -> dict[str, int | None]:
        return {"depth": self.spool.depth(lane), "oldest": self.spool.oldest(lane)}
