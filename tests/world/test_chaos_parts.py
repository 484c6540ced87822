"""The tools of the chaos do what they say: the plan, the wire, the record of obligations."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.frame import Frame
from deploy.world.chaos.obligations import Obligations, Saying
from deploy.world.chaos.plan import MENU, plan
from deploy.world.chaos.proxy import Proxy
from deploy.world.chaos.saboteurs import NAMES
from deploy.world.oracle_stored import read_obligations
from edge.clock import clock_from
from edge.keeping.spool import Spool

SOON = 5.0


# ---------------------------------------------------------------- the plan


def test_the_same_seed_makes_the_same_plan_and_another_seed_another() -> None:
    assert plan(50, 7) == plan(50, 7)
    assert plan(50, 7) != plan(50, 8)


def test_every_fault_of_the_menu_comes_before_one_comes_too_often() -> None:
    cards = sum(MENU.values())

    drawn = [(one.fault, one.target) for one in plan(cards, 3)]

    assert {one: drawn.count(one) for one in MENU} == dict(MENU)


@pytest.mark.parametrize("saboteur", NAMES)
def test_a_saboteur_meets_only_what_brings_it_out(saboteur: str) -> None:
    assert {(one.fault, one.target) for one in plan(30, 1, saboteur)} <= MENU.keys()


# ---------------------------------------------------------------- the wire


@asynccontextmanager
async def wire() -> AsyncGenerator[Proxy]:
    """A proxy before a server that gives back what it gets."""
    writers: set[asyncio.StreamWriter] = set()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            while data := await reader.read(1_000):
                writer.write(data)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        async with Proxy(port, random.Random(1)) as proxy:  # noqa: S311 - play
            yield proxy
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.05)


@asynccontextmanager
async def talk(
    proxy: Proxy,
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(b"hello")
        async with asyncio.timeout(SOON):
            assert await reader.readexactly(5) == b"hello"
        yield reader, writer
    finally:
        writer.transport.abort()


async def test_a_cut_ends_the_connection_at_once() -> None:
    async with wire() as proxy, talk(proxy) as (reader, _):
        proxy.cut()

        async with asyncio.timeout(SOON):
            assert await _end_of(reader) == b""


async def test_a_torn_packet_arrives_by_half_and_nothing_after() -> None:
    async with wire() as proxy, talk(proxy) as (reader, writer):
        proxy.tear()
        writer.write(b"x" * 100)

        async with asyncio.timeout(SOON):
            assert len(await _end_of(reader)) <= 50


async def test_what_is_swallowed_comes_later_or_with_a_cut_never() -> None:
    async with wire() as proxy:
        async with talk(proxy) as (reader, writer):
            silence = asyncio.create_task(proxy.swallow(0.3, then_cut=False))
            await asyncio.sleep(0)
            writer.write(b"later")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.15):
                    await reader.readexactly(5)
            await silence
            async with asyncio.timeout(SOON):
                assert (await reader.read(5))[:1] == b"l"
        async with talk(proxy) as (reader, writer):
            silence = asyncio.create_task(proxy.swallow(0.2, then_cut=True))
            await asyncio.sleep(0)
            writer.write(b"never")
            async with asyncio.timeout(SOON):
                assert await _end_of(reader) == b""
            await silence


async def test_a_half_closed_end_is_told_that_the_other_has_finished() -> None:
    async with wire() as proxy, talk(proxy) as (reader, _):
        proxy.half_close()

        async with asyncio.timeout(SOON):
            assert await _end_of(reader) == b""


async def test_whoever_is_refused_gets_no_answer() -> None:
    async with wire() as proxy:
        refusing = asyncio.create_task(proxy.refuse(0.3))
        await asyncio.sleep(0)
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            async with asyncio.timeout(SOON), talk(proxy):
                pass
        await refusing
        async with talk(proxy):
            pass


async def _end_of(reader: asyncio.StreamReader) -> bytes:
    """What still comes before the end, however the connection ends."""
    came = b""
    try:
        async for chunk in _chunks(reader):
            came += chunk
    except OSError:
        pass
    return came


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while chunk := await reader.read(1_000):
        yield chunk


# ---------------------------------------------------------------- the record


def saying(at: int) -> Saying:
    frame = Frame(device="C0:00:00:00:00:01", heard="advertisement", at=at, uptime=1.0)
    return Saying(frame=frame, meant=(("motion", 1.0, None),), at=at)


async def test_the_record_names_each_frame_as_the_spool_does(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool", clock_from("wall", synchronised="yes")) as spool:
        record = Obligations(tmp_path / "record", spool.path)
        record.keep(spool, "bulk", [saying(1), saying(2)])
        record.keep(spool, "urgent", [saying(3)])
        record.keep(spool, "bulk", [saying(4)])
        record.close()
        run = spool.cut("bulk", frames=10, octets=10_000)

    kept = read_obligations(tmp_path / "record", "box-1")

    assert run is not None
    assert [one.place for one in kept if one.lane == "bulk"] == [
        (run.stream, number) for number in (1, 2, 3)
    ]
    assert [one.at for one in kept] == [1, 2, 3, 4]


@pytest.mark.parametrize("committed", [True, False])
async def test_a_box_that_died_in_between_finds_out_which_it_was(
    tmp_path: Path, *, committed: bool
) -> None:
    path, clock = tmp_path / "record", clock_from("wall", synchronised="yes")
    with Spool(tmp_path / "spool", clock) as spool:
        record = Obligations(path, spool.path)
        record.keep(spool, "urgent", [saying(1)])
        record.keep(spool, "urgent", [saying(2)])
        record.close()
    lines = path.read_text().splitlines()
    if not committed:  # the spool was asked once more, and the power went before it had committed
        last = json.loads(lines[-2])
        last |= {"try": 3, "after": [last["after"][0], 3]}
        lines += [json.dumps(last), ""]
    path.write_text("\n".join(lines[:-1]) + "\n")

    with Spool(tmp_path / "spool", clock) as spool:
        Obligations(path, spool.path).close()

    assert [one.place[1] for one in read_obligations(path, "box-1")] == [1, 2]
