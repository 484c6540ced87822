"""A dead line: a call goes by the second way, telemetry waits, and the first is taken up again."""

import asyncio
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.runtime.broker import Broker
from deploy.runtime.paths import ROOT
from edge.event import Voice
from edge.joining.identity import Identity, second_link
from edge.keeping.spool import Spool
from edge.sending.heartbeat import Heartbeat
from edge.sending.line import LinkLost
from edge.sending.paths import Paths
from edge.sending.uplink import Uplink
from edge.settings import BadSetting, Settings
from tests.edge.cable import Cable
from tests.edge.frames import HandClock, heard
from tests.edge.gateway import Gateway, gateway
from tests.edge.test_main import running as agent
from tests.edge.uplinks import BOX, by, drained, link, running

AFTER = 0.3


@asynccontextmanager
async def two_ways(
    first: Cable, second: Cable | None, folder: Path, clock: HandClock
) -> AsyncGenerator[Spool]:
    """The box's ways to its broker, at work; without a second one it is the saboteur."""
    with Spool(folder / "spool", clock) as spool:
        beat = Heartbeat(spool=spool, clock=clock)
        paths = Paths(
            spool,
            by(first),
            None if second is None else by(second),
            clock,
            heartbeat=beat,
            say=Voice(spool.append, clock, BOX),
            on_config=lambda _: None,
            after=AFTER,
        )
        async with running(paths.run()):
            yield spool


def events(there: Gateway) -> list[str]:
    return [frame["uuid"] for frame in there.frames.values() if frame["heard"] == "box"]


async def test_a_call_goes_by_the_second_way_and_telemetry_waits_for_the_first(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    async with (
        Cable(broker.port) as first,
        Cable(broker.port) as second,
        gateway(broker, BOX) as there,
        two_ways(first, second, tmp_path, clock) as spool,
    ):
        await there.sees(lambda: there.states)
        first.cut()
        spool.append(heard(1), "bulk")
        spool.append(heard(2), "urgent")

        await there.sees(lambda: there.heard)
        await there.sees(lambda: (s := there.states[-1])["state"] == "running" and s["path"] == 2)
        assert [lane for lane, _ in there.batches] == ["urgent"]
        assert spool.depth("bulk") == 2, "the frame, and the word that the second way is used"

        first.mend()
        await there.sees(lambda: there.states[-1]["path"] == 1)
        await drained(spool)

    assert (len(there.heard), events(there)) == (2, ["line.second_path", "line.back"])
    assert second.opened == 1


async def test_the_second_way_is_not_touched_while_the_first_gives_receipts(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    async with (
        Cable(broker.port) as first,
        Cable(broker.port) as second,
        gateway(broker, BOX) as there,
        two_ways(first, second, tmp_path, clock) as spool,
    ):
        for number in range(4):
            spool.append(heard(number), "urgent")
            await there.sees(lambda: len(there.heard) > number)  # noqa: B023 - waited for here
            await drained(spool)

    assert second.opened == 0
    assert {state["path"] for state in there.states} == {1}


async def test_a_call_that_neither_way_carries_leaves_by_the_one_that_comes_back(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    async with (
        Cable(broker.port) as first,
        Cable(broker.port) as second,
        gateway(broker, BOX) as there,
        two_ways(first, second, tmp_path, clock) as spool,
    ):
        await there.sees(lambda: there.states)
        second.cut()
        first.cut()
        spool.append(heard(1), "urgent")
        await there.sees(lambda: second.opened or there.states[-1]["state"] == "lost")
        first.mend()
        await drained(spool)

    assert len(there.heard) == 1


async def test_a_box_with_but_one_way_keeps_the_call_to_itself(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    async with (
        Cable(broker.port) as first,
        gateway(broker, BOX) as there,
        two_ways(first, None, tmp_path, clock) as spool,
    ):
        first.cut()
        spool.append(heard(1), "urgent")
        with pytest.raises(TimeoutError):
            await there.sees(lambda: there.heard, within=3 * AFTER)


async def test_a_connection_can_be_bound_to_a_network_interface(
    broker: Broker, tmp_path: Path, clock: HandClock
) -> None:
    with Spool(tmp_path / "spool", clock) as spool:
        bound = Uplink(spool, replace(link(broker), interface="lo"), clock)
        line = await bound.open()
        made = line._socket  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - what the kernel says
        assert made is not None
        name = made.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
        await line.leave()
        missing = Uplink(spool, replace(link(broker), interface="wwan77"), clock)
        with pytest.raises(LinkLost, match=r"by wwan77: .*No such device"):
            await missing.open()

    assert name.rstrip(b"\0") == b"lo"


def identity(broker: str) -> Identity:
    return Identity(edge=BOX, broker=broker, ca=None, username=BOX, password=BOX)


def test_the_second_way_has_the_same_name_and_is_as_well_protected() -> None:
    joined = identity("mqtts://broker.example:8883")

    way = second_link(joined, Settings(second_interface="wwan0"))
    other = second_link(joined, Settings(second_broker="mqtts://192.0.2.7"))

    assert way == replace(joined.link(), interface="wwan0")
    assert other == replace(joined.link(), host="192.0.2.7")
    assert second_link(joined, Settings()) is None


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("mqtt://192.0.2.7", "mqtts:// is needed"),
        ("mqtts://broker.example:8883", "the first way"),
        ("mqtts://", "neither"),
    ],
)
def test_a_second_way_that_is_none_is_refused(second: str, words: str) -> None:
    with pytest.raises(BadSetting, match=f"EDGE_SECOND_BROKER.*{words}"):
        second_link(identity("mqtts://broker.example:8883"), Settings(second_broker=second))


@pytest.mark.long
async def test_the_program_itself_tries_both_ways_calls_its_hook_and_says_when_it_is_over(
    broker: Broker, tmp_path: Path
) -> None:
    hook, said = tmp_path / "hook", tmp_path / "said"
    hook.write_text(f'#!/bin/sh\necho "$1 $3" >>{said}\n')
    hook.chmod(0o755)
    with Spool(tmp_path / "spool.sqlite", HandClock()) as spool:
        spool.append(heard(1), "urgent")
    async with (
        Cable(broker.port) as first,
        Cable(broker.port) as second,
        gateway(broker, BOX) as there,
    ):
        first.cut()
        second.cut()
        settings = {
            "EDGE_BROKER": f"mqtt://127.0.0.1:{first.port}",
            "EDGE_SECOND_BROKER": f"mqtt://127.0.0.1:{second.port}",
            "EDGE_SECOND_INTERFACE": "lo",
            "EDGE_SECOND_AFTER": "5",
            "EDGE_HOOK": str(hook),
            "EDGE_HOOK_AFTER": "15",
            "EDGE_ID": BOX,
            "EDGE_PASSWORD": BOX,
            "EDGE_RADIO": "no",
        }
        async with agent(tmp_path, **settings):
            async with asyncio.timeout(30):
                await asyncio.to_thread(appears, said, "waiting 1\n")
            second.mend()
            async with asyncio.timeout(40):
                await there.sees(lambda: there.heard, within=40)
                await asyncio.to_thread(appears, said, "waiting 1\nover 0\n")
            status = json.loads((tmp_path / "status.json").read_text())

    assert (status["connected"], status["path"]) == (True, 2)
    assert {"line.second_path", "line.back"} & set(events(there)) == set(), "told by the first way"


@pytest.mark.long
@pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("ip", "nsenter", "unshare"))),
    reason="only root may lay network lines, with iproute2 and util-linux",
)
@pytest.mark.parametrize(
    ("second", "came"),
    [("EDGE_SECOND_INTERFACE=wwan0", 1), ("EDGE_SECOND_BROKER=mqtt://10.9.9.8:1883", 0)],
)
async def test_by_a_real_second_interface_a_call_leaves_while_the_first_is_down(
    tmp_path: Path, second: str, came: int
) -> None:
    """The saboteur has another address of the broker, but the system's own dead way to it."""
    lines = await asyncio.create_subprocess_exec(
        *("unshare", "--net", sys.executable, "-m", "tests.edge.two_lines", tmp_path, second),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await lines.communicate()

    how = json.loads(told)
    assert (how["dead"], how["mended"]) == (came, 1)
    assert how["path"] == (2 if came else None)


def appears(file: Path, text: str) -> None:
    while not file.exists() or file.read_text() != text:
        time.sleep(0.1)
