"""Which devices are paired with this box: made once, proved by a reconnect, lost and said so."""

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from edge.bluez.bus import Refused
from edge.event import Say
from edge.visiting.connection import Records, VisitFailed

MOST_PAIRINGS, IN = 3, 3_600.0
"""So many bonds with one device are made in so many seconds: one that forgets each of them would
be paired for ever. A pairing that fails makes none: it is tried again as a visit is, later and
later, for somebody may be about to press the device's button."""
REFUSALS = 2
"""Connections in a row in which a device must refuse our keys before they are thrown away: a new
bond may need a person who presses a button at the device."""

_PROVED = "proved"
_log = logging.getLogger(__name__)


class Paired(Protocol):
    """The part of a link that a bond needs; `path` is the device's object at BlueZ."""

    @property
    def path(self) -> str: ...
    async def is_bonded(self) -> bool: ...
    async def pair(self) -> None: ...


class Bonds:
    """What is known of bonds beside BlueZ, which holds the keys and is asked at every visit."""

    def __init__(
        self,
        notes: Records,
        say: Say,
        forget: Callable[[str], Awaitable[None]],
        *,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        """`forget` makes BlueZ remove a device and its keys; raises Refused.

        `ready` tells whether our agent would be asked: without one every pairing fails.
        """
        self._notes = notes
        self._say = say
        self._forget = forget
        self._ready = ready
        self._made: dict[str, list[float]] = {}
        self._refusals: dict[str, int] = {}

    async def made(self, address: str, client: Paired, now: float) -> bool:
        """Pair a connected device that is not; whether that was done. Raises VisitFailed.

        The bond is worth nothing before it has been seen in another connection: `proved`.
        """
        if await client.is_bonded():
            return False
        if self._is_proved(address):
            self._lost(address, "not_here")
        lately = [at for at in self._made.get(address, ()) if now - at < IN]
        if len(lately) >= MOST_PAIRINGS:
            raise VisitFailed(f"paired {MOST_PAIRINGS} times in the last hour already")
        if not self._ready():
            raise VisitFailed("BlueZ does not know our pairing agent yet")
        await client.pair()
        self._made[address] = [*lately, now]
        _log.info("%s: paired", address)
        return True

    def proved(self, address: str) -> None:
        """A whole visit went well over a link that was not paired anew."""
        self._refusals.pop(address, None)
        if not self._is_proved(address):
            self._notes.remember(_note(address), _PROVED)
            self._say("device.bonded", device=address)

    async def refused(self, address: str, client: Paired) -> None:
        """The device does not take our keys: after a second time they are thrown away."""
        self._refusals[address] = self._refusals.get(address, 0) + 1
        if self._refusals[address] < REFUSALS:
            return
        del self._refusals[address]
        try:
            await self._forget(client.path)
        except Refused as refused:
            _log.warning("%s: its bond could not be removed: %s", address, refused)
            return
        self._lost(address, "keys_refused")

    def _lost(self, address: str, why: str) -> None:
        self._notes.remember(_note(address), "lost")
        self._say("device.bond_lost", device=address, why=why)

    def _is_proved(self, address: str) -> bool:
        return self._notes.recall(_note(address)) == _PROVED


def _note(address: str) -> str:
    return f"bond {address}"
