"""One visit to one device by its hearing plan: what is done, in which order, and what is kept."""

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from adapters.frame import Frame
from edge.clock import Clock
from edge.event import Say
from edge.told.config import ZONE, AfterLast, Plan, Racp, SetClock, Write
from edge.visiting import device_clock
from edge.visiting.racp import ABORT, DownloadFailed, Stored, answer
from edge.visiting.records import Download, Record

STEP = 15.0
"""Seconds for one step. BlueZ lets a read that needs pairing hang for ever."""
QUIET = 2.0
"""Seconds to listen on after the end of the stored records, for what follows at once."""
GATHERED = 25
"""Stored records that are kept together: one write for all, and so many asked for again after a
power cut."""

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class VisitFailed(Exception):
    """The device went away, refused or did not answer in time. Visited again later."""


class KeysRefused(VisitFailed):
    """The device does not know the keys of our bond, or has none of ours."""


class Client(Protocol):
    """The link that a visit needs; every method raises VisitFailed and may hang for ever."""

    async def subscribe(
        self, uuid: str, told: Callable[[bytes], None], *, service: str | None = None
    ) -> None: ...
    async def write(self, uuid: str, value: bytes, *, service: str | None = None) -> None: ...
    async def read(self, uuid: str) -> bytes: ...


class Records(Protocol):
    """Where the last record of a device is remembered, on disk."""

    def remember(self, name: str, value: str) -> None: ...
    def recall(self, name: str) -> str | None: ...


@dataclass(slots=True, kw_only=True)
class Visit:
    """What one visit needs and what it hears.

    `keep` takes frames over before it returns, and `records` puts them on disk with what it
    remembers; so a power cut asks the device for too many records, never for too few. A device
    whose numbers began again is asked for all of them (`Download`, `Stored`).
    """

    device: str
    plan: Plan
    clock: Clock
    records: Records
    keep: Callable[[Sequence[Frame]], None]
    say: Say
    zone: str = ZONE
    step: float = STEP
    _left: bool = False
    _heard: list[Frame] = field(default_factory=list[Frame])
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _download: Download | None = None
    _stored: Stored | None = None
    _answers: list[int] = field(default_factory=list[int])

    def leave(self) -> None:
        """The link has ended."""
        self._left = True
        self._news.set()

    async def run(self, client: Client) -> None:
        """Follow the plan on a connected client. Raises VisitFailed; what was heard is kept."""
        plan = self.plan
        try:
            for uuid in plan.subscribe:
                await self._step(client.subscribe(uuid, self._notified(uuid)))
            if plan.racp is not None:
                await self._fetch(client, plan.racp)
            for write in plan.write:
                await self._write(client, write)
            for uuid in plan.read:
                self._hear(uuid, await self._step(client.read(uuid)))
            if plan.subscribe:
                await self._listen(client)
            if plan.set_clock is not None and not self._left:
                await self._set_clock(client, plan.set_clock)
        finally:
            self._keep()

    # -- stored records by their control point

    async def _fetch(self, client: Client, plan: Racp) -> None:
        """All records that are not here yet. Raises VisitFailed; what did come is kept."""
        self._stored = Stored(plan, self.records.recall(self._racp_note))
        for uuid in plan.records:
            told = self._notified(uuid)
            await self._step(client.subscribe(uuid, told, service=plan.service))
        await self._step(client.subscribe(plan.control, self._answered, service=plan.service))
        try:
            async with asyncio.timeout(plan.seconds):
                await self._ask_until_done(client, plan, self._stored)
            if self._stored.over:
                _log.info("%s: more records than a visit takes: the next one goes on", self.device)
                await self._abort(client, plan)
        except TimeoutError as late:
            await self._abort(client, plan)
            raise VisitFailed("its records did not come to an end") from late
        except DownloadFailed as failed:
            raise VisitFailed(str(failed)) from failed

    async def _ask_until_done(self, client: Client, plan: Racp, stored: Stored) -> None:
        """Raises TimeoutError when the device falls silent."""
        more = True
        while more:
            self._answers.clear()
            await self._ask(client, plan, stored.question())
            while not self._answers:
                if self._left:
                    raise VisitFailed("it left amid its records")
                async with asyncio.timeout(plan.quiet_seconds):
                    await self._news.wait()
                self._news.clear()
                if len(self._heard) >= GATHERED:
                    self._keep()
                if stored.over:
                    return
            self._keep()
            more = stored.ended(self._answers[0])
        self._keep()

    async def _ask(self, client: Client, plan: Racp, command: bytes) -> None:
        await self._step(client.write(plan.control, command, service=plan.service))

    async def _abort(self, client: Client, plan: Racp) -> None:
        with suppress(VisitFailed):
            await self._ask(client, plan, ABORT)

    def _answered(self, value: bytes) -> None:
        if (code := answer(value)) is not None:
            self._answers.append(code)
            self._news.set()

    @property
    def _racp_note(self) -> str:
        return f"racp {self.device}"

    # -- values that are written, and the records that they ask for

    async def _write(self, client: Client, write: Write) -> None:
        value = write.value
        if write.clock is not None:
            if not self.clock.synchronised():
                return  # better no time than a wrong one
            value += device_time(write.clock, self.clock.now())
        if write.after_last is not None:
            self._download = self._download or Download(last=self._remembered())
            at, first = write.after_last.offset, struct.pack("<I", self._download.first)
            value = value[:at] + first + value[at + 4 :]
        await self._step(client.write(write.uuid, value))

    async def _listen(self, client: Client) -> None:
        """Until the plan's time is over, the records are at their end, or the device leaves."""
        loop = asyncio.get_running_loop()
        bound = until = loop.time() + self.plan.listen_seconds
        while not self._left and loop.time() < until:
            if self._keep() and self.plan.quiet_seconds:
                until = min(bound, loop.time() + self.plan.quiet_seconds)
            if self._download is not None and self._download.began_again:
                await self._ask_for_all(client, self._download)
                until = loop.time() + self.plan.listen_seconds
            elif self._download is not None and self._download.ended:
                until = min(until, loop.time() + QUIET)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._news.wait()
            self._news.clear()

    async def _ask_for_all(self, client: Client, answered: Download) -> None:
        _log.warning("%s: its records are numbered anew: all are asked for", self.device)
        self._download = answered.anew()
        for write in self.plan.write:
            if write.after_last is not None:
                await self._write(client, write)

    # -- the device's clock

    async def _set_clock(self, client: Client, how: SetClock) -> None:
        """Only by a time that is right, and if it matters. A device may refuse: that is no loss."""
        if not self.clock.synchronised():
            return
        try:
            shown = await self._shown(client, how)
            now = device_clock.local(self.clock.now(), self.zone)
            ahead = device_clock.ahead(shown, now)
            if ahead is not None and abs(ahead) <= device_clock.TOLERATED:
                return
            await self._step(client.write(how.uuid, device_clock.written(how.form, now)))
        except KeysRefused:
            raise
        except (VisitFailed, OSError, LookupError, ValueError) as fault:
            _log.info("%s: its clock was not set: %s", self.device, fault)
            return
        seconds = None if ahead is None else round(ahead)
        self.say("device.clock_set", device=self.device, ahead_seconds=seconds)

    async def _shown(self, client: Client, how: SetClock) -> bytes:
        """What the device's clock shows; nothing where it can only be written."""
        try:
            return await self._step(client.read(how.uuid))
        except KeysRefused:
            raise
        except VisitFailed:
            return b""

    # -- hearing and keeping

    async def _step(self, step: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(self.step):
                return await step
        except TimeoutError as error:
            raise VisitFailed(f"no answer for {self.step:.0f} s") from error

    def _notified(self, uuid: str) -> Callable[[bytes], None]:
        return lambda value: self._hear(uuid, value)

    def _hear(self, uuid: str, value: bytes) -> None:
        self._heard.append(
            Frame(
                device=self.device,
                heard="characteristic",
                at=self.clock.now_ms(),
                uptime=round(self.clock.uptime(), 3),
                sure=self.clock.synchronised(),
                uuid=uuid,
                value=value,
            )
        )
        self._news.set()

    def _keep(self) -> bool:
        """Keep what was heard; then, and not before, remember how far the records are here.

        Whether anything was heard from the device by itself.
        """
        heard, self._heard = self._heard, []
        last, note = self._download and self._download.last, self._stored and self._stored.note()
        news = [frame for frame in heard if self._is_news(frame)]
        if news:
            self.keep(news)
        told = any(frame.uuid in self.plan.subscribe for frame in heard)
        if self._stored is not None and self._stored.note() != note:
            self.records.remember(self._racp_note, self._stored.note())
        elif self._download is not None and self._download.last not in (None, last):
            self.records.remember(f"record {self.device}", self._download.last.note())
        elif told and self.plan.quiet_seconds:
            # such a device has forgotten what it told, so it must not be in memory only
            self.records.remember(f"told {self.device}", str(heard[-1].at))
        return told

    def _is_news(self, frame: Frame) -> bool:
        racp = self.plan.racp
        if self._stored is not None and racp is not None and frame.uuid in racp.records:
            return self._stored.take(frame.uuid or "", frame.value)
        number = _number(frame, self._record_place(), self.plan)
        if number is None or self._download is None:
            return True
        return self._download.take(number, frame.value)

    def _remembered(self) -> Record | None:
        return Record.noted(self.records.recall(f"record {self.device}"))

    def _record_place(self) -> AfterLast | None:
        return next((w.after_last for w in self.plan.write if w.after_last is not None), None)


def device_time(form: str, now: datetime) -> bytes:
    """The time as a device takes it whose plan writes it among its values.

    `unix32le`: seconds since 1970, unsigned 32-bit little-endian. `current_time`: the ten bytes
    of Current Time, in UTC.
    """
    if form == "unix32le":
        return struct.pack("<I", int(now.timestamp()))
    return device_clock.written("current_time", now.astimezone(UTC))


def _number(frame: Frame, place: AfterLast | None, plan: Plan) -> int | None:
    """The record number in a notified value, where the plan says that there is one."""
    if place is None or frame.uuid not in plan.subscribe:
        return None
    raw = frame.value[place.record_offset : place.record_offset + 4]
    return int.from_bytes(raw, "little") if len(raw) == 4 else None  # noqa: PLR2004 - 32 bits
