"""What the gateway may ask of the box: named, time-boxed, answered once; there is no shell."""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from edge.clock import Clock
from edge.told.deeds import Deed, Done, Undone
from edge.told.discovery import Sighting

FORMAT = 1
"""The version of a command and of its answer (topics `command` and `reply`)."""
MOST = 50
"""Devices in an answer, the strongest: who asks has the one that is meant in the hand."""
GRACE = 5.0
"""Seconds that a deed may take beyond those that it was given."""
MOST_EACH = 8
"""Companies and services told of each device."""
REMEMBERED = 64
"""Commands that are known again: the gateway says each until it is answered."""

_LARGEST = 1_024  # bytes of a command
_log = logging.getLogger(__name__)


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
    """Does one command at a time and answers each once, with what came of it or an error word.

    unknown_command, bad_command (seconds out of bounds), busy, what the deed itself says, too_late
    (it did not end in its time), failed. What comes too late or again is not done. `reply` is given
    the answer and sends it when it can. `done`: what was done before this agent began, and is to
    be answered; the gateway asks on until it is.
    """

    def __init__(
        self,
        clock: Clock,
        deeds: Mapping[str, Deed],
        reply: Callable[[bytes], None],
        done: tuple[str, Done] | None = None,
    ) -> None:
        self._clock = clock
        self._deeds = deeds
        self._reply = reply
        self._done = done
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
        if self._done is not None and self._done[0] == command.id:
            self._reply(answer(*self._done))
            return
        if command.id in self._seen or self._is_late(command):
            return
        self._seen.append(command.id)
        if (error := self._refusal(command)) is not None:
            _log.warning("the command %s is refused: %s", command.id, error)
            self._reply(answer(command.id, error=error))
            return
        _log.info("asked to %s for %s seconds", command.do, command.seconds)
        self._doing = command
        self._begun.set()

    async def run(self) -> None:
        """Do what is asked, until cancelled."""
        while True:
            await self._begun.wait()
            self._begun.clear()
            if (command := self._doing) is None:
                continue
            try:
                said = await self._answer(command)
            finally:
                self._doing = None
            if said is not None:
                self._reply(said)

    async def _answer(self, command: Command) -> bytes | None:
        """None where the next agent will answer."""
        seconds = cast("float", command.seconds)
        try:
            async with asyncio.timeout(seconds + GRACE):
                done = await self._deeds[command.do].do(command.id, seconds)
        except TimeoutError:
            return answer(command.id, error="too_late")
        except Undone as undone:
            return answer(command.id, error=str(undone))
        except Exception:  # noqa: BLE001 - whatever it is, the box goes on and says so
            _log.exception("the command %s failed", command.do)
            return answer(command.id, error="failed")
        return None if done is None else answer(command.id, done)

    def _is_late(self, command: Command) -> bool:
        """By a clock that is right; else the broker alone forgets what is too old."""
        return self._clock.synchronised() and self._clock.now_ms() > command.until

    def _refusal(self, command: Command) -> str | None:
        deed = self._deeds.get(command.do)
        if deed is None:
            return "unknown_command"
        if not _is_sane(command.seconds, deed):
            return "bad_command"
        if deed.without:
            return deed.without
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


def answer(command: str, done: Done | None = None, *, error: str | None = None) -> bytes:
    """The answer to a command; no names: they are people's as often as makers'."""
    told = Done() if done is None or error else done
    found = None if told.found is None else [_told(one) for one in told.found[:MOST]]
    said: dict[str, object] = {"format": FORMAT, "id": command, "error": error, "found": found}
    said |= {"did": told.did} if told.did is not None else {}
    said |= {"log": told.log} if told.log is not None else {}
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def _told(one: Sighting) -> dict[str, object]:
    return {
        "address": one.address,
        "address_type": one.address_type,
        "rssi": one.rssi,
        "companies": list(one.companies[:MOST_EACH]),
        "services": list(one.services[:MOST_EACH]),
        "times": one.times,
    }


def _is_sane(seconds: object, deed: Deed) -> bool:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return False
    return deed.least <= seconds <= deed.most  # nothing that is not finite, and of any length


def _whole(said: object) -> int:
    if isinstance(said, bool) or not isinstance(said, int):
        raise TypeError
    return said
