"""A lost box is shut out, a box is moved, and nobody is called for the silence that follows."""

import asyncio
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deploy.runtime.services import Broker, OneDatabase
from gateway.clock import WallClock
from gateway.store import boxes
from gateway.store.configs import due
from gateway.store.pool import connect
from gateway.watch import RuleBook, Watch
from tests.deploy.mqtt import connected
from tests.gateway.office import Flat, Office, office
from tests.gateway.test_join import OWN_PASSWORD, command, lets_in


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("GATEWAY_DATABASE_OWNER", fresh_database.dsn())
    monkeypatch.setenv("GATEWAY_BROKER_PASSWORD", OWN_PASSWORD)
    monkeypatch.setenv("GATEWAY_BROKER_PASSWORD_FILE", str(tmp_path / "passwords"))
    async with office(fresh_database, tmp_path) as made:
        made.clock.moment = WallClock().now()  # the commands take the time from the wall
        yield made


async def a_box(here: Office, flat: Flat) -> tuple[str, dict[str, str]]:
    """A box that has joined, and its account."""
    name, secret = await boxes.add_box(
        here.owner, municipality=flat.municipality, home=flat.home_public, now=here.clock.now()
    )
    joining = {"edge": name, "secret": secret, "version": "0.1.0"}
    answer = await here.client().post("/edges/join", json=joining)
    assert answer.status_code == 200
    return name, answer.json()


async def gateway(*words: str) -> int:
    return await asyncio.to_thread(command, "edges", *words)


async def lost(here: Office, *, minutes_ago: float) -> None:
    """The box's last will came: what ingest writes."""
    at = here.clock.now() - timedelta(minutes=minutes_ago)
    await here.owner.execute(
        """
        INSERT INTO contact (municipality, edge, "from", "to", ended_by, sure_from)
        SELECT municipality, id, $1::timestamptz - interval '1 hour', $1, 'lost', $1 FROM edge
        """,
        at,
    )
    await here.owner.execute("INSERT INTO deadline SELECT municipality, id, $1 FROM citizen", at)


async def test_a_lost_box_is_shut_out_for_good(here: Office, tmp_path: Path) -> None:
    flat = await here.flat()
    name, _ = await a_box(here, flat)
    other, _ = await a_box(here, flat)
    await here.owner.execute(
        'INSERT INTO contact (municipality, edge, "from") SELECT municipality, id, $2 FROM edge '
        "WHERE name = $1",
        name,
        here.clock.now() - timedelta(hours=1),
    )

    codes = [await gateway("end", name), await gateway("end", name), await gateway("end", "box-0")]

    assert codes == [0, 0, 1]
    kept = (tmp_path / "passwords").read_text()
    assert f"{other}:$7$" in kept
    assert name not in kept
    row = await here.owner.fetchrow("SELECT * FROM edge WHERE name = $1", name)
    assert row is not None
    assert (row["home"], row["broker_password"], row["join_hash"]) == (None, None, None)
    contact = await here.owner.fetchrow("SELECT * FROM contact")
    assert contact is not None
    assert contact["ended_by"] == "stopped"
    assert await here.owner.fetchval("SELECT count(*) FROM deadline") == 1


async def test_a_code_that_was_lost_with_the_box_opens_nothing(here: Office) -> None:
    flat = await here.flat()
    name, secret = await boxes.add_box(
        here.owner, municipality=flat.municipality, home=flat.home_public, now=here.clock.now()
    )

    await gateway("end", name)

    joining = {"edge": name, "secret": secret, "version": "0.1.0"}
    assert (await here.client().post("/edges/join", json=joining)).status_code == 403


async def test_the_silence_of_an_ended_box_is_over(here: Office) -> None:
    name, _ = await a_box(here, await here.flat())
    await lost(here, minutes_ago=10)
    async with connect(here.desk.settings, "watch") as pool:
        watch = Watch(pool, WallClock(), RuleBook(), channels=())
        await watch.judge_due()
        raised = await here.owner.fetch("SELECT kind, ended FROM alert")
        await gateway("end", name)
        await watch.judge_due()

    assert [tuple(row) for row in raised] == [("box_silent", None)]
    assert await here.owner.fetchval("SELECT ended FROM alert") is not None
    assert await here.owner.fetchval("SELECT count(*) FROM alert") == 1


async def test_a_moved_box_is_told_of_its_new_home_and_both_are_judged(here: Office) -> None:
    first, second = await here.flat(), await here.flat(name="Bent")
    away = await here.flat(within="Odense")
    name, _ = await a_box(here, first)
    device = await here.device()
    await here.owner.execute(
        'INSERT INTO placement (municipality, device, citizen, role, "from") '
        "VALUES ($1, $2, $3, 'door', $4)",
        second.municipality,
        device["id"],
        second.citizen,
        here.clock.now() - timedelta(hours=1),
    )

    moved = await gateway("move", name, "--home", str(second.home_public))
    refused = [
        await gateway("move", name, "--home", str(away.home_public)),
        await gateway("move", name, "--home", str(uuid4())),
        await gateway("move", "box-0", "--home", str(second.home_public)),
    ]
    await gateway("end", name)
    refused.append(await gateway("move", name, "--home", str(first.home_public)))

    assert (moved, refused) == (0, [1, 1, 1, 1])
    versions = await here.owner.fetchval("SELECT config_version FROM edge WHERE name = $1", name)
    assert versions == 3
    judged = await here.owner.fetch("SELECT citizen FROM deadline ORDER BY 1")
    assert [row["citizen"] for row in judged] == [first.citizen, second.citizen]


async def test_a_moved_box_hears_what_is_placed_where_it_is(here: Office) -> None:
    first, second = await here.flat(), await here.flat(name="Bent")
    name, _ = await a_box(here, first)
    device = await here.device(address="A4:C1:38:00:00:0B")
    await here.owner.execute(
        'INSERT INTO placement (municipality, device, citizen, role, "from") '
        "VALUES ($1, $2, $3, 'door', $4)",
        second.municipality,
        device["id"],
        second.citizen,
        here.clock.now() - timedelta(hours=1),
    )

    before = await due(here.owner, [name], 9, here.clock.now())
    await gateway("move", name, "--home", str(second.home_public))
    after = await due(here.owner, [name], 9, here.clock.now())

    assert [one.address for config in before for one in config.placed] == []
    assert [one.address for config in after for one in config.placed] == ["A4:C1:38:00:00:0B"]


async def test_the_broker_throws_an_ended_box_out_and_lets_it_in_no_more(
    fresh_database: OneDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: dict[str, str] = dict.fromkeys(
        ("gateway-urgent", "gateway-bulk", "gateway-config"), OWN_PASSWORD
    )
    broker = await asyncio.to_thread(Broker.start, tmp_path / "broker", passwords=own)
    settings: dict[str, Any] = {
        "broker_password_file": broker.password_file,
        "broker_pid_file": broker.pid_file,
        "broker_password": OWN_PASSWORD,
    }
    for setting, value in {**settings, "database_owner": fresh_database.dsn()}.items():
        monkeypatch.setenv(f"GATEWAY_{setting.upper()}", str(value))
    try:
        async with office(fresh_database, tmp_path, **settings) as here:
            here.clock.moment = WallClock().now()
            name, account = await a_box(here, await here.flat())
            await asyncio.sleep(1)  # Mosquitto reads its file when its loop comes round
            user, password = account["username"], account["password"]
            bystander = ("gateway-bulk", OWN_PASSWORD)
            with (
                connected(broker.port, user, password) as session,
                connected(broker.gateway_port, *bystander) as other,
            ):
                thrown_out = threading.Event()

                def gone(*_: object) -> None:
                    thrown_out.set()

                session.client.on_disconnect = gone
                ended = await gateway("end", name)
                out = await asyncio.to_thread(thrown_out.wait, 5)
                anew = await asyncio.to_thread(lets_in, broker.port, user, password)
                stays = other.client.is_connected()
        assert ended == 0
        assert not anew
        assert out
        assert stays
    finally:
        await asyncio.to_thread(broker.stop)


async def test_the_list_shows_how_boxes_fare(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = await here.flat()
    told, mute = [(await a_box(here, flat))[0] for _ in range(2)]
    await here.owner.execute(
        "INSERT INTO edge_card (municipality, edge, at, mode, room_days, path, trouble) "
        "SELECT municipality, id, $2, 'passive', 41, 2, 'card_full' FROM edge WHERE name = $1",
        told,
        here.clock.now(),
    )
    capsys.readouterr()

    await gateway("list")

    lines = {line.split("  ")[0]: line for line in capsys.readouterr().out.splitlines()}
    fares = "  no contact  mode passive  room days 41  path 2  trouble card_full"
    assert lines[told].endswith(fares)
    assert lines[mute].endswith("  no contact")


async def test_an_ended_box_is_listed_as_such(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    name, _ = await a_box(here, await here.flat())
    await gateway("end", name)
    capsys.readouterr()

    await gateway("list")

    assert f"{name}  Kalundborg  home -  ended  no contact" in capsys.readouterr().out
