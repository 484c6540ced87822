"""Looks after the spool of a running box: what is due, what failed, what is to be told."""

import asyncio
import json
import logging
import os
import socket
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge.event import Say
from edge.keeping.spool import Spool, Terms
from edge.sending.heartbeat import Heartbeat
from edge.status import write_status

EVERY = 5.0
"""Seconds between two looks; what fails in between is told at the next frame."""
GATHER = 30.0
"""Seconds that a bulk frame may be in memory only: it is sent at once all the same."""
MEMORY = 2_000_000
"""Bytes of frames held for each lane while the disk takes nothing: some 6 000 frames."""

_NO_NEWS = ("at", "lately")  # these change all the time
_STATUS_EVERY = 300.0  # seconds between two words of an agent that has nothing new to say
_FORGET_EVERY = 600.0
_CHECK_AFTER = 60.0  # seconds after the start: a box that starts has better things to do
_log = logging.getLogger(__name__)


def terms(spool_mb: float) -> Terms:
    """How a box keeps frames, in so many megabytes."""
    return Terms(limit=int(spool_mb * 1_000_000), gather=GATHER, memory=MEMORY)


def notify(word: str) -> None:
    """Tell systemd, if it is there: sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to, suppress(OSError):
        to.sendto(word.encode(), address.replace("@", "\0", 1))


class Care:
    """The housekeeping of one spool. `told` is called when the state message has news."""

    def __init__(self, spool: Spool, beat: Heartbeat, say: Say, told: Callable[[], None]) -> None:
        self._spool = spool
        self._beat = beat
        self._say = say
        self._told = told
        self._forget_at = 0.0

    def look(self) -> None:
        """Once every few seconds. Raises SpoolFailed where not even memory helps."""
        self._spool.tend()
        now = self._beat.clock.uptime()
        if now >= self._forget_at:
            self._spool.forget()
            self._beat.room_days = self._spool.room_days
            self._forget_at = now + _FORGET_EVERY
        self.tell()

    def tell(self) -> None:
        """Say what happened to the spool, at once."""
        while self._spool.happened:
            word, details = self._spool.happened.popleft()
            self._say(word, **details)
        if self._beat.trouble != self._spool.trouble:
            self._beat.trouble = self._spool.trouble
            self._told()

    async def check(self) -> None:
        """Look through the whole file once, beside the work: at the start it would delay a call."""
        await asyncio.sleep(_CHECK_AFTER)
        with suppress(OSError, sqlite3.Error):
            if not await asyncio.to_thread(self._spool.is_sound):
                self._spool.renew()


class StatusFile:
    """Writes what the agent says of itself, seldom: a memory card wears out."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._before = ""
        self._due = 0.0

    def write(self, said: Mapping[str, Any], uptime: float) -> None:
        """When there is news or the last word is old; it is for people to look at."""
        text = json.dumps({name: value for name, value in said.items() if name not in _NO_NEWS})
        if text == self._before and uptime < self._due:
            return
        with suppress(OSError):
            write_status(self._home, said)
            self._before, self._due = text, uptime + _STATUS_EVERY
