"""Tells boxes what people ask of them, and takes what they answer."""

import asyncio
import contextlib
import json
import math
from collections import Counter
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway import log
from gateway.clock import Clock
from gateway.ingest.batches import edge_of
from gateway.ingest.duty import Duty
from gateway.ingest.subscriber import Delivery, Subscriber
from gateway.store import commands
from gateway.store.bell import listening
from gateway.store.commands import Answer, Command
from gateway.store.pool import DatabaseDown, Pool

TOPIC = "edges/+/reply"

_MOST = 100
_AGAIN = 2.0
"""Seconds until a command that is not answered is told again: a box does each but once."""
_POLL = 60.0
_MOST_ANSWERS, _REFILL = 20, 10.0
"""Answers of one box that are looked at within so many seconds."""
_LARGEST = 32_768  # bytes of an answer
_Word = Annotated[str, Field(pattern=r"^[a-z0-9_.]{1,40}$")]
_log = log.get(__name__)


_Figure = Annotated[float, Field(ge=-1e12, le=1e12)]
_LOG = 24_576  # letters of a log: the box cuts it to as many bytes


class _Sighting(BaseModel):
    """What else a box may tell, such as a name, is left out."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    address: str = Field(pattern=r"^([0-9A-F]{2}:){5}[0-9A-F]{2}$")
    address_type: _Word | None = None
    rssi: int | None = Field(default=None, ge=-128, le=127)
    companies: list[Annotated[int, Field(ge=0, le=0xFFFF)]] = Field(max_length=16)
    services: list[Annotated[str, Field(pattern=r"^[0-9a-f-]{4,36}$")]] = Field(max_length=16)
    times: int = Field(ge=1, lt=2**31)


_Told = bool | Annotated[int, Field(ge=-(2**53), le=2**53)] | _Figure | _Word


class Reply(BaseModel):
    """A box's answer, read strictly: what it found, what came of it, what its program wrote."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    format: Literal[1]
    id: UUID
    error: _Word | None = None
    found: list[_Sighting] | None = Field(default=None, max_length=50)
    did: dict[_Word, _Told] | None = Field(default=None, max_length=8)
    log: str | None = Field(default=None, max_length=_LOG)

    def answer(self) -> Answer:
        """As it is kept."""
        found = None if self.found is None else [one.model_dump() for one in self.found]
        return Answer(
            error=self.error,
            found=None if found is None else json.dumps(found),
            did=None if self.did is None else json.dumps(self.did),
            log=None if self.log is None else _printable(self.log),
        )


class Commands:
    """Of several ingest processes the one on duty tells; each takes answers, the first counts."""

    def __init__(self, duty: Duty, pool: Pool, subscriber: Subscriber, clock: Clock) -> None:
        self._duty = duty
        self._pool = pool
        self._subscriber = subscriber
        self._clock = clock
        self._budget = Counter[str]()
        self._refilled = 0.0

    async def run(self) -> None:
        """Until cancelled; a lost connection is made again."""
        while True:
            with contextlib.suppress(DatabaseDown):
                async with listening(self._pool, "command") as bell:
                    while True:
                        await self._duty.taken.wait()
                        await commands.sweep(self._pool, self._clock.now())
                        await bell.wait(_AGAIN if await self._tell_all() else _POLL)
            await asyncio.sleep(_AGAIN)

    async def take(self, delivery: Delivery) -> None:
        """Keep an answer. Raises DatabaseDown.

        One that is none, or that nobody waits for, is not kept anywhere: it may tell of neighbours.
        """
        edge = edge_of(delivery.topic)
        if not self._may(edge):
            return
        try:
            reply = read_reply(delivery.payload)
        except ValueError as bad:
            _log.warning("an answer that is none", edge=edge, why=type(bad).__name__)
            return
        is_ours = await commands.answered(
            self._pool, edge, reply.id, reply.answer(), self._clock.now()
        )
        _log.info("a box answered", edge=edge, error=reply.error, awaited=is_ours)

    def _may(self, edge: str) -> bool:
        """A box that answers without being asked must not keep the others' states waiting."""
        now = asyncio.get_running_loop().time()
        if now - self._refilled > _REFILL:
            self._budget.clear()
            self._refilled = now
        self._budget[edge] += 1
        if self._budget[edge] == _MOST_ANSWERS + 1:
            _log.warning("a box answers too often", edge=edge)
        return self._budget[edge] <= _MOST_ANSWERS

    async def _tell_all(self) -> bool:
        """Whether some may have to be told again."""
        if self._subscriber.connected_at is None or not self._duty.is_held:
            return True
        due = await commands.waiting(self._pool, self._clock.now(), most=_MOST)
        if taken := [one for one in due if self._tell(one)]:
            await commands.sent(self._pool, taken, self._clock.now())
        return bool(due)

    def _tell(self, one: Command) -> bool:
        left = (one.until - self._clock.now()).total_seconds()
        payload = json.dumps(
            {
                "format": 1,
                "id": str(one.public),
                "do": one.what,
                "seconds": one.seconds,
                "until": round(one.until.timestamp() * 1_000),
            }
        )
        topic = f"edges/{one.edge}/command"
        number = self._subscriber.publish(topic, payload.encode(), expiry=max(1, math.ceil(left)))
        return number is not None


def read_reply(payload: bytes) -> Reply:
    """Raises ValueError, whose text must not be told: it may name what is in the air."""
    if len(payload) > _LARGEST:
        raise ValueError
    try:
        return Reply.model_validate_json(payload)
    except ValidationError as bad:
        raise ValueError from bad


def _printable(log: str) -> str:
    """Lines of text: no NUL, which the database refuses, and nothing that moves a cursor."""
    return "".join(one if one.isprintable() or one == "\n" else "\ufffd" for one in log)
