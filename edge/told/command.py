"""What the gateway may ask of the box: named, time-boxed, answered once; there is no shell."""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from edge.clock import Clock
from edge.told.discovery import Sighting

FORMAT = 1
"""The version of a command and of its answer (topics `command` and `reply`)."""
MOST = 50
"""Devices in an answer, the strongest: who asks has the one that is meant in the hand."""
SHORTEST, LONGEST = 10, 120
"""Seconds that a discovery may last."""
MOST_EACH = 8
"""Companies and services told of each device."""
REMEMBERED = 64
"""Commands that are known again: the gateway says each until it is answered."""

_LARGEST = 1_024  # bytes of a command
_log = logging.getLogger(__name__)

Discover = Callable[[float], Awaitable[Sequence[Sighting]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`until`: milliseconds since 1970, after which it may not be begun; `seconds` as said."""

    id: str
    do: str
    seconds: object
    until: int


class BadCommand(ValueError):
    """Not even an id can be read: there is nobody to answer."""


class Commands:
    """Does one command at a time and answers each once, with what was found or an error word.

    unknown_command, bad_command (seconds out of bounds), busy, no_radio (`discover` is None). What
    comes too late or again is not done. `reply` is given the answer and sends it when it can.
    """

    def __init__(
        self, clock: Clock, discover: Discover | None, reply: Callable[[bytes], None]
    ) -> None:
        self._clock = clock
        self._discover = discover
        self._reply = reply
        self._seen = deque[str](maxlen=REMEMBERED)
        self._doing: Command | None = None
        self._begun = asyncio.Event()

    def take(self, payload: bytes) -> None:
        """A message of the topic `command`. Never raises."""
        try:
            command = read_command(payload)
        except BadCommand as bad:
            _log.warning("a command that is none: %s", bad)
            return
        if command.id in self._seen or self._is_late(command):
            return
        self._seen.append(command.id)
        if (error := self._refusal(command)) is not None:
            _log.warning("the command %s is refused: %s", command.id, error)
            self._reply(answer(command.id, error=error))
            return
        self._doing = command
        self._begun.set()

    async def run(self) -> None:
        """Do what is asked, until cancelled."""
        while True:
            await self._begun.wait()
            self._begun.clear()
            command, discover = self._doing, self._discover
            if command is not None and discover is not None:
                try:
                    found = await discover(cast("float", command.seconds))
                finally:
                    self._doing = None
                self._reply(answer(command.id, found=found))

    def _is_late(self, command: Command) -> bool:
        """By a clock that is right; else the broker alone forgets what is too old."""
        return self._clock.synchronised() and self._clock.now_ms() > command.until

    def _refusal(self, command: Command) -> str | None:
        if command.do != "discover":
            return "unknown_command"
        if not _is_sane(command.seconds):
            return "bad_command"
        if self._discover is None:
            return "no_radio"
        return "busy" if self._doing is not None else None


def read_command(payload: bytes) -> Command:
    """Raises BadCommand."""
    try:
        said: Any = json.loads(payload) if len(payload) <= _LARGEST else None
        return Command(
            id=str(UUID(said["id"])),
            do=str(said["do"]),
            seconds=said.get("seconds"),
            until=_whole(said["until"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as bad:
        raise BadCommand(type(bad).__name__) from bad


def answer(command: str, *, error: str | None = None, found: Sequence[Sighting] = ()) -> bytes:
    """The answer to a command; no names: they are people's as often as makers'."""
    told = None if error else [_told(one) for one in found[:MOST]]
    said = {"format": FORMAT, "id": command, "error": error, "found": told}
    return json.dumps(said, separators=(",", ":")).encode()


def _told(one: Sighting) -> dict[str, object]:
    return {
        "address": one.address,
        "address_type": one.address_type,
        "rssi": one.rssi,
        "companies": list(one.companies[:MOST_EACH]),
        "services": list(one.services[:MOST_EACH]),
        "times": one.times,
    }


def _is_sane(seconds: object) -> bool:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return False
    return SHORTEST <= seconds <= LONGEST  # nothing that is not finite, and of any length


def _whole(said: object) -> int:
    if isinstance(said, bool) or not isinstance(said, int):
        raise TypeError
    return said
