"""Climbs the ladder against silence: performs its steps, says them, and keeps its past on disk."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from edge.bluez import mending
from edge.bluez.bus import Refused
from edge.clock import Clock
from edge.event import Say
from edge.hearing.ladder import Ladder, Moment, Past, Step, Trouble
from edge.visiting.connection import Records

NOTE = "radio"
"""The name under which the ladder's past is kept."""
STOPPING = 60.0
"""Seconds to wait for the reboot that was granted; then the ladder goes on."""

_WORDS: dict[Step, str] = {
    "rescan": "radio.rescanned",
    "renew": "radio.scanner_renewed",
    "power_cycle": "radio.power_cycled",
    "restart_daemon": "radio.daemon_restarted",
    "reboot": "radio.reboot",
}
_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Watchdog:
    """Every step is a box event, with the reason of a refusal; a refused step costs no waiting.

    `say` must have an event on disk when it returns: a reboot is said before it is asked for.
    """

    clock: Clock
    notes: Records
    say: Say
    adapter: str = ""
    stopping: float = STOPPING
    ladder: Ladder = field(init=False)
    _noted: Past = field(init=False)

    def __post_init__(self) -> None:
        self._noted = Past.noted(self.notes.recall(NOTE))
        self.ladder = Ladder(past=self._noted)

    def heard(self) -> Step | None:
        """Something is heard; the step that may have healed it."""
        healed = self.ladder.heard(self.clock.uptime())
        self._remember()
        return healed

    async def climb(self, trouble: Trouble) -> Step:
        """Take the next step. For the two mildest the caller begins the scan anew."""
        step = self.ladder.next(trouble, self._moment())
        self._remember()
        refused = await self._perform(step, trouble)
        if step != "reboot" or refused:
            self.say(_WORDS[step], trouble=trouble, refused=refused)
        return step

    async def _perform(self, step: Step, trouble: Trouble) -> str | None:
        """The reason when the step was refused."""
        try:
            if step == "reboot":
                self.say(_WORDS[step], trouble=trouble, refused=None)
                await mending.reboot()
                await asyncio.sleep(self.stopping)
                raise Refused("StillRunning")  # noqa: TRY301 - granted, and it did not come
            if (act := self._acts().get(step)) is not None:
                await act()
        except Refused as refused:
            _log.warning("%s: refused: %s", step, refused)
            return str(refused)
        return None

    def _acts(self) -> dict[Step, Callable[[], Awaitable[None]]]:
        return {
            "power_cycle": lambda: mending.power_cycle(self.adapter),
            "restart_daemon": mending.restart_daemon,
        }

    def _moment(self) -> Moment:
        at = self.clock.now_ms() if self.clock.synchronised() else None
        return Moment(boot=self.clock.boot, uptime=self.clock.uptime(), at=at)

    def _remember(self) -> None:
        """Written when it changes: a few times in the box's life."""
        if self.ladder.past != self._noted:
            self._noted = self.ladder.past
            self.notes.remember(NOTE, self._noted.note())
