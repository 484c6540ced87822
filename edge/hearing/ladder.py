"""What is done next when nothing is heard, from the mildest step to a reboot; pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Trouble = Literal["silent", "refused", "daemon_gone", "no_adapter", "powered_off"]
"""What is wrong: nothing is heard though all seems well, BlueZ refuses or does not answer,
bluetoothd has left the bus, there is no adapter, the adapter is off."""
Step = Literal["rescan", "renew", "power_cycle", "restart_daemon", "reboot"]

_STEPS: tuple[Step, ...] = ("rescan", "renew", "power_cycle", "restart_daemon", "reboot")

DAY = 86_400.0
LONGEST_DOUBLING = 4
"""Reboots that healed nothing are 2, 4, 8 and then 16 days apart."""
BUSY = 3_600.0
"""Seconds heard without a silence after which this home's air is known never to be quiet."""
LASTING = 600.0
"""Seconds that a trouble lasts before a reboot: bluetoothd and the adapter may just be starting."""
LONGEST_PATIENCE = 180.0
_QUIET = 6.0
"""So many times more patience in a home that may simply have nothing to say."""

_RUNGS: Mapping[Trouble, tuple[Step, ...]] = {
    "silent": _STEPS,
    "refused": ("renew", "power_cycle", "restart_daemon", "reboot"),
    "daemon_gone": ("renew", "restart_daemon", "reboot"),
    "no_adapter": ("renew", "restart_daemon", "reboot"),
    "powered_off": ("power_cycle", "restart_daemon", "reboot"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reboot:
    """The last reboot that this ladder asked for; `at` is None without a sure clock."""

    boot: str
    uptime: float
    at: int | None
    fruitless: int = 0
    """How many in a row were followed by silence, this one not counted."""
    heard: bool = False
    """Whether anything has been heard since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is remembered on disk, over reboots: a few bytes, written a few times in a life."""

    busy: bool = False
    reboot: Reboot | None = None

    def note(self) -> str:
        return json.dumps(
            {"busy": self.busy, "reboot": None if self.reboot is None else _fields(self.reboot)}
        )

    @classmethod
    def noted(cls, note: str | None) -> "Past":
        """What a note says; a note that cannot be read is none."""
        try:
            said = json.loads(note or "{}")
            reboot = said.get("reboot")
            return cls(busy=bool(said.get("busy")), reboot=reboot and Reboot(**reboot))
        except (ValueError, TypeError, AttributeError):
            return cls()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Now, by the clocks that a reboot is judged by; `at` is None when the clock is not sure."""

    boot: str
    uptime: float
    at: int | None


@dataclass(slots=True)
class Ladder:
    """Climbs while nothing is heard, and begins at the bottom when something was.

    A reboot needs evidence that something is broken: BlueZ itself says so, or this home's air was
    never quiet before. It is asked for once a day at most, and seldomer while it heals nothing; in
    a home where nothing advertises and the adapter looks well it never is.
    """

    past: Past = field(default_factory=Past)
    tried: list[Step] = field(default_factory=list[Step])
    rounds: int = 0
    _heard_since: float | None = None
    _silent_since: float | None = None

    def heard(self, uptime: float) -> Step | None:
        """Something was heard; the step that may have healed it, when there was one."""
        healed = self.tried[-1] if self.tried else None
        self.tried, self.rounds, self._silent_since = [], 0, None
        if self._heard_since is None:
            self._heard_since = uptime
        if not self.past.busy and uptime - self._heard_since >= BUSY:
            self.past = replace(self.past, busy=True)
        if self.past.reboot is not None and not self.past.reboot.heard:
            self.past = replace(self.past, reboot=replace(self.past.reboot, heard=True))
        return healed

    def next(self, trouble: Trouble, now: Moment) -> Step:
        """The step to take; after the highest it begins anew, with more patience."""
        self._heard_since = None
        if self._silent_since is None:
            self._silent_since = now.uptime
        for step in _RUNGS[trouble]:
            if self._above(step) and (step != "reboot" or self._may_reboot(trouble, now)):
                return self._taken(step, now)
        self.tried, self.rounds = [], self.rounds + 1
        return self._taken("renew", now)

    def patience(self) -> float:
        """How many times as long as after a start the scan listens before the next step."""
        if not self.tried:
            return 1.0
        patience = (1.0 if self.past.busy else _QUIET) * 2.0 ** min(self.rounds, 10)
        return min(patience, LONGEST_PATIENCE)

    def _above(self, step: Step) -> bool:
        return not self.tried or _STEPS.index(step) > _STEPS.index(self.tried[-1])

    def _taken(self, step: Step, now: Moment) -> Step:
        self.tried.append(step)
        if step == "reboot":
            self._note_reboot(now)
        return step

    def _may_reboot(self, trouble: Trouble, now: Moment) -> bool:
        last = self.past.reboot
        fruitless = 0 if last is None or last.heard else last.fruitless + 1
        if trouble == "silent" and (not self.past.busy or fruitless):
            return False
        if self._silent_since is None or now.uptime - self._silent_since < LASTING:
            return False
        return last is None or _since(last, now) >= DAY * 2.0 ** min(fruitless, LONGEST_DOUBLING)

    def _note_reboot(self, now: Moment) -> None:
        last = self.past.reboot
        fruitless = 0 if last is None or last.heard else last.fruitless + 1
        asked = Reboot(boot=now.boot, uptime=now.uptime, at=now.at, fruitless=fruitless)
        self.past = replace(self.past, reboot=asked)


def _since(last: Reboot, now: Moment) -> float:
    """Seconds that have passed at least; the box may have no clock to trust."""
    running = now.uptime - last.uptime if now.boot == last.boot else now.uptime
    sure = last.at is not None and now.at is not None
    return max(running, (now.at - last.at) / 1000 if sure and last.at and now.at else 0.0)


def _fields(reboot: Reboot) -> dict[str, object]:
    names = ("boot", "uptime", "at", "fruitless", "heard")
    return {name: getattr(reboot, name) for name in names}
