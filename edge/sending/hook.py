"""Runs a program in the home when a call reaches nobody: a buzzer, a sentence, a modem's script."""

import asyncio
import json
import logging
import os
import signal
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from edge.event import Say
from edge.keeping.run import PACKET_LIMIT, Place
from edge.keeping.spool import Spool, SpoolFailed
from edge.sending.path import Name, Patience

AFTER = 60.0
"""Seconds without a receipt, on either path, after which a call is taken to reach nobody."""
EVERY = 300.0
"""Seconds between two runs while calls wait, at least."""
LONGEST = 60.0
"""Seconds that a run may take; then it is killed with its session, see `_ended`."""

_MOST = 1_000  # calls counted
_AT_ONCE = 100
_NOTE = "hook"
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_log = logging.getLogger(__name__)

Word = Literal["waiting", "over"]


class Outage:
    """When the program is run, and with which word; pure. Seconds of a clock that does not step.

    `begun`: "waiting" was said before the agent started anew, and "over" was not.
    """

    def __init__(self, after: float, every: float, *, begun: bool = False) -> None:
        self._after = after
        self._every = every
        self._begun = begun
        self._patience = Patience()
        self._last: float | None = None

    def look(self, call: Name | None, now: float) -> Word | None:
        """What is to be said now, the oldest call without a receipt being this one."""
        self._patience.look(call, now)
        if call is None:
            ended, self._begun, self._last = self._begun, False, None
            return "over" if ended else None
        recent = self._last is not None and now - self._last < self._every
        if self.waited(now) < self._after or recent:
            return None
        self._begun, self._last = True, now
        return "waiting"

    def waited(self, now: float) -> float:
        """Seconds that the oldest call has waited."""
        since = self._patience.since
        return 0.0 if since is None else now - since


def oldest_call(spool: Spool) -> Name | None:
    """The oldest call without a receipt; what the box says of itself is none."""
    found = _calls(spool, 1)
    return found[0] if found else None


def _calls(spool: Spool, at_most: int) -> list[Name]:
    found: list[Name] = []
    place: Place | None = None
    while spool.depth("urgent") and len(found) < at_most:
        cut = spool.cut("urgent", place, frames=_AT_ONCE, octets=PACKET_LIMIT)
        if cut is None:
            break
        found += [
            (cut.stream, number)
            for number, text in enumerate(cut.frames, start=cut.first)
            if json.loads(text)["heard"] != "box"
        ]
        place = cut.following
    return found[:at_most]


class Hook:
    """The program with its words, and the calls that it speaks for. No shell, and no name.

    It is run as `COMMAND waiting SECONDS CALLS` and, when all calls have their receipt,
    `COMMAND over 0 0`. What it leaves running when it ends by itself is left alone.
    """

    def __init__(
        self,
        command: Sequence[str],
        spool: Spool,
        say: Say,
        *,
        after: float = AFTER,
        every: float = EVERY,
        longest: float = LONGEST,
    ) -> None:
        self._command = command
        self._spool = spool
        self._say = say
        self._outage = Outage(after, every, begun=spool.recall(_NOTE) == "waiting")
        self._pause = min(1.0, after / 4)
        self._longest = longest

    async def run(self) -> None:
        """Look, until cancelled. Whatever goes wrong with the program, the agent goes on."""
        if not _can_be_run(Path(self._command[0])):
            self._say("line.hook", said="start", failed="not_there")
        while True:
            try:
                await self._look()
            except Exception:  # noqa: BLE001 - a hook that fails costs no call
                _log.exception("the hook could not be seen to")
            await asyncio.sleep(self._pause)

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        word = self._outage.look(oldest_call(self._spool), now)
        if word is not None:
            with suppress(SpoolFailed, sqlite3.Error, OSError):  # said all the same
                self._spool.remember(_NOTE, word)
            seconds = round(self._outage.waited(now))
            await self._tell(word, seconds, len(_calls(self._spool, _MOST)))

    async def _tell(self, word: Word, seconds: int, calls: int) -> None:
        code, failed = None, None
        try:
            code = await _ended([*self._command, word, str(seconds), str(calls)], self._longest)
        except TimeoutError:
            failed = "timeout"
        except OSError as refused:
            failed = "not_run"
            _log.warning("the hook cannot be run: %s", refused)
        if code:
            failed = "exit"
        self._say("line.hook", said=word, seconds=seconds, calls=calls, code=code, failed=failed)


def _can_be_run(program: Path) -> bool:
    return program.is_file() and os.access(program, os.X_OK)


async def _ended(command: Sequence[str], longest: float) -> int:
    """Run it in a session of its own; its exit code. Raises TimeoutError, OSError.

    What it says is thrown away, or it would fill the card by way of the journal. What it puts into
    a session of its own (setsid) outlives it, within the service's limits.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=_ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(longest):
            return await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
