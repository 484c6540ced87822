"""What boxes say of their memory cards is written when it is news, and only of those in trouble."""

import asyncio
from typing import Any

from deploy.runtime.services import Broker, OneDatabase
from tests.gateway.ingest_home import Box, furnish, ingest, look, state
from tests.gateway.test_announce import SOON

FULL = {"at": 1_790_000_000_000, "early": 5, "given_up": 2}


async def cards(where: OneDatabase) -> list[tuple[Any, ...]]:
    rows = await look(
        where.dsn(),
        "SELECT e.name, k.keep_days, k.early, k.given_up,"
        " (extract(epoch FROM k.full_at) * 1000)::bigint AS full_at"
        " FROM edge_card k JOIN edge e ON e.id = k.edge ORDER BY e.name",
    )
    return [tuple(row.values()) for row in rows]


async def test_only_boxes_in_trouble_are_noted_and_their_recovery_too(
    fresh_database: OneDatabase, broker: Broker
) -> None:
    await furnish(fresh_database.dsn(), boxes=3)

    async def noted(*rows: tuple[Any, ...]) -> None:
        async with asyncio.timeout(SOON):
            while await cards(fresh_database) != list(rows):  # noqa: ASYNC110 - no bell
                await asyncio.sleep(0.1)

    async with (
        ingest(fresh_database, broker),
        Box(broker) as full,
        Box(broker, "box-02") as short,
        Box(broker, "box-03") as sound,
    ):
        sound.say(state("running", keep_days=3.0, card=None), "state")
        full.say(state("running", keep_days=3.0, card=FULL), "state")
        short.say(state("running", keep_days=2.0), "state")
        await noted(("box-01", 3.0, 5, 2, FULL["at"]), ("box-02", 2.0, 0, 0, None))

        short.say(state("running", keep_days=4.0), "state")
        full.say(state("running", keep_days=3.0, card=FULL | {"given_up": 9}), "state")
        await noted(("box-01", 3.0, 5, 9, FULL["at"]), ("box-02", 4.0, 0, 0, None))


async def test_a_card_that_is_none_is_set_aside(
    fresh_database: OneDatabase, broker: Broker
) -> None:
    await furnish(fresh_database.dsn())
    async with ingest(fresh_database, broker), Box(broker) as box:
        box.say(state("running", card={"at": 1, "early": -1, "given_up": 0}), "state")
        box.say(state("running", epoch=5), "state")

        question = "SELECT FROM quarantine WHERE reason = 'bad_state'"
        async with asyncio.timeout(SOON):
            while len(await look(fresh_database.dsn(), question)) < 2:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.1)

    assert await cards(fresh_database) == []
