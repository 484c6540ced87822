"""Nothing is forgotten before its receipt, and calls go first."""

import asyncio
from pathlib import Path

import pytest

from deploy.runtime.broker import Broker
from edge.broker import Link
from edge.keeping.spool import Spool
from edge.sending.heartbeat import Heartbeat
from edge.sending.lanes import Sent
from edge.sending.uplink import Uplink
from tests.edge.frames import HandClock, heard
from tests.edge.gateway import SOON, gateway
from tests.edge.uplinks import BOX, box, drained, link, sending


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


@pytest.mark.alone
async def test_a_press_leaves_at_once(broker: Broker, tmp_path: Path, clock: HandClock) -> None:
    loop, took = asyncio.get_running_loop(), list[float]()
    async with gateway(broker, BOX), box(broker, tmp_path, clock) as uplink:
        for number in range(50):
            began = loop.time()
            uplink.spool.append(heard(number), "urgent")
            await drained(uplink.spool)
            took.append(loop.time() - began)

    assert sorted(took)[len(took) // 2] < 0.02, "no polling and no Nagle between append and receipt"


def test_a_link_is_read_from_its_address() -> None:
    plain = Link.to("mqtt://broker", edge="e")
    secure = Link.to("mqtts://[::1]:8884", edge="e", password="p")  # noqa: S106

    assert (plain.host, plain.port, plain.tls) == ("broker", 1883, False)
    assert (secure.host, secure.port, secure.tls) == ("::1", 8884, True)
    assert "'p'" not in repr(secure)
    with pytest.raises(ValueError, match="neither"):
        Link.to("http://broker", edge="e")
