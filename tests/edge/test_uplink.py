"""Nothing is forgotten before its receipt, and calls go first."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from deploy.runtime.broker import Broker
from edge.heartbeat import Heartbeat
from edge.lanes import Sent
from edge.line import Line, Link, LinkLost
from edge.spool import Spool
from edge.uplink import Uplink
from tests.edge.frames import HandClock, heard
from tests.edge.gateway import SOON, Gateway, gateway

BOX = "box-11"


def link(broker: Broker, *, edge: str = BOX) -> Link:
    return Link.to(f"mqtt://127.0.0.1:{broker.port}", edge=edge, password=edge)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@asynccontextmanager
async def sending(uplink: Uplink) -> AsyncGenerator[Uplink]:
    """The uplink at work, stopped as planned afterwards."""
    task = asyncio.create_task(uplink.run())
    try:
        async with asyncio.timeout(SOON):
            await uplink.online.wait()
        yield uplink
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def box(broker: Broker, folder: Path, clock: HandClock) -> AsyncGenerator[Uplink]:
    with Spool(folder / "spool", clock) as spool:
        async with sending(Uplink(spool, link(broker), clock)) as uplink:
            yield uplink


async def drained(spool: Spool) -> None:
    async with asyncio.timeout(SOON):
        await spool.drained.wait()


async def test_a_frame_arrives_as_a_batch_and_its_receipt_lets_go_of_it(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    async with gateway(broker, BOX) as there, box(broker, tmp_path, clock) as uplink:
        uplink.spool.append(heard(7), "urgent")
        await drained(uplink.spool)

    [(lane, batch)] = there.batches
    assert (lane, batch["edge"], batch["format"], batch["first"]) == ("urgent", BOX, 1, 1)
    assert (batch["sent_at"], batch["boot"]) == (clock.ms, clock.boot)
    assert batch["clock"] == {"synchronised": True, "boot": clock.boot, "uptime": 100.0}
    assert batch["frames"][0]["data"] == {"fcd2": "0700"}


async def test_a_puback_without_a_receipt_lets_go_of_nothing(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    async with gateway(broker, BOX) as there, box(broker, tmp_path, clock) as uplink:
        there.answering = False
        uplink.spool.append(heard(1), "urgent")
        await there.sees(lambda: there.batches)

        assert uplink.spool.depth() == 1
        there.answering = True
        await drained(uplink.spool)

    assert len(there.batches) >= 2, "sent again after a while without a receipt"
    assert there.batches[0][1]["stream"] == there.batches[1][1]["stream"]


async def test_a_last_will_is_kept_for_a_gateway_that_comes_later(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    async with box(broker, tmp_path, clock) as uplink:
        await asyncio.sleep(0.2)  # it has said that it runs
        uplink.open = _never  # it stays away
        uplink.drop()
        await asyncio.sleep(0.2)  # the broker speaks the will, and nobody is there to hear it
        later = Gateway(broker, BOX)
        later.open()
        try:
            await later.sees(lambda: later.states)
        finally:
            later.close()

    assert [one["state"] for one in later.states] == ["lost"]


async def _never() -> Line:
    raise LinkLost("the cable is out")


class TrustingUplink(Uplink):
    """The saboteur: lets go of a frame on the broker's word."""

    def published(self, sent: Sent) -> None:
        run = sent.run
        self.spool.receipt({run.stream: [(run.first, run.last)]}, epoch="the broker's")


@pytest.mark.parametrize(("kind", "lost"), [(Uplink, False), (TrustingUplink, True)])
async def test_a_gateway_that_dies_before_it_stores_loses_nothing_unless_pubacks_are_trusted(
    broker: Broker, tmp_path: Path, clock: HandClock, *, kind: type[Uplink], lost: bool
) -> None:
    with Spool(tmp_path / "spool", clock) as spool:
        async with gateway(broker, BOX) as dying, sending(kind(spool, link(broker), clock)):
            dying.answering = False
            spool.append_many([heard(n) for n in range(1, 4)], "bulk")
            await dying.sees(lambda: dying.batches)
            await asyncio.sleep(0.1)  # the PUBACK is there
        async with gateway(broker, BOX) as healthy, sending(kind(spool, link(broker), clock)):
            await drained(spool)

    assert (len(healthy.frames) == 3) is not lost


async def test_a_call_overtakes_telemetry_that_waits(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    async with gateway(broker, BOX) as there, box(broker, tmp_path, clock) as uplink:
        there.answering = False
        uplink.spool.append_many([heard(n) for n in range(2_000)], "bulk")
        await there.sees(lambda: there.batches)
        uplink.spool.append(heard(1), "urgent")
        await there.sees(lambda: len(there.batches) > 1)

    assert [lane for lane, _ in there.batches[:2]] == ["bulk", "urgent"]


async def test_a_backlog_goes_one_bulk_message_at_a_time_and_whole(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    async with gateway(broker, BOX) as there, box(broker, tmp_path, clock) as uplink:
        there.answering = False
        uplink.spool.append_many([heard(n) for n in range(3_000)], "bulk")
        await there.sees(lambda: there.batches)
        await asyncio.sleep(0.3)
        before = len(there.batches)
        there.answering = True
        there.receipt({there.batches[0][1]["stream"]: [[1, len(there.batches[0][1]["frames"])]]})
        await drained(uplink.spool)

    assert before == 1
    numbers = [sequence for _, sequence in there.frames]
    assert numbers == list(range(numbers[0], 3_001))


async def test_the_gateway_being_away_is_known_from_the_broker_and_waited_out(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    async with box(broker, tmp_path, clock) as uplink:
        uplink.spool.append(heard(1), "urgent")
        await asyncio.sleep(0.5)
        assert uplink.spool.depth() == 1

        async with gateway(broker, BOX) as there:
            await drained(uplink.spool)

    assert len(there.frames) == 1


async def test_a_cut_connection_is_made_again_and_nothing_is_missing(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    async with gateway(broker, BOX) as there, box(broker, tmp_path, clock) as uplink:
        for number in range(3):
            uplink.spool.append_many([heard(n) for n in range(200)], "bulk")
            uplink.drop()
            uplink.spool.append(heard(number), "urgent")
        await drained(uplink.spool)
        lost = [state["state"] for state in there.states]

    assert "lost" in lost, "the last will has spoken"
    assert len(there.frames) == 603


async def test_the_box_says_when_it_begins_and_when_it_stops_on_purpose(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    async with gateway(broker, BOX) as there:
        async with box(broker, tmp_path, clock):
            await there.sees(lambda: there.states)
        await there.sees(lambda: len(there.states) > 1)

    running, stopped = there.states
    assert (running["state"], stopped["state"]) == ("running", "stopped")
    assert running["urgent"] == {"depth": 0, "oldest": None}
    assert (running["keepalive"], running["started"], running["at"]) == (60, clock.ms, clock.ms)


async def test_the_state_tells_how_much_waits(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    with Spool(tmp_path / "spool", clock) as spool:
        spool.append_many([heard(1, at=5), heard(2, at=5)], "bulk")
        async with gateway(broker, BOX) as there:
            there.answering = False
            async with sending(Uplink(spool, link(broker), clock)):
                await there.sees(lambda: there.states)

    assert there.states[0]["bulk"] == {"depth": 2, "oldest": 6}


async def test_a_new_keepalive_is_taken_up_without_saying_stopped(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    with Spool(tmp_path / "spool", clock) as spool:
        beat = Heartbeat(spool=spool, clock=clock)
        uplink = Uplink(spool, link(broker), clock, heartbeat=beat)
        async with gateway(broker, BOX) as there, sending(uplink):
            await there.sees(lambda: there.states)
            beat.keepalive = 30
            uplink.wake()
            await there.sees(lambda: len(there.states) > 1)

    assert [(s["state"], s["keepalive"]) for s in there.states[:2]] == [
        ("running", 60),
        ("running", 30),
    ]


async def test_the_configuration_is_handed_over_as_it_came(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    came: asyncio.Queue[bytes] = asyncio.Queue()
    with Spool(tmp_path / "spool", clock) as spool:
        uplink = Uplink(spool, link(broker), clock, on_config=came.put_nowait)
        async with gateway(broker, BOX) as there:
            there.configure({"format": 1})
            async with sending(uplink), asyncio.timeout(SOON):
                assert await came.get() == b'{"format": 1}'
            there.configure(None)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b'{"format":2,"epoch":"x","streams":{}}'])
async def test_a_receipt_that_is_none_changes_nothing(
    broker: Broker, tmp_path: Path, clock: HandClock, payload: bytes
) -> None:
    async with gateway(broker, BOX) as there, box(broker, tmp_path, clock) as uplink:
        there.answering = False
        uplink.spool.append(heard(1), "bulk")
        await there.sees(lambda: there.batches)
        there._clients["urgent"].publish(f"edges/{BOX}/receipt", payload, qos=1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - what no gateway would say
        await asyncio.sleep(0.2)

        assert uplink.spool.depth() == 1
        assert uplink.online.is_set()


async def test_a_wrong_password_is_said_and_tried_again(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    wrong = Link.to(f"mqtt://127.0.0.1:{broker.port}", edge=BOX, password="wrong")  # noqa: S106
    with Spool(tmp_path / "spool", clock) as spool:
        uplink = Uplink(spool, wrong, clock)
        with pytest.raises(LinkLost, match="Not authorized"):
            await uplink.open()


async def test_a_broker_killed_in_the_middle_loses_nothing(
    service_folder: Path, tmp_path: Path, clock: HandClock
) -> None:
    names = {f"gateway-{word}": "the gateway's, in tests" for word in ("urgent", "bulk", "config")}
    mine = Broker.start(service_folder / "killed", passwords={**names, BOX: BOX})
    try:
        async with gateway(mine, BOX) as there, box(mine, tmp_path, clock) as uplink:
            uplink.spool.append_many([heard(n) for n in range(4_000)], "bulk")
            await there.sees(lambda: len(there.batches) > 2)
            mine.kill()
            uplink.spool.append(heard(1), "urgent")
            mine.restart()
            async with asyncio.timeout(15):
                await uplink.spool.drained.wait()
    finally:
        mine.stop()

    assert len(there.frames) == 4_001


class Cable:
    """A way to the broker that can swallow everything and say nothing, as a dead router does."""

    def __init__(self, port: int) -> None:
        self.swallowing = False
        self.opened = 0
        self.port = 0
        self._to = port
        self._ways = set[asyncio.Task[None]]()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._through, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for way in self._ways:
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    async def _through(self, box: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self.opened += 1
        broker, on = await asyncio.open_connection("127.0.0.1", self._to)
        for source, sink in ((box, on), (broker, back)):
            way = asyncio.create_task(self._pass(source, sink))
            self._ways.add(way)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while said := await source.read(65_536):
                if not self.swallowing:
                    sink.write(said)
        finally:
            sink.close()
            with suppress(OSError):
                await sink.wait_closed()


async def test_a_dead_way_is_noticed_by_the_missing_answer_and_another_is_opened(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    async with Cable(broker.port) as cable:
        way = Link.to(f"mqtt://127.0.0.1:{cable.port}", edge=BOX, password=BOX)
        with Spool(tmp_path / "spool", clock) as spool:
            uplink = Uplink(spool, way, clock, unanswered=0.5)
            async with gateway(broker, BOX) as there, sending(uplink):
                cable.swallowing = True
                spool.append(heard(1), "urgent")
                await asyncio.sleep(0.6)
                cable.swallowing = False
                await drained(spool)

    assert cable.opened == 2
    assert len(there.frames) == 1


async def test_a_press_leaves_at_once(broker: Broker, tmp_path: Path, clock: HandClock) -> None:
    loop, took = asyncio.get_running_loop(), list[float]()
    async with gateway(broker, BOX), box(broker, tmp_path, clock) as uplink:
        for number in range(50):
            began = loop.time()
            uplink.spool.append(heard(number), "urgent")
            await drained(uplink.spool)
            took.append(loop.time() - began)

    assert sorted(took)[len(took) // 2] < 0.02, "no polling and no Nagle between append and receipt"


class CutUplink(Uplink):
    """A box whose cable is out: how tests and simulators keep one away."""

    cut = False

    async def open(self) -> Line:
        if self.cut:
            raise LinkLost("the cable is out")
        return await super().open()


async def test_a_box_can_be_kept_away_and_let_back(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    with Spool(tmp_path / "spool", clock) as spool:
        uplink = CutUplink(spool, link(broker), clock)
        async with gateway(broker, BOX) as there, sending(uplink):
            await there.sees(lambda: there.states)
            uplink.cut = True
            uplink.drop()
            await there.sees(lambda: [s for s in there.states if s["state"] == "lost"])
            spool.append(heard(1), "urgent")
            await asyncio.sleep(0.2)
            assert there.batches == []
            uplink.cut = False
            await drained(spool)


def test_a_link_is_read_from_its_address() -> None:
    plain = Link.to("mqtt://broker", edge="e")
    secure = Link.to("mqtts://[::1]:8884", edge="e", password="p")  # noqa: S106

    assert (plain.host, plain.port, plain.tls) == ("broker", 1883, False)
    assert (secure.host, secure.port, secure.tls) == ("::1", 8884, True)
    assert "'p'" not in repr(secure)
    with pytest.raises(ValueError, match="neither"):
        Link.to("http://broker", edge="e")
