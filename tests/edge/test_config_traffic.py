"""A configuration that changes amid traffic costs no frame; one that is bad changes nothing."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.runtime.broker import Broker
from deploy.runtime.paths import ROOT
from deploy.world.bluez import Bluez
from deploy.world.peripheral import Advertisement, Peripheral
from edge.keeping.disk import SPOOL
from edge.told.config import CONFIG, ConfigFile
from tests.edge.gateway import Gateway, gateway
from tests.edge.test_main import BOX, edge, environment, to

SENSOR, BUTTON, OTHER = "A4:C1:38:00:00:01", "D4:0E:84:00:00:01", "A4:C1:38:00:00:02"
HONEST = "from edge.main import main; raise SystemExit(main(['run']))"
SABOTEUR = (
    """
import asyncio
from edge.hearing.reader import Reader
from edge.told.config import Config

follow = Reader.follow

def anew(self, config):
    follow(self, Config())  # the old one is let go of before the new one is there
    asyncio.get_running_loop().call_later(0.5, follow, self, config)

Reader.follow = anew
"""
    + HONEST
)


def config(version: int, *addresses: str, keepalive: int = 30) -> dict[str, Any]:
    devices = [
        {
            "address": one,
            "lane": "urgent" if one == BUTTON else "bulk",
            "advertisement": True,
            "connect": None,
        }
        for one in addresses
    ]
    return {
        "format": 1,
        "version": version,
        "keepalive": keepalive,
        "devices": devices,
        "calls": [{"manufacturer": 65535, "data": "5450", "mask": "ffff"}],
    }


BOTH = (SENSOR, BUTTON)
CHANGES: Sequence[dict[str, Any]] = (
    config(4, *BOTH, OTHER),
    config(5, *BOTH, keepalive=60),
    {"format": 2, "version": 6},
    config(7, *BOTH) | {"devices": [{"address": SENSOR, "lane": "fast"}]},
    config(8, *BOTH, OTHER, keepalive=30),
    config(9, *BOTH),
)
"""A device more, another keepalive, one of tomorrow, one misspelt, and back again."""


@asynccontextmanager
async def agent(home: Path, program: str, **settings: str) -> AsyncGenerator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=ROOT, env=environment(home, **settings)
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def numbers(there: Gateway, bluez: Bluez, *, seconds: float) -> tuple[set[int], set[int]]:
    """What the sensor said while the configuration changed, and what is stored of it."""
    sensor = Peripheral(SENSOR, address_type="random", advertisement=Advertisement())
    bluez.add(sensor)
    said, changes = set[int](), list(CHANGES)
    pauses, loop = seconds / (len(changes) + 1), asyncio.get_running_loop()
    for number in range(10_000):  # until it is heard at all
        sensor.advertise(service_data={"fcd2": (60_000 + number).to_bytes(2, "little")})
        await asyncio.sleep(0.1)
        if there.sent:
            break
    due, number, until = loop.time() + pauses, 0, loop.time() + seconds
    while loop.time() < until:
        said.add(number)
        sensor.advertise(service_data={"fcd2": number.to_bytes(2, "little")})
        number += 1
        if changes and loop.time() >= due:
            there.configure(changes.pop(0))
            due += pauses
        await asyncio.sleep(0.02)
    await asyncio.sleep(2)
    stored = {
        int.from_bytes(bytes.fromhex(one["data"]["fcd2"]), "little")
        for one in there.heard
        if one["device"] == SENSOR
    }
    return said, {one for one in stored if one < 60_000}


@pytest.mark.parametrize(
    ("program", "lost"), [(HONEST, False), (SABOTEUR, True)], ids=["honest", "saboteur"]
)
async def test_a_change_of_configuration_amid_traffic_costs_no_frame(
    broker: Broker, bluez: Bluez, tmp_path: Path, program: str, *, lost: bool
) -> None:
    async with gateway(broker, BOX) as there:
        there.configure(config(3, *BOTH))
        async with agent(tmp_path, program, **to(broker)):
            await there.sees(lambda: [s for s in there.states if s["config"] == 3])
            said, stored = await numbers(there, bluez, seconds=5)
            await there.sees(lambda: there.states[-1]["config"] == 9)
        there.configure(None)

    assert len(said) > 100
    assert bool(said - stored) == lost


async def test_a_bad_configuration_is_told_with_its_place_and_the_last_good_one_is_kept(
    broker: Broker, tmp_path: Path
) -> None:
    bad = config(4, *BOTH) | {"devices": [{"address": SENSOR, "lane": "fast"}]}
    async with gateway(broker, BOX) as there:
        there.configure(config(3, *BOTH))
        async with agent(tmp_path, HONEST, EDGE_RADIO="no", **to(broker)):
            await there.sees(lambda: [s for s in there.states if s["config"] == 3])
            there.configure(bad)
            await there.sees(lambda: there.states[-1]["refused"])
            refused = there.states[-1]
            await there.sees(lambda: there.frames)
            _, text, _ = await edge("status", home=tmp_path)
        async with agent(tmp_path, HONEST, EDGE_RADIO="no", **to(broker)):
            await there.sees(lambda: there.states[-1]["state"] == "running")
            await there.sees(lambda: there.states[-1]["refused"])
            again = there.states[-1]
            there.configure(config(5, *BOTH))
            await there.sees(lambda: there.states[-1]["config"] == 5)
            mended = there.states[-1]
        there.configure(None)

    place = "config.devices[0].lane"
    assert (refused["config"], again["config"], mended["config"]) == (3, 3, 5)
    assert refused["refused"] == again["refused"] == f"{place}: not one of urgent, bulk"
    assert mended["refused"] is None
    [event, *_] = [one for one in there.frames.values() if one["heard"] == "box"]
    assert event["uuid"] == "config.refused"
    assert json.loads(bytes.fromhex(event["value"])) == {
        "field": place,
        "why": "not one of urgent, bulk",
    }
    assert f"a newer one was refused: {place}" in text


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"{", "config: not JSON: line 1, column 2"),
        (b"[" * 60_000, "config: not JSON: RecursionError"),
        (b"\xff", "config: not JSON: UnicodeDecodeError"),
        (b"7", "config: not an object"),
        (b'{"format":2}', "config.format: only 1 is known here"),
        (b" " * 70_000, "config: larger than 65536 bytes"),
        (
            json.dumps(config(4, SENSOR) | {"zone": "Mars/Olympus"}).encode(),
            "config.zone: no time zone is called Mars/Olympus",
        ),
        (json.dumps(config(4, "hemmelig")).encode(), "config.devices[0].address: not a text"),
    ],
)
def test_each_fault_is_told_by_its_place_and_never_by_what_stands_there(
    tmp_path: Path, payload: bytes, why: str
) -> None:
    file = ConfigFile(tmp_path / CONFIG)
    file.take(json.dumps(config(3, SENSOR)).encode())

    assert file.take(payload) is None

    assert (file.refused or "").startswith(why)
    assert "hemmelig" not in (file.refused or "")
    assert len(file.refused or "") <= 200
    assert (file.current.version, ConfigFile(tmp_path / CONFIG).current.version) == (3, 3)


def test_what_somebody_took_back_is_no_fault(tmp_path: Path) -> None:
    file = ConfigFile(tmp_path / CONFIG)
    file.take(json.dumps(config(3, SENSOR)).encode())

    assert file.take(b"") is None

    assert (file.refused, file.current.version) == (None, 3)
    assert not (tmp_path / SPOOL).exists()
