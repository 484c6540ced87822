"""`edge doctor` itself: beside an agent, at a broker that wants certificates, and in trouble."""

import asyncio
import json
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.runtime.broker import Broker
from deploy.world.bluez import Bluez
from deploy.world.peripheral import Advertisement, Peripheral
from edge.doctor.broker import read_broker
from edge.doctor.examination import NAMES, Checked, aside, examine
from edge.doctor.radio import read_radio
from edge.doctor.verdict import Verdict, ok
from edge.joining import keys
from edge.joining.answer import Granted
from edge.joining.identity import Identity
from edge.joining.join import keep
from edge.main import OK, RESTART, TROUBLE, USAGE
from edge.status import STATUS
from gateway.edges.authority import Authority, begin
from tests.edge.gateway import gateway
from tests.edge.test_main import BOX, BUTTON, CONFIG, PRESSED, edge, running, to

LONGEST = 15.0
"""Seconds that all of it may take, with the start of the program."""


def by_name(said: str) -> dict[str, dict[str, str]]:
    checks: list[dict[str, str]] = json.loads(said)["checks"]
    return {one["name"]: one for one in checks}


async def noted(home: Path) -> None:
    """The agent has written that it heard something, which it does every five seconds."""
    async with asyncio.timeout(8):
        while not json.loads((home / STATUS).read_text())["heard"]:  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.1)


async def test_a_box_that_is_well_is_told_so_beside_its_agent_which_notices_nothing(
    broker: Broker, bluez: Bluez, tmp_path: Path
) -> None:
    button = Peripheral(BUTTON, address_type="random", advertisement=Advertisement())
    bluez.add(button)
    settings = to(broker) | {"EDGE_SYNCHRONISED": "yes"}
    async with gateway(broker, BOX) as there:
        there.configure(CONFIG)
        async with running(tmp_path, **settings) as agent:
            await there.sees(lambda: [s for s in there.states if s["config"] == 3])
            for _ in range(40):
                button.advertise(manufacturer_data=PRESSED)
                await asyncio.sleep(0.1)
                if there.sent:
                    break
            await noted(tmp_path)
            began, states = time.monotonic(), len(there.states)
            _, said, _ = await edge("doctor", "--json", home=tmp_path, **settings)
            took = time.monotonic() - began
            assert agent.returncode is None
            since = [state["state"] for state in there.states[states:]]
        there.configure(None)

    checks = by_name(said)
    radio = checks["radio"]["found"]
    assert json.loads(said).keys() == {"format", "edge", "at", "state", "checks"}
    assert tuple(checks) == NAMES
    assert {one["state"] for name, one in checks.items() if name not in ("power", "disk")} == {"ok"}
    assert "configuration 3" in checks["agent"]["found"]
    assert "1 devices heard now; of this home's 1 since the agent's start" in radio
    assert f"127.0.0.1:{broker.port} answers" in checks["link"]["found"]
    assert checks["broker"]["found"] == "the agent is connected; in clear"
    assert "lost" not in since
    assert took < LONGEST


async def test_a_box_in_trouble_says_what_to_do_and_no_secret_in_text_as_it_goes(
    tmp_path: Path,
) -> None:
    settings = {"EDGE_BROKER": "mqtt://127.0.0.1:1", "EDGE_ID": BOX, "EDGE_PASSWORD": "hemmelig9"}

    code, said, complaint = await edge("doctor", home=tmp_path, EDGE_RADIO="no", **settings)

    lines = said.splitlines()
    names = [line[8:16].strip() for line in lines if line[:8].strip()]
    assert (code, tuple(names)) == (TROUBLE, NAMES)
    assert "BAD     agent   the agent does not run: nothing is heard" in lines
    assert "                do: see link above" in lines
    assert "hemmelig9" not in said + complaint


async def test_a_setting_that_is_wrong_is_told_as_everywhere(tmp_path: Path) -> None:
    code, _, complaint = await edge("doctor", home=tmp_path, EDGE_SILENCE="soon")

    assert (code, "EDGE_SILENCE" in complaint) == (USAGE, True)


async def test_what_hangs_costs_its_own_time_alone(bluez: Bluez, tmp_path: Path) -> None:
    """A broker that takes the connection and says nothing; a BlueZ that answers nothing."""
    bluez.faults.hangs = True
    with socket.create_server(("127.0.0.1", 0)) as mute:
        broker = f"mqtt://127.0.0.1:{mute.getsockname()[1]}"
        settings = {"EDGE_BROKER": broker, "EDGE_ID": BOX, "EDGE_PASSWORD": BOX}
        began = time.monotonic()
        code, said, _ = await edge("doctor", "--json", home=tmp_path, **settings)
        took = time.monotonic() - began

    checks = by_name(said)
    assert code == TROUBLE
    assert took < LONGEST
    assert checks["radio"]["found"] == "no answer within 6 s"
    assert "cannot be asked" in checks["broker"]["found"]
    assert checks["link"]["state"] == "ok"


@pytest.mark.parametrize(
    ("on", "adapter", "words"),
    [(False, "", {"powered": False, "adapter": "hci0"}), (True, "hci7", {"adapter": None})],
)
async def test_the_radio_is_looked_at_over_the_bus(
    bluez: Bluez, words: dict[str, Any], adapter: str, *, on: bool
) -> None:
    bluez.power(on=on)

    said = {"reader": "hearing", "heard": 3, "lately": 2, "at": 40_000}
    told = await read_radio(adapter, wanted=True, running=True, said=said, now=70)

    assert {name: getattr(told, name) for name in words} == words
    assert (told.failed, told.reader) == (None, "hearing")
    assert (told.ever, told.placed, told.ago) == (3, 2, 30)


async def test_a_check_that_fails_or_hangs_does_not_end_the_others() -> None:
    heard = list[Checked]()

    async def fails() -> Verdict:
        raise KeyError("hemmelig")

    async def hangs() -> Verdict:
        return await aside(lambda: time.sleep(0.6) or ok("late"))

    async def works() -> Verdict:
        return ok("well")

    done = await examine(
        {"spool": works, "agent": fails, "power": hangs}, heard.append, seconds={"power": 0.1}
    )

    assert done == heard
    assert [(one.name, one.verdict.state) for one in done] == [
        ("agent", "unknown"),
        ("power", "bad"),
        ("spool", "ok"),
    ]
    assert "hemmelig" not in done[0].verdict.found
    await asyncio.sleep(0.7)  # the thread ends within the test


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("authority") / "own"
    return begin(
        folder, broker_names=["127.0.0.1"], edge_names=["127.0.0.1"], now=datetime.now(UTC)
    )


@pytest.fixture(scope="module")
def certified(authority: Authority, service_folder: Path) -> Iterator[Broker]:
    mine = Broker.start(service_folder / "certified", passwords={}, authority=authority.folder)
    yield mine
    mine.stop()


def joined(
    home: Path, authority: Authority, broker: Broker, *, ago: timedelta = timedelta()
) -> Identity:
    """A box whose certificate was made so long ago."""
    home.mkdir(exist_ok=True)
    key, now = keys.new_key(), datetime.now(UTC)
    given = authority.certify_box(keys.pem(keys.request(key)), BOX, now - ago)
    granted = Granted(
        edge=BOX,
        broker=f"mqtts://127.0.0.1:{broker.port}",
        authority=authority.root_pem,
        certificate=given.pem,
        renew=int(given.renew.timestamp()),
        expires=int(given.expires.timestamp()),
    )
    return keep(home, granted, key, "127.0.0.1:1")


async def test_a_joined_box_is_told_that_the_broker_takes_its_certificate(
    authority: Authority, certified: Broker, tmp_path: Path
) -> None:
    joined(tmp_path, authority, certified)

    _, said, _ = await edge("doctor", "--json", home=tmp_path, EDGE_RADIO="no")

    broker = by_name(said)["broker"]
    assert broker["state"] == "ok", broker
    assert broker["found"].startswith("it takes this box; its certificate lasts until")
    assert "ours until" in broker["found"]


@pytest.mark.parametrize("runs", [True, False])
def test_a_certificate_that_is_not_taken_is_told_with_the_reason(
    authority: Authority, certified: Broker, tmp_path: Path, *, runs: bool
) -> None:
    late = joined(tmp_path / "late", authority, certified, ago=timedelta(days=120))
    stolen = joined(tmp_path / "stolen", authority, certified)
    canary = (authority.folder / "canary.key").read_bytes()
    (tmp_path / "stolen/box.pem").write_bytes(
        canary + (authority.folder / "canary.pem").read_bytes()
    )
    other = begin(
        tmp_path / "other", broker_names=["127.0.0.1"], edge_names=[], now=datetime.now(UTC)
    )
    foreign = joined(tmp_path / "foreign", other, certified)
    found = {
        name: read_broker(one.link(), running=runs, connected=False, earliest=None, ours_until=None)
        for name, one in {"late": late, "stolen": stolen, "foreign": foreign}.items()
    }

    assert found["late"].refused == "the box's certificate has expired"
    assert found["stolen"].refused == "the box's certificate was revoked"
    assert found["foreign"].untrusted
    assert found["late"].until is not None


def test_the_exit_codes_are_different() -> None:
    assert len({OK, TROUBLE, USAGE, RESTART}) == 4
    assert os.environ.get("EDGE_PASSWORD") is None
