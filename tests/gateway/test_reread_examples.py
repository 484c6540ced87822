"""What was set aside is printed as examples, from which an adapter is made."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from adapters import registry
from adapters.examples import difference
from adapters.frame import Frame
from adapters.observation import Observation
from deploy.runtime.services import OneDatabase
from tests.frames import DOOR, batch, door
from tests.gateway.chain import chain
from tests.gateway.ingest_home import Parts
from tests.gateway.test_main import gateway


@pytest.fixture
async def ingest(fresh_database: OneDatabase) -> AsyncIterator[Parts]:
    async with chain(fresh_database) as made:
        yield made.ingest


def read(frame: Frame, key: bytes | None) -> tuple[Observation, ...]:
    return registry.read(frame, key=key)


async def test_a_frame_that_was_set_aside_is_printed_as_an_example(ingest: Parts) -> None:
    await ingest.store(batch([door(data={"fcd2": b"\x40\xff"})]), b"garbage")
    words = {"database": ingest.where.address, "production": "false"}

    printed = await asyncio.to_thread(gateway, "reread", "--examples", **words)

    assert printed.returncode == 0, printed.stderr
    [example] = json.loads(printed.stdout)
    assert example["frame"]["device"] == DOOR
    assert example["frame"]["data"] == {"fcd2": "40ff"}
    assert example["says"].startswith("unreadable: ")
    assert 'add "unreadable": ' in str(difference(example, read))


async def test_where_nothing_is_set_aside_the_list_is_empty(ingest: Parts) -> None:
    words = {"database": ingest.where.address, "production": "false"}

    printed = await asyncio.to_thread(gateway, "reread", "--examples", "--device", DOOR, **words)

    assert json.loads(printed.stdout) == []
