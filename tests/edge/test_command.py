"""The box does what is named, for a while, once; answers who may ask; and anything else is not."""

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
from edge.clock import clock_from
from edge.keeping.spool import Spool
from edge.sending.uplink import Uplink
from edge.told.command import MOST, REMEMBERED, Commands, answer
from edge.told.deeds import Done, of_radio
from edge.told.discovery import Sighting
from gateway.ingest.commands import read_reply
from tests.conftest import GATEWAY_PASSWORD
from tests.deploy.mqtt import Client, connected
from tests.edge.cable import Cable
from tests.edge.frames import HandClock
from tests.edge.hearing import Kept, a_reader, config, device, sensor
from tests.edge.test_main import running as agent
from tests.edge.test_main import to
from tests.edge.uplinks import BOX, by, running, sending

MOTION, NEIGHBOUR = "A4:C1:38:00:00:01", "A4:C1:38:FF:FF:FF"
COMMAND, REPLY = f"edges/{BOX}/command", f"edges/{BOX}/reply"
SEEN = Sighting(address=NEIGHBOUR, rssi=-60, name="Bents ur", services=("180f",), companies=(76,))


def command(clock: HandClock, **said: Any) -> bytes:
    until = clock.now_ms() + 60_000
    whole = {"format": 1, "id": str(uuid4()), "do": "discover", "seconds": 10, "until": until}
    return json.dumps(whole | said).encode()


class Asked:
    """Commands at work, whose discoveries end when the test says so."""

    def __init__(self, clock: HandClock, *, radio: bool = True) -> None:
        self.seconds: list[float] = []
        self.replies: list[dict[str, Any]] = []
        self.ends = asyncio.Event()
        self.commands = Commands(clock, of_radio(self if radio else None), self._reply)

    async def answers(self, number: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(5):
            while len(self.replies) < number:  # noqa: ASYNC110 - knows no event
                await asyncio.sleep(0.01)
        return self.replies

    async def rescan(self, seconds: float) -> float | None:
        self.seconds.append(seconds)
        await self.ends.wait()
        return 2.04 if seconds > 10 else None

    async def discover(self, seconds: float) -> list[Sighting]:
        self.seconds.append(seconds)
        await self.ends.wait()
        return [SEEN] * (MOST + 1)

    def _reply(self, payload: bytes) -> None:
        self.replies.append(json.loads(payload))


@asynccontextmanager
async def asked(clock: HandClock, **how: bool) -> AsyncGenerator[Asked]:
    made = Asked(clock, **how)
    async with running(made.commands.run()):
        yield made


async def test_a_discovery_is_answered_with_the_strongest_and_without_names(
    clock: HandClock,
) -> None:
    async with asked(clock) as box:
        box.commands.take(command(clock, id="7c9e6679-7425-40de-944b-e07fc1f90ae7", seconds=45))
        box.ends.set()

        [said] = await box.answers(1)

    assert box.seconds == [45]
    assert (said["id"], said["error"]) == ("7c9e6679-7425-40de-944b-e07fc1f90ae7", None)
    assert len(said["found"]) == MOST
    assert said["found"][0] == {
        "address": NEIGHBOUR,
        "address_type": None,
        "rssi": -60,
        "companies": [76],
        "services": ["180f"],
        "times": 1,
    }


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"do": "reboot"}, "unknown_command"),
        ({"do": "/bin/sh"}, "unknown_command"),
        ({"seconds": 9}, "bad_command"),
        ({"seconds": 121}, "bad_command"),
        ({"seconds": True}, "bad_command"),
        ({"seconds": "10"}, "bad_command"),
        ({"seconds": None}, "bad_command"),
        ({"seconds": float("inf")}, "bad_command"),
        ({"seconds": float("nan")}, "bad_command"),
        ({"seconds": 10**400}, "bad_command"),
        ({"seconds": -(10**400)}, "bad_command"),
    ],
)
async def test_what_is_not_to_be_done_is_refused_by_a_word(
    clock: HandClock, said: dict[str, Any], error: str
) -> None:
    async with asked(clock) as box:
        box.commands.take(command(clock, **said))

    assert [(one["error"], one["found"]) for one in box.replies] == [(error, None)]
    assert box.seconds == []


@pytest.mark.parametrize(
    "said",
    [b"", b"[]", b"null", b'{"do":"discover"}', b"\xff", b"[" * 900, b'{"x":"' + b"x" * 2_000],
)
async def test_what_has_no_id_is_not_answered(clock: HandClock, said: bytes) -> None:
    async with asked(clock) as box:
        box.commands.take(said)
        box.commands.take(command(clock, id="7c9e6679"))
        box.commands.take(command(clock, until="soon"))

    assert (box.replies, box.seconds) == ([], [])


async def test_one_is_done_at_a_time_and_the_next_when_it_is_done(clock: HandClock) -> None:
    async with asked(clock) as box:
        box.commands.take(command(clock))
        box.commands.take(command(clock))
        box.ends.set()
        await box.answers(2)
        box.commands.take(command(clock))

        replies = await box.answers(3)

    assert [one["error"] for one in replies] == ["busy", None, None]


async def test_a_command_that_is_said_again_is_done_once(clock: HandClock) -> None:
    async with asked(clock) as box:
        box.ends.set()
        again = command(clock)
        for _ in range(3):
            box.commands.take(again)
        await box.answers(1)
        box.commands.take(again)
        for _ in range(REMEMBERED - 1):
            box.commands.take(command(clock, do="reboot"))
        box.commands.take(again)

        await box.answers(REMEMBERED)

    assert len(box.seconds) == 1


@pytest.mark.parametrize(("sure", "done"), [(True, 0), (False, 1)])
async def test_what_comes_too_late_is_not_done_where_the_box_knows_the_time(
    clock: HandClock, *, sure: bool, done: int
) -> None:
    clock.sure = sure
    async with asked(clock) as box:
        box.ends.set()
        box.commands.take(command(clock, until=clock.now_ms() - 1))
        await asyncio.sleep(0.05)

    assert len(box.replies) == done


async def test_a_new_scan_is_answered_with_whether_it_hears(clock: HandClock) -> None:
    async with asked(clock) as box:
        box.ends.set()
        box.commands.take(command(clock, do="rescan", seconds=30))
        await box.answers(1)
        box.commands.take(command(clock, do="rescan", seconds=10))
        replies = await box.answers(2)

    assert [one["did"] for one in replies] == [
        {"heard": True, "after_seconds": 2.0},
        {"heard": False},
    ]
    assert "found" in replies[0]
    assert box.seconds == [30, 10]


async def test_a_box_without_a_radio_says_so(clock: HandClock) -> None:
    async with asked(clock, radio=False) as box:
        box.commands.take(command(clock))

    assert [one["error"] for one in box.replies] == ["no_radio"]


def test_an_answer_is_small_enough_for_the_gateway_however_much_is_in_the_air() -> None:
    services = tuple(f"0000{number:04x}-0000-1000-8000-00805f9b34fb" for number in range(99))
    one = Sighting(address=NEIGHBOUR, rssi=-60, name="", services=services, companies=(9,) * 99)

    said = read_reply(answer(str(uuid4()), Done(found=[one] * 99)))

    assert said.found is not None
    assert len(said.found) == MOST


def heard(gateway: Client) -> dict[str, Any]:
    topic, payload = gateway.heard.get(timeout=8)
    assert topic == REPLY
    return json.loads(payload)


async def test_the_air_is_told_over_the_line_though_it_breaks_meanwhile_and_nothing_is_kept(
    broker: Broker, bluez: Bluez, tmp_path: Path, clock: HandClock
) -> None:
    mine, neighbour = sensor(MOTION), sensor(NEIGHBOUR)
    bluez.add(mine, neighbour)
    kept = Kept()
    reader = a_reader(kept)
    reader.follow(config(device(MOTION)))
    taken: list[bytes] = []

    class Hasty:
        async def discover(self, seconds: float) -> list[Sighting]:
            return await reader.discover(seconds / 10)

        async def rescan(self, seconds: float) -> float | None:
            return await reader.rescan(seconds / 10)

    def commanded(said: bytes) -> None:
        taken.append(said)
        commands.take(said)

    with connected(broker.gateway_port, "gateway-config", GATEWAY_PASSWORD) as gateway:
        gateway.subscribe("edges/+/reply")
        async with Cable(broker.port) as cable, running(reader.run()):
            with Spool(tmp_path / "spool", clock) as spool:
                uplink = Uplink(spool, by(cable), clock, on_command=commanded)
                commands = Commands(clock, of_radio(Hasty()), uplink.reply)
                async with sending(uplink), running(commands.run()):
                    said = command(clock)
                    await asyncio.to_thread(gateway.publish, COMMAND, said)
                    async with asyncio.timeout(5):
                        while not taken:  # noqa: ASYNC110 - knows no event
                            await asyncio.sleep(0.02)
                    cable.cut()
                    neighbour.advertise(manufacturer_data={0x004C: b"here"})
                    await asyncio.sleep(1.2)
                    windows = len(reader._windows)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
                    cable.mend()
                    found = await asyncio.to_thread(heard, gateway)

    assert windows == 0
    assert found["id"] == json.loads(said)["id"]
    assert [one["address"] for one in found["found"]] == [NEIGHBOUR]
    assert kept.frames == []


def told(gateway: Client, asked: bytes) -> dict[str, Any]:
    """The agent's answer; it is asked again as the gateway does, for it may not be there yet."""
    for _ in range(100):
        gateway.publish(COMMAND, asked)
        with suppress(queue.Empty):
            return json.loads(gateway.heard.get(timeout=0.15)[1])
    pytest.fail("no answer")


async def test_the_agent_itself_answers_and_has_no_other_command(
    broker: Broker, tmp_path: Path
) -> None:
    wall = HandClock(ms=clock_from("wall").now_ms())
    with connected(broker.gateway_port, "gateway-config", GATEWAY_PASSWORD) as gateway:
        gateway.subscribe("edges/+/reply")
        async with agent(tmp_path, EDGE_RADIO="no", **to(broker, BOX)):
            without = await asyncio.to_thread(told, gateway, command(wall))
            unknown = await asyncio.to_thread(told, gateway, command(wall, do="reboot"))

    assert (without["error"], unknown["error"]) == ("no_radio", "unknown_command")


@pytest.mark.long
async def test_the_agent_itself_tells_what_is_in_the_air(
    broker: Broker, bluez: Bluez, tmp_path: Path
) -> None:
    neighbour, wall = sensor(NEIGHBOUR), HandClock(ms=clock_from("wall").now_ms())
    bluez.add(neighbour)
    with connected(broker.gateway_port, "gateway-config", GATEWAY_PASSWORD) as gateway:
        gateway.subscribe("edges/+/reply")
        async with agent(tmp_path, **to(broker, BOX)):
            answered = asyncio.create_task(asyncio.to_thread(told, gateway, command(wall)))
            while not answered.done():
                neighbour.advertise(manufacturer_data={0x004C: b"here"})
                await asyncio.sleep(0.2)

    assert [one["address"] for one in (await answered)["found"]] == [NEIGHBOUR]


async def test_a_discovery_that_is_given_up_frees_the_box(clock: HandClock) -> None:
    box = Asked(clock)
    task = asyncio.create_task(box.commands.run())
    box.commands.take(command(clock))
    await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    async with running(box.commands.run()):
        box.ends.set()
        box.commands.take(command(clock))
        await box.answers(1)
