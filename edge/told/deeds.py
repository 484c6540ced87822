"""What the box can be asked to do, each with its bounds; nothing else is done."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edge.clock import Clock
from edge.told.discovery import Sighting
from edge.told.lamp import NoLamp, blink

NOTE = "command.restart"
"""The name under which the spool notes the restart that was asked for last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of it: what was found in the air, short words about the deed, lines of the log."""

    found: Sequence[Sighting] | None = None
    did: Mapping[str, object] | None = None
    log: str | None = None


class Undone(Exception):
    """It cannot be done here; the text is the word for why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """`do` is given the command's id and seconds, which are within the bounds. None: restarting."""

    least: float
    most: float
    do: Callable[[str, float], Awaitable[Done | None]]
    without: str = ""
    """The word for why it cannot be done here at all; empty: it can."""


class Notes(Protocol):
    """The part of the spool in which a restart is noted. Both raise SpoolFailed."""

    def recall(self, name: str) -> str | None: ...
    def remember(self, name: str, value: str) -> None: ...


class Radio(Protocol):
    """The part of the reader that can be asked."""

    async def discover(self, seconds: float) -> list[Sighting]: ...
    async def rescan(self, seconds: float) -> float | None: ...


def of_radio(radio: Radio | None) -> Mapping[str, Deed]:
    """What the air is asked for. None: the radio is switched off."""

    async def discover(_: str, seconds: float) -> Done:
        return Done(found=await radio.discover(seconds)) if radio is not None else Done()

    async def rescan(_: str, seconds: float) -> Done:
        after = await radio.rescan(seconds) if radio is not None else None
        if after is None:
            return Done(did={"heard": False})
        return Done(did={"heard": True, "after_seconds": round(after, 1)})

    without = "no_radio" if radio is None else ""
    return {
        "discover": Deed(least=10, most=120, do=discover, without=without),
        "rescan": Deed(least=10, most=120, do=rescan, without=without),
    }


def of_box(lines: Callable[[], str], restarts: "Restarts") -> Mapping[str, Deed]:
    """What the box itself is asked for. `update` has its place here."""

    async def identify(_: str, seconds: float) -> Done:
        try:
            return Done(did={"lamp": await blink(seconds)})
        except NoLamp as none:
            raise Undone("no_lamp") from none

    async def send_log(_: str, __: float) -> Done:
        return Done(log=lines())

    return {
        "identify": Deed(least=5, most=120, do=identify),
        "send_log": Deed(least=5, most=60, do=send_log),
        "restart": Deed(least=10, most=120, do=restarts.do),
    }


class Restarts:
    """Ends the agent so that systemd starts it again; the new one says that it is there.

    The gateway tells a command until it is answered, and the answer comes from the next agent: so
    the command's name is on disk before anything ends, and is never obeyed twice. `last` is the
    restart asked for last and its answer, `is_back` whether this agent is the one to give it.
    """

    def __init__(self, notes: Notes, clock: Clock, stop: Callable[[], None]) -> None:
        """Raises SpoolFailed."""
        self._notes = notes
        self._clock = clock
        self._stop = stop
        said = _read(notes.recall(NOTE))
        self.is_back = said is not None and "did" not in said
        if said is not None and self.is_back:
            said["did"] = self._outcome(said)
            notes.remember(NOTE, json.dumps(said))
        self.last = None if said is None else (str(said["id"]), Done(did=said["did"]))

    async def do(self, command: str, _: float) -> None:
        """Raises SpoolFailed: a restart that cannot be noted would be done again and again."""
        note = {"id": command, "boot": self._clock.boot, "uptime": self._clock.uptime()}
        self._notes.remember(NOTE, json.dumps(note))
        self._stop()

    def _outcome(self, said: Mapping[str, Any]) -> Mapping[str, object]:
        away = self._clock.uptime() - float(said["uptime"])
        if said.get("boot") != self._clock.boot or away < 0:
            return {"rebooted": True}
        return {"away_seconds": round(away, 1)}


def _read(note: str | None) -> dict[str, Any] | None:
    """A note that cannot be read is none."""
    try:
        said = json.loads(note or "null")
        whole = isinstance(said["id"], str) and isinstance(said["uptime"], int | float)
        whole = whole and isinstance(said.get("did", {}), dict)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return said if whole else None
