"""What boxes say of their memory cards is written when it is news, and only of those in trouble."""

import asyncio
from typing import Any

import pytest
from prometheus_client import generate_latest

from deploy.runtime.services import Broker, OneDatabase
from gateway.health import Health
from gateway.ingest.cards import differs
from gateway.ingest.fares import Fares
from gateway.store.cards import Card
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


TOLD = {"mode": "passive", "room_days": 41.7, "path": 2, "trouble": "storage_failed"}


async def test_how_a_box_fares_is_noted_in_whole_days_and_not_at_every_day_of_a_guess(
    fresh_database: OneDatabase, broker: Broker
) -> None:
    await furnish(fresh_database.dsn())
    fares = "SELECT reader, mode, room_days, path, trouble FROM edge_card"

    async def noted(*fields: Any) -> None:
        told: list[tuple[Any, ...]] = []
        async with asyncio.timeout(5):
            while told != [fields]:
                await asyncio.sleep(0.1)
                told = [tuple(row.values()) for row in await look(fresh_database.dsn(), fares)]

    async with ingest(fresh_database, broker), Box(broker) as box:
        box.say(state("running", **TOLD), "state")
        await noted("hearing", "passive", 41, 2, "storage_failed")

        box.say(state("running", **TOLD | {"room_days": 40.2}), "state")
        await asyncio.sleep(1.5)
        await noted("hearing", "passive", 41, 2, "storage_failed")
        box.say(
            state("running", reader="of.tomorrow", mode="dozing", room_days=1e6, path=3), "state"
        )
        await noted("of.tomorrow", "dozing", 60, 3, None)

    refused = "SELECT FROM quarantine WHERE reason = 'bad_state'"
    assert await look(fresh_database.dsn(), refused) == []


def test_boxes_that_fare_ill_are_counted_and_not_named() -> None:
    health = Health()
    fares = Fares(health)

    def figures() -> list[str]:
        told = generate_latest(health.registry).decode().splitlines()
        return [line.removeprefix("trygport_boxes_") for line in told if not line.startswith("#")]

    fares.begin([Card(trouble="card_full"), Card(trouble="of_tomorrow"), Card(path=2)])
    fares.change(None, Card(reader="silent", refused="config.calls: not a list"))
    fares.change(Card(trouble="card_full"), Card(trouble="storage_failed", path=1))
    assert sorted(figures()) == [
        "config_refused 1.0",
        "deaf 1.0",
        'in_trouble{trouble="card_full"} 0.0',
        'in_trouble{trouble="other"} 1.0',
        'in_trouble{trouble="storage_failed"} 1.0',
        "on_second_path 1.0",
    ]

    fares.begin(())
    assert {line.split(" ")[-1] for line in figures()} == {"0.0"}


@pytest.mark.parametrize(
    ("before", "now", "is_news"),
    [
        (Card(room_days=41), Card(room_days=40), False),
        (Card(room_days=41), Card(room_days=39), True),
        (Card(room_days=41), Card(room_days=40, trouble="card_full"), True),
        (Card(room_days=7), Card(room_days=6), True),
        (Card(room_days=7), Card(room_days=None), True),
        (Card(room_days=3), Card(room_days=3), False),
    ],
)
def test_only_news_is_written(before: Card, now: Card, *, is_news: bool) -> None:
    assert differs(before, now) == is_news


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
