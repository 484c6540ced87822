"""What is wrong is set aside with its reason, and what is right behind it is unharmed."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from adapters.frame import encode_frame
from deploy.world.frames import advertisement, static_address
from deploy.world.payloads import BTHOME
from tests.acceptance.home import (
    Centre,
    ScriptedHome,
    alerts_of,
    counted,
    eventually,
    running,
    scripted_homes,
)
from tests.acceptance.wire import LARGE, Refused, batch_of, publish

pytestmark = pytest.mark.slow  # whoever comes first starts the centre


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"\x00\xffgarbage", "not_json"),
        (b"", "not_json"),
        (b"[]", "not_a_batch"),
        (b'{"format":1}', "not_a_batch"),
    ],
)
async def test_a_message_that_is_no_batch_is_kept_with_its_reason(
    centre: Centre, tmp_path: Path, payload: bytes, said: str
) -> None:
    async with _home(centre, tmp_path) as home:
        await publish(home.box, "urgent", payload)

        reason, detail, kept = await _set_aside(centre, home)
        assert reason == said
        assert bytes(kept) == payload
        assert detail


async def test_a_wrong_format_version_is_kept_with_its_reason(
    centre: Centre, tmp_path: Path
) -> None:
    async with _home(centre, tmp_path) as home:
        body = json.loads(batch_of(home.box, str(uuid4()), [encode_frame(home.opens())]))
        await publish(home.box, "urgent", json.dumps(body | {"format": 99}).encode())

        reason, detail, _ = await _set_aside(centre, home)
        assert (reason, "99" in detail) == ("wrong_format", True)


async def test_a_batch_that_names_another_box_is_kept_with_its_reason(
    centre: Centre, tmp_path: Path
) -> None:
    async with _home(centre, tmp_path / "a") as home, _home(centre, tmp_path / "b") as other:
        forged = batch_of(other.box, str(uuid4()), [encode_frame(other.opens())])
        await publish(home.box, "urgent", forged)

        reason, detail, _ = await _set_aside(centre, home)
        assert (reason, other.box.edge in detail) == ("other_edge", True)


async def test_a_stream_of_another_box_stays_the_other_boxes(
    centre: Centre, tmp_path: Path
) -> None:
    """Nobody can fill another's ledger; why is kept, and what comes later is unharmed."""
    async with _home(centre, tmp_path / "a") as home, _home(centre, tmp_path / "b") as other:
        stream = str(uuid4())
        await publish(home.box, "urgent", batch_of(home.box, stream, [encode_frame(home.call(1))]))
        async with centre.nurse() as nurse:
            await eventually(lambda: alerts_of(nurse, home.citizen, "call_pressed"), "")
            forged = batch_of(other.box, stream, [encode_frame(other.call(1))] * 2)
            await publish(other.box, "urgent", forged)

            reason, detail, _ = await _set_aside(centre, other)
            assert (reason, "another home" in detail) == ("other_edge", True)

            own = batch_of(other.box, str(uuid4()), [encode_frame(other.call(2))])
            await publish(other.box, "urgent", own)
            await eventually(lambda: alerts_of(nurse, other.citizen, "call_pressed"), "")


async def test_a_box_cannot_write_on_anothers_topic(centre: Centre, tmp_path: Path) -> None:
    async with _home(centre, tmp_path / "a") as home, _home(centre, tmp_path / "b") as other:
        forged = batch_of(other.box, str(uuid4()), [encode_frame(other.call(1))])
        await publish(home.box, "urgent", forged, edge=other.box.edge)  # the broker drops it

        async with centre.nurse() as nurse:
            assert await alerts_of(nurse, other.citizen, "call_pressed") == []


async def test_ten_megabytes_are_refused_by_the_broker_and_harm_nobody(
    centre: Centre, tmp_path: Path
) -> None:
    async with _home(centre, tmp_path) as home:
        with pytest.raises(Refused):
            await publish(home.box, "bulk", b"x" * LARGE)


async def test_an_unknown_device_is_counted_and_nothing_of_it_is_kept(
    centre: Centre, tmp_path: Path
) -> None:
    async with _home(centre, tmp_path) as home:
        stranger = advertisement(
            static_address("a neighbour", home.box.edge),
            at=home.clock.now_ms(),
            uptime=1.0,
            data={BTHOME: bytes.fromhex("40021234")},
        )
        await publish(
            home.box, "bulk", batch_of(home.box, str(uuid4()), [encode_frame(stranger)] * 3)
        )

        reason, _, kept = await _set_aside(centre, home)
        assert (reason, kept) == ("unknown_device", None)


async def test_an_unreadable_payload_is_kept_with_its_reason_and_its_neighbours_are_read(
    centre: Centre, tmp_path: Path
) -> None:
    async with _home(centre, tmp_path) as home:
        broken = advertisement(
            home.door,
            at=home.clock.now_ms(),
            uptime=1.0,
            data={BTHOME: bytes.fromhex("40021234ff")},
        )
        frames = [encode_frame(frame) for frame in (home.opens(), broken, home.call(1))]
        await publish(home.box, "urgent", batch_of(home.box, str(uuid4()), frames))

        reason, detail, kept = await _set_aside(centre, home)
        assert (reason, "0xff" in detail) == ("unreadable", True)
        assert json.loads(bytes(kept))["device"] == home.door
        async with centre.nurse() as nurse:
            await eventually(
                lambda: alerts_of(nurse, home.citizen, "call_pressed"), "the press behind it"
            )


@asynccontextmanager
async def _home(centre: Centre, folder: Path) -> AsyncGenerator[ScriptedHome]:
    """A home whose box is away; when the block ends it comes back, and what it says is kept."""
    async with scripted_homes(centre, folder, run=False) as (home,):
        yield home
        async with running([home]):
            home.press()
            home.hear(home.opens(), home.moves())
            await home.sent()
        found = await counted(centre, [home])
        assert (found.sent, found.lost) == (3, 0)


async def _set_aside(centre: Centre, home: ScriptedHome) -> tuple[str, str, Any]:
    """The one thing of this box that was set aside: reason, detail, what was kept of it."""

    async def ask() -> list[Any]:
        return await centre.ask(
            "SELECT (reason, detail, payload) FROM quarantine WHERE topic LIKE $1",
            f"edges/{home.box.edge}/%",
        )

    (found,) = await eventually(ask, "something set aside")
    return tuple(found)
