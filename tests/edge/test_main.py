"""The program itself: a press on the emulated button leaves as a batch; each end has its code."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO

import pytest

from deploy.runtime.broker import Broker
from deploy.runtime.certificate import certificate
from deploy.runtime.paths import ROOT
from deploy.world.bluez import Bluez
from deploy.world.peripheral import Advertisement, Peripheral
from edge.clock import boot_id, clock_from
from edge.keeping.spool import Spool
from edge.main import NO_GATEWAY, NOT_JOINED, OK, TAKEN, TROUBLE, USAGE
from gateway.edges.code import make
from tests.edge.frames import HandClock, heard
from tests.edge.gateway import SOON, gateway

BOX = "box-12"
BUTTON = "D4:0E:84:00:00:01"
NEIGHBOUR = "C0:FF:EE:00:00:01"
PRESSED = {0xFFFF: b"TP\x01\x01\x05\x00\x5a"}
CONFIG = {
    "format": 1,
    "version": 3,
    "keepalive": 30,
    "devices": [
        {"address": BUTTON, "lane": "urgent", "advertisement": True, "connect": None},
    ],
    "calls": [{"manufacturer": 65535, "data": "5450", "mask": "ffff"}],
}


def environment(home: Path, **settings: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name[:5] != "EDGE_"}
    return inherited | {"EDGE_HOME": str(home)} | settings


async def edge(*arguments: str, home: Path, **settings: str) -> tuple[int | None, str, str]:
    """Run one command to its end: exit code, what it said, and its complaints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "edge.main",
        *arguments,
        cwd=ROOT,
        env=environment(home, **settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def running(
    home: Path, log: IO[bytes] | None = None, /, **settings: str
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """`edge run` beside the test; killed afterwards if it still lives."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "edge.main",
        "run",
        cwd=ROOT,
        env=environment(home, **settings),
        stderr=log,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def to(broker: Broker, box: str = BOX) -> dict[str, str]:
    address = f"mqtt://127.0.0.1:{broker.port}"
    return {"EDGE_BROKER": address, "EDGE_ID": box, "EDGE_PASSWORD": box}


async def test_a_press_on_the_button_leaves_the_box_as_a_batch(
    broker: Broker, bluez: Bluez, tmp_path: Path
) -> None:
    button = Peripheral(BUTTON, address_type="random", advertisement=Advertisement())
    bluez.add(button)

    async with gateway(broker, BOX) as there:
        there.configure(CONFIG)
        async with running(tmp_path, **to(broker)) as agent:
            await there.sees(lambda: [s for s in there.states if s["config"] == 3])
            for _ in range(40):  # the scan begins a moment after the connection
                button.advertise(manufacturer_data=PRESSED)
                await asyncio.sleep(0.1)
                if there.sent:
                    break
            status = await edge("status", "--json", home=tmp_path)
            agent.send_signal(signal.SIGTERM)
            async with asyncio.timeout(SOON):
                code = await agent.wait()
            await there.sees(lambda: there.states[-1]["state"] == "stopped")
        there.configure(None)

    [frame] = there.heard
    assert (frame["device"], frame["manufacturer"]) == (BUTTON, {"65535": PRESSED[0xFFFF].hex()})
    assert frame["address_type"] == "random"
    assert there.states[-1]["keepalive"] == 30
    assert code == OK
    said = json.loads(status[1])
    assert status[0] == OK
    assert (said["running"], said["edge"], said["urgent"]["depth"]) == (True, BOX, 0)
    assert (said["agent"]["connected"], said["agent"]["config"]) == (True, 3)


async def test_no_neighbour_is_in_the_log_however_much_is_written_there(
    broker: Broker, bluez: Bluez, tmp_path: Path
) -> None:
    button = Peripheral(BUTTON, address_type="random", advertisement=Advertisement())
    neighbour = Peripheral(NEIGHBOUR, address_type="random", advertisement=Advertisement())
    bluez.add(button)
    bluez.add(neighbour)

    async with gateway(broker, BOX) as there:
        there.configure(CONFIG)
        with (tmp_path / "log").open("wb") as log:
            async with running(tmp_path, log, **to(broker), EDGE_LOG="DEBUG"):
                await there.sees(lambda: [s for s in there.states if s["config"] == 3])
                for _ in range(40):
                    neighbour.advertise(manufacturer_data={0x004C: b"phone"})
                    button.advertise(manufacturer_data=PRESSED)
                    await asyncio.sleep(0.1)
                    if there.sent:
                        break
        there.configure(None)

    said = (tmp_path / "log").read_text().replace("_", ":")
    assert (bool(there.sent), "DEBUG" in said, NEIGHBOUR in said) == (True, True, False)


async def test_a_killed_agent_sends_what_it_had_kept_after_its_restart(
    broker: Broker, bluez: Bluez, tmp_path: Path
) -> None:
    button = Peripheral(BUTTON, address_type="random", advertisement=Advertisement())
    bluez.add(button)

    async with gateway(broker, BOX) as there:
        there.configure(CONFIG)
        there.answering = False
        async with running(tmp_path, **to(broker)) as agent:
            await there.sees(lambda: [s for s in there.states if s["config"] == 3])
            for _ in range(40):
                button.advertise(manufacturer_data=PRESSED)
                await asyncio.sleep(0.1)
                if there.sent:
                    break
            agent.kill()
            await agent.wait()
        there.answering = True
        async with running(tmp_path, **to(broker)):
            await there.sees(lambda: there.heard)
        there.configure(None)

    assert {frame["device"] for frame in there.heard} == {BUTTON}
    assert "lost" in [state["state"] for state in there.states]


async def test_the_way_to_the_broker_is_encrypted_and_checked(
    service_folder: Path, tmp_path: Path
) -> None:
    names = {f"gateway-{word}": "the gateway's, in tests" for word in ("urgent", "bulk", "config")}
    made = certificate(tmp_path / "certificate")
    other = certificate(tmp_path / "other")
    mine = Broker.start(service_folder / "tls", passwords={**names, BOX: BOX}, tls=made)
    secure = to(mine) | {"EDGE_BROKER": f"mqtts://127.0.0.1:{mine.port}", "EDGE_RADIO": "no"}
    try:
        async with gateway(mine, BOX) as there:
            async with running(tmp_path / "b", **secure, EDGE_BROKER_CA=str(other.cert)):
                await asyncio.sleep(1.5)
            assert there.states == [], "another authority's broker is not spoken to"
            async with running(tmp_path / "a", **secure, EDGE_BROKER_CA=str(made.cert)):
                await there.sees(lambda: there.states)
    finally:
        mine.stop()

    assert there.states[0]["reader"] == "off"


async def test_a_box_in_1970_brings_its_call_to_a_broker_whose_certificate_begins_years_later(
    service_folder: Path, tmp_path: Path
) -> None:
    names = {f"gateway-{word}": "the gateway's, in tests" for word in ("urgent", "bulk", "config")}
    made = certificate(tmp_path / "c", begins=timedelta(days=900), ends=timedelta(days=999))
    mine = Broker.start(service_folder / "later", passwords={**names, BOX: BOX}, tls=made)
    unset = to(mine) | {
        "EDGE_BROKER": f"mqtts://127.0.0.1:{mine.port}",
        "EDGE_BROKER_CA": str(made.cert),
        "EDGE_RADIO": "no",
        "EDGE_PRODUCTION": "no",
        "EDGE_CLOCK": f"offset:{60 - time.time():.0f}",
        "EDGE_SYNCHRONISED": "no",
    }
    with Spool(tmp_path / "spool.sqlite", clock_from("wall", synchronised="no")) as spool:
        spool.append(heard(1), "urgent")
    try:
        async with gateway(mine, BOX) as there, running(tmp_path, **unset):
            await there.sees(lambda: there.heard)
    finally:
        mine.stop()

    [(_, batch)] = there.batches
    assert batch["sent_at"] < 3_600_000, "an hour of 1970"
    assert (batch["clock"]["synchronised"], batch["clock"]["boot"]) == (False, boot_id())
    assert batch["boot"] == boot_id()
    assert batch["frames"][0]["uptime"] == 100.0


async def test_a_spool_that_fails_is_told_at_once_and_the_agent_goes_on(
    broker: Broker, tmp_path: Path
) -> None:
    async with gateway(broker, BOX) as there:
        async with running(tmp_path, **to(broker), EDGE_RADIO="no") as agent:
            await there.sees(lambda: there.states)
            with sqlite3.connect(tmp_path / "spool.sqlite") as spoiler:
                spoiler.execute("DROP TABLE receipted")
                spoiler.execute("DROP TABLE note")
            spoiler.close()
            there.receipt({"any": [[1, 1]]})
            await there.sees(lambda: there.states[-1]["trouble"] == "storage_failed")
            await there.sees(lambda: there.frames)
            assert agent.returncode is None
        [said] = there.frames.values()

    assert (said["heard"], said["uuid"]) == ("box", "storage.failed")


async def test_what_is_wrong_is_one_sentence_and_an_exit_code(
    broker: Broker, tmp_path: Path
) -> None:
    nobody = "trygport1.WyIxMjcuMC4wLjE6MSIsIiIsIiIsIiJd"

    for arguments, settings, code, words in (
        (("run",), {}, NOT_JOINED, "has not joined"),
        (("run",), {"EDGE_CLOCK": "moon"}, USAGE, "EDGE_CLOCK"),
        (("run",), to(broker) | {"EDGE_BROKER": "mqtt://"}, USAGE, "EDGE_BROKER=mqtt://"),
        (("run",), to(broker) | {"EDGE_BROKER_CA": __file__}, USAGE, "EDGE_BROKER_CA"),
        (("run",), to(broker) | {"EDGE_SECOND_BROKER": "mqtt://"}, USAGE, "EDGE_SECOND_BROKER"),
        (("status",), {"EDGE_HOOK": "buzzer on"}, USAGE, "EDGE_HOOK=buzzer on: the program's full"),
        (("join", "trygport1.AAAA"), {}, USAGE, "not a code"),
        (("join", nobody), {}, USAGE, "not a code"),
        (("dance",), {}, USAGE, "invalid choice"),
    ):
        ended, _, complaint = await edge(*arguments, home=tmp_path, **settings)

        assert (ended, complaint.count("Traceback")) == (code, 0)
        assert words in complaint


async def test_joining_without_a_gateway_says_that_the_code_is_still_good(tmp_path: Path) -> None:
    code = make("127.0.0.1:1", "7K3M9QXA2BCD", "00" * 32)

    ended, _, complaint = await edge("join", code, home=tmp_path)

    assert ended == NO_GATEWAY
    assert "still good" in complaint


async def test_a_second_agent_in_one_home_is_refused(broker: Broker, tmp_path: Path) -> None:
    async with gateway(broker, BOX) as there, running(tmp_path, **to(broker), EDGE_RADIO="no"):
        await there.sees(lambda: there.states)
        ended, _, complaint = await edge("run", home=tmp_path, **to(broker))

    assert (ended, "running already" in complaint) == (TAKEN, True)


async def test_frames_of_another_box_are_not_sent_under_this_ones_name(
    broker: Broker, tmp_path: Path
) -> None:
    with Spool(tmp_path / "spool.sqlite", HandClock()) as spool:
        spool.remember("edge", "another-box")
        spool.append(heard(1), "urgent")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))

    async with gateway(broker, BOX) as there:
        async with running(tmp_path, **to(broker), EDGE_RADIO="no"):
            await there.sees(lambda: there.states)
            await asyncio.sleep(0.5)
        started = there.states[0]
        assert (started["config"], started["urgent"]["depth"], there.batches) == (0, 0, [])

    assert (tmp_path / "spool.sqlite.of-another-box-0").exists()
    assert (tmp_path / "config.json.of-another-box-0").exists()


async def test_the_status_of_a_box_that_never_ran_can_be_asked(tmp_path: Path) -> None:
    ended, said, _ = await edge("status", home=tmp_path)

    assert ended == TROUBLE
    assert "has not joined" in said
    assert "not running" in said
    assert "trouble  it has not joined; the agent does not run" in said


@pytest.mark.parametrize("command", ["--help", "run --help", "status --help", "join --help"])
async def test_every_command_explains_itself(tmp_path: Path, command: str) -> None:
    ended, said, _ = await edge(*command.split(), home=tmp_path)

    assert ended == OK
    assert "usage: edge" in said
