"""Knocks at the broker with a revoked certificate: it must be refused, and for that reason."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from enum import Enum
from pathlib import Path

from gateway import log
from gateway.edges.authority import CANARY
from gateway.health import Health

EVERY = 30.0
"""Seconds between two knocks: twice within the minute in which a broken list is to be noticed."""

PART = "edges: canary"
"""The part of the gateway's health that says whether the revoked are refused."""

_ANSWERS = 5.0
_AFTER_HEALING = 2.0
_REVOKED = "CERTIFICATE_REVOKED"
_CONNECT = bytes.fromhex("101a 0004 4d515454 05 02 001e 00 000d") + b"canary-knocks"
"""MQTT 5: CONNECT, clean start, keep-alive 30 s, no properties, a client id of 13 bytes."""
_CONNACK, _SUCCESS = 0x20, 0

_log = log.get(__name__)


class Answer(Enum):
    """What the broker did with somebody whom it must refuse."""

    REFUSED = "refused, as revoked"
    LET_IN = "the broker lets revoked certificates in"
    OTHERWISE = "the broker refuses for another reason than that it is revoked: perhaps everybody"
    AWAY = "the broker cannot be reached"


class Canary:
    """Knocks at the listeners; `heal` is asked to lay the broker's files out anew."""

    def __init__(
        self,
        doors: Callable[[], list[tuple[str, int]]],
        folder: Path,
        health: Health,
        heal: Callable[[], Awaitable[None]],
        *,
        every: float = EVERY,
    ) -> None:
        self._doors = doors
        self._folder = folder
        self._health = health
        self._heal = heal
        self._every = every
        self._count = health.counter(
            "canary_knocks", "Connections with a revoked certificate, by what came", ("answer",)
        )
        self._let_in = health.gauge(
            "canary_let_in", "1 while the broker lets revoked certificates in"
        )
        health.bad(PART, "has not knocked yet")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if await self.look() in {Answer.LET_IN, Answer.OTHERWISE}:
                await self._heal()
                await asyncio.sleep(min(_AFTER_HEALING, self._every))
                await self.look()
            await asyncio.sleep(self._every)

    async def look(self) -> Answer:
        """Knock once at every door; the worst answer. It is noted and counted."""
        answers = {door: await knock(*door, self._folder) for door in self._doors()}
        worst = Answer.REFUSED
        for (host, port), (answer, why) in answers.items():
            self._count.labels(answer.name.lower()).inc()
            if answer is not Answer.REFUSED:
                worst = answer if worst is not Answer.LET_IN else worst
                self._health.bad(PART, f"{answer.value}, at {host}:{port} ({why})")
                _log.error("the canary", answer=answer.value, at=f"{host}:{port}", why=why)
        self._let_in.set(worst is Answer.LET_IN)
        if worst is Answer.REFUSED:
            self._health.ok(PART)
        return worst


async def knock(host: str, port: int, folder: Path) -> tuple[Answer, str]:
    """What the broker does with our revoked certificate, and in its words why."""
    try:
        async with asyncio.timeout(_ANSWERS):
            reader, writer = await asyncio.open_connection(host, port, ssl=_context(folder))
            try:
                writer.write(_CONNECT)
                said = await reader.readexactly(4)
            finally:
                writer.transport.abort()
    except ssl.SSLError as refused:
        why = refused.reason or str(refused)
        return (Answer.REFUSED if _REVOKED in why else Answer.OTHERWISE), why
    except asyncio.IncompleteReadError:
        return Answer.OTHERWISE, "it hung up"
    except (OSError, TimeoutError) as away:
        return Answer.AWAY, str(away) or type(away).__name__
    let_in = said[0] == _CONNACK and said[3] == _SUCCESS
    return (Answer.LET_IN if let_in else Answer.OTHERWISE), f"CONNACK {said[3]:#x}"


def _context(folder: Path) -> ssl.SSLContext:
    """Ours alone is trusted; the name is not looked at, for nothing is told to who answers.

    TLS 1.2: there the refusal comes within the handshake. In 1.3 it comes after our own part of it
    is over, and what we have sent by then may make the reason get lost. The broker judges by the
    same list in both.
    """
    context = ssl.create_default_context(cafile=folder / "root.pem")
    context.check_hostname = False
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / f"{CANARY}.pem", folder / f"{CANARY}.key")
    return context
