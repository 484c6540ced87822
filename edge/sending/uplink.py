"""Calls first, then oldest first; forgets on the gateway's receipt, not on PUBACK.

How it is used, by the box and by a simulator with many boxes in one process alike:

    link = Link.to("mqtt://127.0.0.1:1883", edge=..., password=...)
    uplink = Uplink(spool, link, clock)
    task = asyncio.create_task(uplink.run())    # cancel it: "stopped" is said, then DISCONNECT
    await uplink.online.wait()

`run` connects again for ever and ends only when it is cancelled or the spool fails (SpoolFailed).
For tests: `drop()` cuts the connection as a broken cable would (the last will speaks), `open()`
may be overridden to keep it cut, and `published()` is told of each PUBACK and does nothing.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import ClassVar

from adapters.frame import LANES, Batch, Lane, encode_spooled
from edge.broker import Link
from edge.clock import Clock, state
from edge.keeping.run import HEAD_ROOM
from edge.keeping.spool import Spool
from edge.sending.floor import Floor
from edge.sending.heartbeat import EVERY, Heartbeat
from edge.sending.lanes import PACES, SECOND, Pace, Sender, Sent
from edge.sending.line import Line, LinkLost, TakenOver
from edge.sending.path import Path, Way, head
from edge.sending.receipt import BadReceipt, read_receipt

_log = logging.getLogger(__name__)

UNANSWERED = 10.0
"""Seconds without a PUBACK after which the connection is taken for dead."""
LONGEST_PAUSE = 30.0
"""Seconds between two attempts to connect, at most; the first comes after about one."""
TAKEN_OVER = 10.0
"""Seconds before a box comes back that another of its name has thrown out; twice as long each
time it happens again. Two boxes of one image would else throw each other out every second."""

_UNSETTLED = 60.0  # seconds between state messages while the way in use is a new one
_LOOK = 1.0  # seconds between two looks at the call that waits for the second way
_MOST_REPLIES = 8
_NO_MATCHING_SUBSCRIBERS = 0x10


class Uplink:
    """Sends what the spool keeps and marks there what the gateway says it has stored.

    `way` says when `path` may be opened; the second one is for the urgent lane alone.
    """

    paces: ClassVar[Mapping[Lane, Pace]] = PACES
    """How it sends on the first path."""

    def __init__(
        self,
        spool: Spool,
        link: Link,
        clock: Clock,
        *,
        heartbeat: Heartbeat | None = None,
        on_config: Callable[[bytes], None] = lambda _: None,
        on_command: Callable[[bytes], None] = lambda _: None,
        unanswered: float = UNANSWERED,
        way: Way | None = None,
        path: Path = 1,
    ) -> None:
        self.heartbeat = heartbeat or Heartbeat(spool=spool, clock=clock)
        self.online = asyncio.Event()
        self.spool = spool
        self._link = link
        self._clock = clock
        self._floor = Floor(spool, clock)
        self._on_config = on_config
        self._on_command = on_command
        self._replies = deque[bytes](maxlen=_MOST_REPLIES)
        self._unanswered = unanswered
        self._woken = asyncio.Event()
        self._arrived = deque[tuple[str, bytes]]()
        self._way = way or Way()
        self._path: Path = path
        lanes: Sequence[Lane] = LANES if path == 1 else ("urgent",)
        paces = self.paces if path == 1 else SECOND
        self._senders: dict[Lane, Sender] = {lane: Sender(lane, paces[lane]) for lane in lanes}
        self._unacknowledged: dict[int, Sent] = {}
        self._line: Line | None = None
        self._is_old = False
        self._state_due = 0.0
        spool.woken = self.wake

    async def run(self) -> None:
        """Stay connected and send, until cancelled. Raises SpoolFailed."""
        pause, thrown_out = 1.0, False
        while True:
            await self._allowed()
            try:
                await self._connected()
                pause, thrown_out = 0.0, False
            except LinkLost as lost:
                _log.warning("no connection to the broker: %s", lost)
                thrown_out = isinstance(lost, TakenOver)
                pause = self._pause_after(pause, thrown_out=thrown_out)
            finally:
                self.online.clear()
                self._way.closed(self._path, asyncio.get_running_loop().time())
            if self._path != 1:
                continue  # its pauses are the way's
            # a random part of it, to spread load
            waiting = 0 if thrown_out else self.spool.depth("urgent")
            await self._rest(pause * random.uniform(0.5, 1), waiting)  # noqa: S311

    def wake(self) -> None:
        """Look again at once: something was spooled, or the settings of the line changed."""
        self._woken.set()

    def reply(self, payload: bytes) -> None:
        """Answer a command, as soon as there is a connection; only the last few wait for it."""
        self._replies.append(payload)
        self.wake()

    def tell(self) -> None:
        """Send a state message now: something in it changed that should be known."""
        self._state_due = 0.0
        self.wake()

    def follow(self, link: Link) -> None:
        """Connect anew, in good order: the box has another certificate, or the broker moved."""
        self._link, self._is_old = link, True
        self.wake()

    def drop(self) -> None:
        """Cut the connection as a broken cable would; the broker speaks the last will."""
        if self._line is not None:
            self._line.sever()

    async def open(self) -> Line:
        """Connect, subscribe; raises LinkLost."""
        beat = self.heartbeat
        line = Line(self._link, keepalive=beat.keepalive, arrived=self._arrive, acked=self._puback)
        earliest = self._floor.earliest()
        self._is_old = False
        await line.open(will=beat.message("lost"), earliest=earliest)
        if self._link.tls and earliest is None:
            self._floor.proved()
        return line

    def published(self, sent: Sent) -> None:
        """The broker has the batch. That proves nothing: only a receipt lets go of a frame."""

    async def _allowed(self) -> None:
        """Wait until this way may be opened."""
        while (seconds := self._look()) is None or seconds > 0:
            await self._pause(EVERY if seconds is None else min(seconds, _LOOK))

    def _look(self) -> float | None:
        now = asyncio.get_running_loop().time()
        if self._path != 1:
            self._way.look(head(self.spool), now)
        return self._way.wait(self._path, now)

    async def _connected(self) -> None:
        """One connection, from CONNECT to its end."""
        self._unacknowledged.clear()
        self._line = line = await self.open()
        try:
            self._way.opened(self._path, asyncio.get_running_loop().time())
            for sender in self._senders.values():
                sender.reset()
            self._state_due = 0.0
            self.online.set()
            await self._serve(line)
        except asyncio.CancelledError:
            await self._goodbye(line)
            raise
        except BaseException:
            line.sever()  # not a planned end: the last will is to be spoken
            raise
        finally:
            self._line = None
            await line.leave()

    def _pause_after(self, before: float, *, thrown_out: bool) -> float:
        """Seconds to wait when a connection ended or failed."""
        if thrown_out:
            return min(max(before * 2, TAKEN_OVER), LONGEST_PAUSE)
        return 1.0 if self.online.is_set() else min(max(before, 1.0) * 2, LONGEST_PAUSE)

    async def _rest(self, seconds: float, calls: int) -> None:
        """Wait before connecting again; about a second once more than so many calls wait."""
        now = asyncio.get_running_loop().time
        until = now() + seconds
        while now() < until:
            if (waiting := self.spool.depth("urgent")) > calls:
                calls = waiting
                until = min(until, now() + random.uniform(0.5, 1))  # noqa: S311 - spreads load
            await self._pause(until - now())

    async def _serve(self, line: Line) -> None:
        """Send and take in until the line is lost or must be opened anew."""
        now = asyncio.get_running_loop().time
        while line.keepalive == self.heartbeat.keepalive and not self._is_old:
            self._look()
            if not self._way.stays(self._path):
                return
            self._take_in()
            for sender in self._senders.values():
                sender.expire(now())
                self._send(line, sender, now())
            if now() >= self._state_due:
                line.publish(
                    self._link.topic("state"), self.heartbeat.message("running"), keep=True
                )
                self._state_due = now() + (_UNSETTLED if self._way.unsettled(now()) else EVERY)
            while self._replies:
                line.publish(self._link.topic("reply"), self._replies[0])
                self._replies.popleft()
            line.check()
            self._check_answers(now())
            await self._pause(self._next_wake(now()) - now())
        _log.info("connecting again, with a keepalive of %d s", self.heartbeat.keepalive)

    def _send(self, line: Line, sender: Sender, now: float) -> None:
        while sent := sender.next(self.spool, now, octets=line.packet_limit - HEAD_ROOM):
            sent.mid = line.publish(self._link.topic(sender.lane), self._batch(sent))
            self._unacknowledged[sent.mid] = sent

    def _batch(self, sent: Sent) -> bytes:
        run = sent.run
        batch = Batch(
            edge=self._link.edge,
            stream=run.stream,
            first=run.first,
            sent_at=self._clock.now_ms(),
            boot=run.boot,
            clock=state(self._clock),
            frames=(),
            gone=run.gone,
        )
        return encode_spooled(batch, run.frames)

    def _take_in(self) -> None:
        while self._arrived:
            topic, payload = self._arrived.popleft()
            if topic == self._link.topic("receipt"):
                self._take_receipt(payload)
            else:
                for sender in self._senders.values():
                    sender.alive()
                if topic == self._link.topic("command"):
                    self._on_command(payload)
                else:
                    self._on_config(payload)

    def _take_receipt(self, payload: bytes) -> None:
        try:
            receipt = read_receipt(payload)
        except BadReceipt as bad:
            _log.warning("a receipt that is none: %s", bad)
            return
        before = self.spool.epoch
        self.spool.receipt(receipt.streams, epoch=receipt.epoch)
        self.spool.take_back(receipt.missing, epoch=receipt.epoch)
        if self.spool.epoch != before:
            self.tell()  # the gateway need not announce itself again
        now = asyncio.get_running_loop().time()
        for sender in self._senders.values():
            sender.receipted(self.spool, now)
        self._way.receipted(self._path, now)

    def _check_answers(self, now: float) -> None:
        oldest = next(iter(self._unacknowledged.values()), None)
        if oldest is not None and now - oldest.at >= self._unanswered:
            raise LinkLost(f"the broker has not answered for {self._unanswered:g} s")

    def _next_wake(self, now: float) -> float:
        times = [self._state_due, now + (EVERY if self._path == 1 else _LOOK)]
        times += [sent.at + self._unanswered for sent in self._unacknowledged.values()]
        times += [at for sender in self._senders.values() if (at := sender.wakes()) is not None]
        return min(times)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0)):
                await self._woken.wait()
        self._woken.clear()

    def _arrive(self, topic: str, payload: bytes) -> None:
        self._arrived.append((topic, payload))
        self.wake()

    def _puback(self, mid: int | None, code: int) -> None:
        """The broker answered a batch, or (without a number) the line has something to say."""
        sent = None if mid is None else self._unacknowledged.pop(mid, None)
        if sent is not None:
            now = asyncio.get_running_loop().time()
            self._way.answered(self._path, now)
            if code == 0:
                self.published(sent)
            else:
                self._log_refusal(code)
                away = code == _NO_MATCHING_SUBSCRIBERS
                self._senders[sent.lane].refused(sent, now, away=away)
        self.wake()

    def _log_refusal(self, code: int) -> None:
        if code == _NO_MATCHING_SUBSCRIBERS:
            _log.info("the gateway is away: nobody takes what we send")
        else:
            _log.warning("the broker refuses a batch with reason 0x%02x", code)

    async def _goodbye(self, line: Line) -> None:
        """A planned stop says so; should the line be dead, the last will says the other thing."""
        with suppress(LinkLost, TimeoutError):
            async with asyncio.timeout(2):
                mid = line.publish(
                    self._link.topic("state"), self.heartbeat.message("stopped"), keep=True
                )
                await line.answered(mid)
