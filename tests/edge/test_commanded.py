"""The program does what it is asked: restarts with every frame on disk, and tells its log."""

import asyncio
import json
import queue
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deploy.runtime.broker import Broker
from deploy.world.bluez import Bluez
from deploy.world.peripheral import Advertisement, Peripheral
from edge.clock import clock_from
from edge.keeping.disk import SPOOL
from edge.main import RESTART
from edge.status import peek
from tests.conftest import GATEWAY_PASSWORD
from tests.deploy.mqtt import Client, connected
from tests.edge.gateway import SOON, Gateway, gateway
from tests.edge.hearing import Kept, a_reader, config, device, sensor
from tests.edge.test_config_traffic import SENSOR
from tests.edge.test_config_traffic import config as told
from tests.edge.test_main import BOX, running, to
from tests.edge.uplinks import running as at_work

COMMAND, REPLY = f"edges/{BOX}/command", f"edges/{BOX}/reply"
NEIGHBOUR = "C0:FF:EE:00:00:01"


def command(do: str, seconds: int = 10) -> bytes:
    until = clock_from("wall").now_ms() + 60_000
    said = {"format": 1, "id": str(uuid4()), "do": do, "seconds": seconds, "until": until}
    return json.dumps(said).encode()


@asynccontextmanager
async def asking(broker: Broker) -> AsyncGenerator[Client]:
    with connected(broker.gateway_port, "gateway-config", GATEWAY_PASSWORD) as client:
        client.subscribe("edges/+/reply")
        yield client


async def answer(client: Client, asked: bytes) -> dict[str, Any]:
    """The box's; it is asked again as the gateway does, for it may not be there yet."""

    def ask() -> dict[str, Any]:
        for _ in range(40):
            client.publish(COMMAND, asked)
            with suppress(queue.Empty):
                topic, payload = client.heard.get(timeout=0.3)
                if topic == REPLY and json.loads(payload)["id"] == json.loads(asked)["id"]:
                    return json.loads(payload)
        pytest.fail("no answer")

    return await asyncio.to_thread(ask)


async def heard(there: Gateway, bluez: Bluez) -> None:
    """The first frames of the bulk lane are with the agent and were sent, but no receipt came."""
    mine = Peripheral(SENSOR, address_type="random", advertisement=Advertisement())
    bluez.add(mine)
    for number in range(1_000):
        mine.advertise(service_data={"fcd2": number.to_bytes(2, "little")})
        await asyncio.sleep(0.02)
        if there.sent:
            return
    pytest.fail("nothing was heard")


@pytest.mark.parametrize("killed", [False, True], ids=["restarted", "killed: the saboteur"])
async def test_a_restart_ends_with_every_frame_on_disk(
    broker: Broker, bluez: Bluez, tmp_path: Path, *, killed: bool
) -> None:
    """Frames of the bulk lane are in memory for half a minute; a kill shows that one would miss."""
    async with gateway(broker, BOX) as there, asking(broker) as client:
        there.answering = False
        there.configure(told(3, SENSOR))
        async with running(tmp_path, **to(broker)) as agent:
            await there.sees(lambda: [s for s in there.states if s["config"] == 3])
            await heard(there, bluez)
            sent = len(there.sent)
            if killed:
                agent.kill()
            else:
                client.publish(COMMAND, command("restart", 30))
            async with asyncio.timeout(SOON):
                code = await agent.wait()
        there.configure(None)

    kept = peek(tmp_path / SPOOL, alone=True)["bulk"][0]
    assert (kept >= sent) == (not killed)
    assert killed or code == RESTART
    assert killed or "stopped" in [state["state"] for state in there.states]


async def test_a_restart_is_answered_by_the_next_agent_though_it_is_asked_again_and_again(
    broker: Broker, tmp_path: Path
) -> None:
    asked, ended = command("restart", 30), list[int]()
    async with gateway(broker, BOX) as there, asking(broker) as client:
        answering = asyncio.create_task(answer(client, asked))
        for _ in range(2):
            async with running(tmp_path, EDGE_RADIO="no", **to(broker)) as agent:
                await there.sees(lambda: there.states)
                waits = asyncio.create_task(agent.wait())
                await asyncio.wait([waits, answering], return_when="FIRST_COMPLETED", timeout=SOON)
                await asyncio.sleep(1)  # asked on: it must not end once more
                if waits.done():
                    ended.append(waits.result())
                waits.cancel()
        said = await answering

    assert ended == [RESTART]
    assert said["error"] is None
    assert 0 < said["did"]["away_seconds"] < 20


async def test_the_log_is_told_and_a_box_without_a_lamp_says_so(
    broker: Broker, tmp_path: Path
) -> None:
    async with (
        gateway(broker, BOX),
        asking(broker) as client,
        running(tmp_path, EDGE_RADIO="no", **to(broker)),
    ):
        lamp = await answer(client, command("identify"))
        log = await answer(client, command("send_log"))
        radio = await answer(client, command("rescan"))

    assert (lamp["error"], radio["error"], log["error"]) == ("no_lamp", "no_radio", None)
    assert "asked to send_log for 10 seconds" in log["log"]
    assert "config 0: 0 devices" in log["log"]


async def test_a_new_scan_is_begun_and_told_of(bluez: Bluez) -> None:
    mine, kept = sensor(SENSOR), Kept()
    bluez.add(mine)
    reader = a_reader(kept)
    reader.follow(config(device(SENSOR)))
    async with at_work(reader.run()):
        silent = await reader.rescan(1.5)
        asked = asyncio.create_task(reader.rescan(5))
        while not asked.done():
            mine.advertise(service_data={"fcd2": b"x"})
            await asyncio.sleep(0.1)
        after = await asked
        mine.advertise(service_data={"fcd2": b"heard once more"})
        await kept.sees(
            lambda: [f for _, f in kept.frames if f.data == {"fcd2": b"heard once more"}]
        )

    assert silent is None
    assert after is not None
    assert after < 5


async def test_who_asks_does_not_wait_for_a_radio_that_is_given_time(bluez: Bluez) -> None:
    """While scans fail, five minutes lie between two of them at last; a person has not got them."""
    mine, kept = sensor(SENSOR), Kept()
    bluez.add(mine)
    reader = a_reader(kept)
    reader._failures = 10  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    bluez.power(on=False)
    async with at_work(reader.run()):
        await asyncio.sleep(1)
        bluez.power(on=True)
        asked = asyncio.create_task(reader.rescan(8))
        while not asked.done():
            mine.advertise(service_data={"fcd2": b"x"})
            await asyncio.sleep(0.1)

    assert await asked is not None
