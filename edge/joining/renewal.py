"""Has the certificate renewed in time, or late, by a process of its own; the agent goes on."""

import asyncio
import logging
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from edge.clock import Clock
from edge.event import Say
from edge.joining.identity import BadIdentity, Identity, NotJoined, joined

LOOK = 60.0
"""Seconds between two looks at the date and the line."""
UNREACHED = 600.0
"""Seconds without a connection after which the certificate is suspected, whatever the date."""
AGAIN = 3_600.0
"""Seconds after which it is tried again, more or less: ten thousand boxes must not ask together."""

_PATIENCE = 120.0  # seconds for the process, which waits for the gateway twice
_log = logging.getLogger(__name__)


def program() -> Sequence[str]:
    """The running program again, as `edge renew`, however it was started as `edge run`."""
    return (sys.executable, *sys.orig_argv[1:-1], "renew")


class Renewal:
    """Looks after one certificate; `renewed` is told of the identity that has the next one."""

    def __init__(
        self,
        identity: Identity,
        home: Path,
        clock: Clock,
        *,
        connected: Callable[[], bool],
        renewed: Callable[[Identity], None],
        say: Say,
        command: Sequence[str] = (),
        look: float = LOOK,
        unreached: float = UNREACHED,
        again: float = AGAIN,
    ) -> None:
        self._identity = identity
        self._home = home
        self._clock = clock
        self._connected = connected
        self._renewed = renewed
        self._say = say
        self._command = command or program()
        self._look, self._unreached, self._again = look, unreached, again
        self._reached = clock.uptime()
        self._due = 0.0

    async def run(self) -> None:
        """Until cancelled; a box without a certificate has nothing to renew."""
        while self._identity.address:
            now = self._clock.uptime()
            if self._connected():
                self._reached = now
            if self._is_wanted(now) and now >= self._due:
                self._due = now + self._again * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load
                await self._renew()
            await asyncio.sleep(self._look)

    def _is_wanted(self, now: float) -> bool:
        """By a date that is right; else when the broker has not let us in for long."""
        if self._clock.synchronised() and self._clock.now_ms() >= self._identity.renew * 1_000:
            return True
        return now - self._reached >= self._unreached

    async def _renew(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(_PATIENCE):
                _, said = await process.communicate()
        except TimeoutError:
            said = b"it hung"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        self._conclude(process.returncode or 0, said.decode(errors="replace").strip()[-200:])

    def _conclude(self, code: int, said: str) -> None:
        if code:
            _log.warning("the certificate was not renewed (%d): %s", code, said)
            self._say("certificate.not_renewed", code=code)
            return
        try:
            self._identity = joined(self._home)
        except (BadIdentity, NotJoined, OSError) as bad:
            _log.error("the renewed certificate cannot be read: %s", bad)
            return
        self._say("certificate.renewed", expires=self._identity.expires)
        self._renewed(self._identity)
