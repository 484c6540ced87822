"""One visit to one device by its hearing plan: subscribe, write, read, listen, leave."""

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from adapters.frame import Frame
from edge.air import full
from edge.clock import Clock
from edge.config import AfterLast, Plan, Write
from edge.records import Download, Record

STEP = 15.0
"""Seconds for one step. BlueZ lets a read that needs pairing hang for ever."""
QUIET = 2.0
"""Seconds to listen on after the end of the stored records, for what follows at once."""

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class VisitFailed(Exception):
    """The device went away or did not answer in time. Visited again later."""


class Client(Protocol):
    """The part of bleak's client that a visit needs."""

    async def start_notify(
        self, uuid: str, callback: Callable[[object, bytearray], None]
    ) -> None: ...
    async def write_gatt_char(self, uuid: str, data: bytes) -> None: ...
    async def read_gatt_char(self, uuid: str) -> bytearray: ...


class Records(Protocol):
    """Where the last record of a device is remembered, on disk."""

    def remember(self, name: str, value: str) -> None: ...
    def recall(self, name: str) -> str | None: ...


@dataclass(slots=True, kw_only=True)
class Visit:
    """What one visit needs and what it hears.

    `keep` puts frames on disk before it returns; only then is the last record remembered, so that
    a power cut asks the device for too many records, never for too few. A device whose numbers
    began again is asked for all of them (`Download`).
    """

    device: str
    plan: Plan
    clock: Clock
    records: Records
    keep: Callable[[Sequence[Frame]], None]
    step: float = STEP
    left: asyncio.Event = field(default_factory=asyncio.Event)
    _heard: list[Frame] = field(default_factory=list[Frame])
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _download: Download | None = None

    async def run(self, client: Client) -> None:
        """Follow the plan on a connected client. Raises VisitFailed; what was heard is kept."""
        try:
            for uuid in self.plan.subscribe:
                await self._step(client.start_notify(full(uuid), self._notified(uuid)))
            for write in self.plan.write:
                await self._write(client, write)
            for uuid in self.plan.read:
                value = await self._step(client.read_gatt_char(full(uuid)))
                self._hear(uuid, bytes(value))
            if self.plan.subscribe:
                await self._listen(client)
        finally:
            self._keep()

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
        await self._step(client.write_gatt_char(full(write.uuid), value))

    async def _listen(self, client: Client) -> None:
        """Until the plan's time is over, the records are at their end, or the device leaves."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.plan.listen_seconds
        while not self.left.is_set() and loop.time() < until:
            self._keep()
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

    async def _step(self, step: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(self.step):
                return await step
        except TimeoutError as error:
            raise VisitFailed(f"no answer for {self.step:.0f} s") from error

    def _notified(self, uuid: str) -> Callable[[object, bytearray], None]:
        return lambda _, value: self._hear(uuid, bytes(value))

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

    def _keep(self) -> None:
        """Keep what was heard; then, and not before, remember how far the records are here."""
        heard, self._heard = self._heard, []
        before = self._download and self._download.last
        news = [frame for frame in heard if self._is_news(frame)]
        if news:
            self.keep(news)
        last = self._download and self._download.last
        if last is not None and last != before:
            self.records.remember(f"record {self.device}", last.note())

    def _is_news(self, frame: Frame) -> bool:
        number = _number(frame, self._record_place(), self.plan)
        if number is None or self._download is None:
            return True
        return self._download.take(number, frame.value)

    def _remembered(self) -> Record | None:
        return Record.noted(self.records.recall(f"record {self.device}"))

    def _record_place(self) -> AfterLast | None:
        return next((w.after_last for w in self.plan.write if w.after_last is not None), None)


def device_time(form: str, now: datetime) -> bytes:
    """The time as a device takes it.

    `unix32le`: seconds since 1970, unsigned 32-bit little-endian. `current_time`: the ten bytes
    of Current Time (0x2A2B, Bluetooth SIG GATT Specification Supplement), in UTC.
    """
    if form == "unix32le":
        return struct.pack("<I", int(now.timestamp()))
    second = (now.hour, now.minute, now.second, now.isoweekday())
    parts = (now.year, now.month, now.day, *second, now.microsecond * 256 // 1_000_000, 0)
    return struct.pack("<H8B", *parts)


def _number(frame: Frame, place: AfterLast | None, plan: Plan) -> int | None:
    """The record number in a notified value, where the plan says that there is one."""
    if place is None or frame.uuid not in plan.subscribe:
        return None
    raw = frame.value[place.record_offset : place.record_offset + 4]
    return int.from_bytes(raw, "little") if len(raw) == 4 else None  # noqa: PLR2004 - 32 bits
