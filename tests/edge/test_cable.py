"""The way to the broker is cut, swallows, refuses or ends at nobody: it is opened anew."""

import asyncio
from pathlib import Path

import pytest

from deploy.runtime.broker import Broker
from edge.broker import Link
from edge.keeping.spool import Spool
from edge.sending.line import Line, LinkLost
from edge.sending.uplink import Uplink
from tests.edge.cable import Cable
from tests.edge.frames import HandClock, heard
from tests.edge.gateway import Gateway, gateway
from tests.edge.uplinks import BOX, box, drained, link, sending


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
