"""Sends ready batches as so many boxes: `python -m deploy.world.bench.sender PLAN`.

A box here does what a real one does with its bulk lane: one message in flight until the gateway's
receipt covers it, sent again when none comes, every receipt acknowledged. Only the spool is
missing: the batches were made before (making.py). It tells what it does in lines of JSON on
standard output, waits for a line on standard input before it begins, and ends when that closes.
"""

import contextlib
import json
import os
import resource
import select
import subprocess
import sys
import time
from array import array
from collections import deque
from itertools import islice
from pathlib import Path
from typing import Any

from deploy.world.bench import making, packets
from deploy.world.bench.box import BUSY, STATE_EVERY, Box, Refused, open_all, state
from deploy.world.bench.homes import edge_name
from deploy.world.bench.load import stream_of
from deploy.world.bench.plan import Plan

_PING_EVERY = 30
"""Seconds; half of the boxes' keepalive."""
_AGAIN = 1.0
"""Seconds after which a batch is tried again that the broker gave to nobody."""
_LOOK, _TELL, _SECOND = 0.005, 0.5, 1.0
_PIPE = 1 << 20
_SEVERAL = 64  # connections that are opened at the same time
_LOW = 0.9
"""Of the batches that may lie ready; with fewer the makers are listened to again."""


class Sender:
    """All boxes on one epoll: every message costs a read or two and one write."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._epoll = select.epoll()
        self._boxes: dict[int, Box] = {}
        self._by_home: dict[int, Box] = {}
        self._idle: deque[Box] = deque()
        self._makers: dict[int, subprocess.Popen[bytes]] = {}
        self._unread: dict[int, bytes] = {}
        self._paused = False
        self._held = self._in_flight = 0
        self._begun = self._until = self._cpu = 0.0
        self._stopped = False
        self._at_once = plan.connected or plan.shape.homes
        self._coming = iter(range(plan.shape.first, plan.shape.first + plan.shape.homes))
        self._seconds: list[float] = []
        self.sent = self.receipted = self.again = 0
        """Observations sent and receipted; batches sent again."""
        self.messages = self.refusals = 0

    def prepare(self) -> int:
        """Have batches made until all are there or enough lie ready; how many bytes do."""
        shape = making.shape_to_text(self._plan.shape)
        for part in range(self._plan.makers):
            words = ("-P", "-m", "deploy.world.bench.making", shape, str(part))
            command = ["setpriv", "--pdeathsig", "KILL", sys.executable, *words]
            command += [str(self._plan.makers), str(self._at_once)]
            maker = subprocess.Popen(command, stdout=subprocess.PIPE)
            out = _out(maker)
            self._makers[out], self._unread[out] = maker, b""
            os.set_blocking(out, False)
            self._epoll.register(out, select.EPOLLIN)
        while self._makers and self._held < self._plan.ready:
            for place, _ in self._epoll.poll(1):
                self._take_made(place)
        return self._held

    def connect(self) -> None:
        """Connect boxes as they would, as many as may be: subscribed, and with their birth told."""
        while len(self._boxes) < self._at_once and self._connect_some():
            pass

    def _connect_some(self) -> bool:
        """The next boxes, if there are any."""
        room = min(_SEVERAL, self._at_once - len(self._boxes))
        some = [self._box(home) for home in islice(self._coming, room)]
        folder = Path(self._plan.certificates) if self._plan.certificates else None
        open_all(some, (self._plan.host, self._plan.port), folder)
        for one in some:
            self._boxes[one.line.fileno()] = one
            self._epoll.register(one.line.fileno(), select.EPOLLIN)
            if self._begun and one.queue:
                self._idle.append(one)
        return bool(some)

    def run(self) -> None:
        """Send until the time is up or all is sent, then wait for the last receipts."""
        self._begun, self._cpu = time.monotonic(), time.process_time()
        with contextlib.suppress(PermissionError):  # not a pipe: a person has started us
            self._epoll.register(sys.stdin.fileno(), select.EPOLLIN)
        self._idle.extend(box for box in self._boxes.values() if box.queue)
        next_look = next_tell = next_ping = self._begun
        while not self._is_done(now := time.monotonic()):
            for place, event in self._epoll.poll(_LOOK):
                self._serve(place, event)
            if now >= next_look:
                self._let_go()
                next_look = now + _LOOK
            if now >= next_tell:
                self._tell(now)
                next_tell = now + _TELL
            if now >= next_ping:
                self._let_others_in()
                self._send_again(now)
                self._keep_alive(now)
                next_ping = now + _SECOND

    def close(self) -> None:
        """Say good-bye; the makers, should they still be at work, end by their broken pipe."""
        for box in self._boxes.values():
            box.leave()
        for maker in self._makers.values():
            maker.kill()
            maker.wait()

    def report(self) -> dict[str, Any]:
        """What was sent, by box: frames, and observations by device and kind."""
        makers = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "sent": self.sent,
            "receipted": self.receipted,
            "messages": self.messages,
            "sent_again": self.again,
            "refused": self.refusals,
            "seconds": self._until - self._begun,
            "cpu": time.process_time() - self._cpu,
            "makers_cpu": makers.ru_utime + makers.ru_stime,
            "boxes": {
                str(box.home): [box.last, box.observations, array("I", box.tally).tolist()]
                for box in self._by_home.values()
            },
        }

    def _is_done(self, now: float) -> bool:
        plan = self._plan
        if not self._stopped and (now - self._begun >= plan.seconds or self._is_all_sent()):
            self._stopped, self._until = True, now
        if not self._stopped:
            return False
        if self._in_flight:
            self._until = now
        return not self._in_flight or now - self._begun > plan.seconds + plan.drain

    def _is_all_sent(self) -> bool:
        return not self._makers and self._held == 0 and self._in_flight == 0

    def _serve(self, place: int, event: int) -> None:
        box = self._boxes.get(place)
        if box is None:
            if place == sys.stdin.fileno():
                raise Refused("nobody wants the result any more")
            self._take_made(place)
            return
        if event & select.EPOLLOUT:
            self._write(box, b"")
        if event & ~select.EPOLLOUT:
            self._read(box)

    def _read(self, box: Box) -> None:
        received = box.received()
        if received is None:
            return
        if not received:
            raise Refused(f"the broker closed the connection of {box.name}")
        found, box.unread = packets.split(box.unread + received)
        answers, is_free = b"", False
        for first, body in found:
            kind = first & 0xF0
            if kind == packets.PUBLISH:
                topic, number, payload = packets.published(first, body)
                if number:
                    answers += packets.puback(number)
                is_free = (topic.endswith(b"/receipt") and self._covers(box, payload)) or is_free
            elif kind == packets.PUBACK and packets.reason(body):
                self._refused(box)
            elif kind == packets.DISCONNECT:
                raise Refused(f"the broker sends {box.name} away: {body.hex()}")
        if is_free:
            self._receipted(box)
            answers += self._next(box)
        if answers:
            self._write(box, answers)

    def _covers(self, box: Box, payload: bytes) -> bool:
        if box.message is None:
            return False
        ranges = json.loads(payload)["streams"].get(box.stream, ())
        first = box.last - box.message.frames + 1
        return any(low <= first and box.last <= high for low, high in ranges)

    def _refused(self, box: Box) -> None:
        """Nobody is there to take it: as a box would, try again after about a second."""
        self.refusals += 1
        box.due = min(box.due, time.monotonic() + _AGAIN)

    def _receipted(self, box: Box) -> None:
        if box.message is not None:
            self.receipted += box.message.observations
            box.took = time.monotonic() - box.sent_at
            self._seconds.append(box.took)
            box.message, box.again = None, 0
            self._in_flight -= 1

    def _next(self, box: Box) -> bytes:
        """The box's next batch; nothing, and the box idle, while none may leave.

        A box without batches is looked at again when a maker has one for it.
        """
        if self._stopped or not box.queue or not self._may_send():
            box.is_idle = True
            if box.queue:
                self._idle.append(box)
            return b""
        message = box.message = box.queue.popleft()
        self._held -= len(message.packet)
        self._in_flight += 1
        box.is_idle, box.sent_at = False, time.monotonic()
        box.wait(box.sent_at)
        box.last += message.frames
        box.observations += message.observations
        box.tally = message.tally
        self.sent += message.observations
        self.messages += 1
        return message.packet

    def _may_send(self) -> bool:
        rate = self._plan.rate
        return not rate or self.sent < rate * (time.monotonic() - self._begun)

    def _let_go(self) -> None:
        """Boxes that wait for their time try again."""
        if self._paused and self._held < self._plan.ready * _LOW:
            self._listen_to_makers(wanted=True)
        for _ in range(len(self._idle)):
            if self._stopped or not self._may_send():
                break
            box = self._idle.popleft()
            if packet := self._next(box):
                self._write(box, packet)

    def _let_others_in(self) -> None:
        """Boxes that are done leave, for the ones that have not been connected yet."""
        if self._at_once == self._plan.shape.homes:
            return
        for box in [one for one in self._boxes.values() if one.last == self._plan.shape.frames]:
            if box.message is None:
                self._epoll.unregister(box.line.fileno())
                del self._boxes[box.line.fileno()]
                box.leave()
        self.connect()

    def _send_again(self, now: float) -> None:
        for box in self._boxes.values():
            if box.message is not None and now > box.due:
                box.again += 1
                box.wait(now)
                self.again += 1
                self._write(box, box.message.packet)

    def _keep_alive(self, now: float) -> None:
        """Every box says that it is there, spread over the time that each has for it."""
        ping = int(now) % _PING_EVERY
        for box in self._boxes.values():
            if now >= box.state_due:
                box.state_due = now + STATE_EVERY
                self._write(box, state(box))
            elif box.home % _PING_EVERY == ping:
                self._write(box, packets.PINGREQ)

    def _write(self, box: Box, data: bytes) -> None:
        data = box.unwritten + data
        try:
            written = box.line.send(data)
        except BUSY:
            written = 0
        had, box.unwritten = box.unwritten, data[written:]
        if bool(had) != bool(box.unwritten):
            wanted = select.EPOLLIN | (select.EPOLLOUT if box.unwritten else 0)
            self._epoll.modify(box.line.fileno(), wanted)

    def _tell(self, now: float) -> None:
        took, self._seconds = sorted(self._seconds), []
        middle = took[len(took) // 2] if took else 0.0
        say(
            at=round(now - self._begun, 2),
            sent=self.sent,
            receipted=self.receipted,
            receipt_ms=round(middle * 1_000),
        )

    def _take_made(self, place: int) -> None:
        """Read what a maker has; its end closes the pipe."""
        data = os.read(place, _PIPE)
        if not data:
            self._epoll.unregister(place)
            self._makers.pop(place).wait()
            return
        found, self._unread[place] = making.records(self._unread[place] + data)
        for home, message in found:
            box = self._box(home)
            if self._begun and box.is_open and box.is_idle and not box.queue:
                self._idle.append(box)
            box.queue.append(message)
            self._held += len(message.packet)
        if self._held >= self._plan.ready and self._begun:
            self._listen_to_makers(wanted=False)

    def _listen_to_makers(self, *, wanted: bool) -> None:
        self._paused = not wanted
        for place in self._makers:
            self._epoll.modify(place, select.EPOLLIN if wanted else 0)

    def _box(self, home: int) -> Box:
        if home not in self._by_home:
            stream = str(stream_of(self._plan.shape, home))
            self._by_home[home] = Box(home, edge_name(home), stream)
        return self._by_home[home]


def say(**words: object) -> None:
    """One line for whoever started us."""
    print(json.dumps(words), flush=True)  # noqa: T201 - how the processes talk


def _out(maker: subprocess.Popen[bytes]) -> int:
    if maker.stdout is None:
        raise Refused("a maker without a pipe")
    return maker.stdout.fileno()


def main() -> int:
    """Prepare, connect, wait for the word, send, report."""
    plan = Plan.read(Path(sys.argv[1]))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    sender = Sender(plan)
    try:
        say(made=sender.prepare())
        sender.connect()
        say(ready=True)
        if not sys.stdin.readline():
            return 1
        sender.run()
        Path(plan.report).write_text(json.dumps(sender.report()))
        say(done=True)
    except (Refused, OSError) as refused:
        say(refused=str(refused))
        return 1
    finally:
        sender.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
