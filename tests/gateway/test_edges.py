"""Boxes are shut out, replaced and moved, and nobody is called for the silence that follows."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.runtime.services import OneDatabase
from gateway.clock import WallClock
from gateway.edges.code import parse
from gateway.store import boxes, certificates
from gateway.store.certificates import NotOurs, WrongCode
from gateway.store.configs import due
from gateway.store.pool import connect
from gateway.store.secrets import digest
from gateway.watch import RuleBook, Watch
from tests.gateway.joined import a_joined_box, a_keeper, as_edges, certified, gateway_edges
from tests.gateway.office import ADDRESS, Office, office


@pytest.fixture
async def here(
    fresh_database: OneDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Office]:
    monkeypatch.setenv("GATEWAY_DATABASE_OWNER", fresh_database.dsn())
    async with office(fresh_database, tmp_path) as made:
        made.clock.moment = WallClock().now()  # the commands take the time from the wall
        async with a_keeper(made):
            yield made


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


async def test_a_lost_box_is_shut_out_for_good(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = await here.flat()
    name, given = await a_joined_box(here, flat)
    other, _ = await a_joined_box(here, flat)
    await here.owner.execute(
        'INSERT INTO contact (municipality, edge, "from") SELECT municipality, id, $2 FROM edge '
        "WHERE name = $1",
        name,
        here.clock.now() - timedelta(hours=1),
    )

    codes = [
        await gateway_edges("revoke", name, "--reason", "stjålet"),
        await gateway_edges("end", name),
        await gateway_edges("revoke", "box-0"),
    ]

    assert codes == [0, 0, 1]
    assert f"{name} is shut out, and the broker is told" in capsys.readouterr().out
    row = await here.owner.fetchrow("SELECT * FROM edge WHERE name = $1", name)
    assert row is not None
    assert (row["home"], row["claim"], row["shut_out"] is None) == (None, None, False)
    contact = await here.owner.fetchrow("SELECT * FROM contact")
    assert contact is not None
    assert contact["ended_by"] == "stopped"
    assert await here.owner.fetchval("SELECT count(*) FROM deadline") == 1
    assert (
        await here.owner.fetchval("SELECT reason FROM certificate WHERE revoked > $1", given.issued)
        == "stjålet"
    )
    assert await certificates.revoked(here.owner, here.clock.now()) == {
        given.serial: row["shut_out"]
    }
    assert await certificates.shut_out(here.owner, here.clock.now()) == [name]
    assert await here.owner.fetchval("SELECT shut_out FROM edge WHERE name = $1", other) is None


async def test_a_revoked_certificate_is_on_the_list_until_clocks_agree_that_it_is_over(
    here: Office,
) -> None:
    name, given = await a_joined_box(here, await here.flat())
    await gateway_edges("revoke", name)

    late = given.expires + timedelta(hours=23)
    assert list(await certificates.revoked(here.owner, late)) == [given.serial]
    assert await certificates.shut_out(here.owner, late) == [name]
    over = given.expires + timedelta(hours=25)
    assert await certificates.revoked(here.owner, over) == {}
    assert await certificates.shut_out(here.owner, over) == []


async def test_a_code_that_was_lost_with_the_box_opens_nothing(here: Office) -> None:
    flat = await here.flat()
    made = await boxes.add_box(
        here.owner, municipality=flat.municipality, home=flat.home_public, now=here.clock.now()
    )

    await gateway_edges("revoke", made.name)

    async with as_edges(here.desk.settings) as pool:
        wanted = certified(made.name, here.clock.now())
        with pytest.raises(WrongCode):
            await certificates.take(
                pool,
                digest(made.secret),
                key=wanted.key,
                now=wanted.issued,
                wall=wanted.issued,
                certify=lambda _: wanted,
            )


async def test_when_nobody_tells_the_broker_the_command_says_so(
    fresh_database: OneDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_OWNER", fresh_database.dsn())
    async with office(fresh_database, tmp_path) as here:
        name, _ = await a_joined_box(here, await here.flat(), now=WallClock().now())

        ended = await gateway_edges("revoke", name)

    assert ended == 1
    assert f"{name} is shut out here, but nobody has said within 5 s" in capsys.readouterr().err


async def test_the_silence_of_an_ended_box_is_over(here: Office) -> None:
    name, _ = await a_joined_box(here, await here.flat())
    await lost(here, minutes_ago=10)
    async with connect(here.desk.settings, "watch") as pool:
        watch = Watch(pool, WallClock(), RuleBook(), channels=())
        await watch.judge_due()
        raised = await here.owner.fetch("SELECT kind, ended FROM alert")
        await gateway_edges("revoke", name)
        await watch.judge_due()

    assert [tuple(row) for row in raised] == [("box_silent", None)]
    assert await here.owner.fetchval("SELECT ended FROM alert") is not None
    assert await here.owner.fetchval("SELECT count(*) FROM alert") == 1


async def test_a_moved_box_is_told_of_its_new_home_and_both_are_judged(here: Office) -> None:
    first, second = await here.flat(), await here.flat(name="Bent")
    away = await here.flat(within="Odense")
    name, _ = await a_joined_box(here, first)
    device = await here.device()
    await here.owner.execute(
        'INSERT INTO placement (municipality, device, citizen, role, "from") '
        "VALUES ($1, $2, $3, 'door', $4)",
        second.municipality,
        device["id"],
        second.citizen,
        here.clock.now() - timedelta(hours=1),
    )

    moved = await gateway_edges("move", name, "--home", str(second.home_public))
    refused = [
        await gateway_edges("move", name, "--home", str(away.home_public)),
        await gateway_edges("move", name, "--home", str(uuid4())),
        await gateway_edges("move", "box-0", "--home", str(second.home_public)),
    ]
    await gateway_edges("revoke", name)
    refused.append(await gateway_edges("move", name, "--home", str(first.home_public)))

    assert (moved, refused) == (0, [1, 1, 1, 1])
    versions = await here.owner.fetchval("SELECT config_version FROM edge WHERE name = $1", name)
    assert versions == 3
    judged = await here.owner.fetch("SELECT citizen FROM deadline ORDER BY 1")
    assert [row["citizen"] for row in judged] == [first.citizen, second.citizen]


async def test_a_moved_box_hears_what_is_placed_where_it_is(here: Office) -> None:
    first, second = await here.flat(), await here.flat(name="Bent")
    name, _ = await a_joined_box(here, first)
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
    await gateway_edges("move", name, "--home", str(second.home_public))
    after = await due(here.owner, [name], 9, here.clock.now())

    assert [one.address for config in before for one in config.placed] == []
    assert [one.address for config in after for one in config.placed] == ["A4:C1:38:00:00:0B"]


async def test_the_list_shows_how_boxes_fare(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = await here.flat()
    told, mute = [(await a_joined_box(here, flat))[0] for _ in range(2)]
    await here.owner.execute(
        "INSERT INTO edge_card (municipality, edge, at, mode, room_days, path, trouble) "
        "SELECT municipality, id, $2, 'passive', 41, 2, 'card_full' FROM edge WHERE name = $1",
        told,
        here.clock.now(),
    )
    capsys.readouterr()

    await gateway_edges("list")

    lines = {line.split("  ")[0]: line for line in capsys.readouterr().out.splitlines()}
    fares = "  no contact  mode passive  room days 41  path 2  trouble card_full"
    assert lines[told].endswith(fares)
    assert lines[mute].endswith("  no contact")


async def test_an_ended_box_is_listed_as_such(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    name, _ = await a_joined_box(here, await here.flat())
    await gateway_edges("revoke", name)
    capsys.readouterr()

    await gateway_edges("list")

    assert f"{name}  Kalundborg  home -  shut out  no contact" in capsys.readouterr().out


async def test_a_box_is_replaced_and_home_placements_and_history_stay(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    flat, began = await here.flat(), here.clock.now() - timedelta(hours=2)
    old, _ = await a_joined_box(here, flat)
    device = await here.device(address="A4:C1:38:00:00:0B")
    await here.owner.execute(
        'INSERT INTO placement (municipality, device, citizen, role, "from") '
        "VALUES ($1, $2, $3, 'door', $4)",
        flat.municipality,
        device["id"],
        flat.citizen,
        began,
    )
    await _observed(here, device["id"], here.clock.now() - timedelta(hours=1))
    capsys.readouterr()

    done = await gateway_edges("replace", old, "--sticker", "TP-2")

    new, told, *_ = capsys.readouterr().out.splitlines()
    code = parse(told)
    assert done == 0
    assert code.address == ADDRESS
    async with as_edges(here.desk.settings) as pool:
        wanted = certified(new, here.clock.now())
        await certificates.take(
            pool,
            digest(code.secret),
            key=wanted.key,
            now=wanted.issued,
            wall=wanted.issued,
            certify=lambda _: wanted,
        )
    await _observed(here, device["id"], here.clock.now())
    rows = await here.owner.fetch("SELECT name, home, replaces, sticker FROM edge ORDER BY id")
    number = await here.owner.fetchval("SELECT id FROM edge WHERE name = $1", old)
    assert [tuple(row) for row in rows] == [
        (old, None, None, None),
        (new, flat.home, number, "TP-2"),
    ]
    assert await here.owner.fetchval("SELECT shut_out FROM edge WHERE name = $1", old) is not None
    heard = {one.name: one for one in await due(here.owner, [new], 9, here.clock.now())}
    assert [one.address for one in heard[new].placed] == ["A4:C1:38:00:00:0B"]
    placed = await here.owner.fetch(
        """
        SELECT p.id, count(*) AS heard FROM placement p
        JOIN observation o ON o.device = p.device AND o.occurred >= p."from"
        WHERE p."to" IS NULL GROUP BY p.id
        """
    )
    assert [row["heard"] for row in placed] == [2], "one placement, before and after the swap"


async def _observed(here: Office, device: int, at: object) -> None:
    await here.owner.execute(
        "INSERT INTO observation VALUES ($1, 1, $2, $2, 0, 1.0, NULL, 0, 1)", device, at
    )


async def test_an_honest_box_goes_on_where_another_is_replaced(here: Office) -> None:
    flat = await here.flat()
    old, _ = await a_joined_box(here, flat)
    other, given = await a_joined_box(here, flat)

    await gateway_edges("replace", old)

    async with as_edges(here.desk.settings) as pool:
        next_one = certified(other, here.clock.now())
        renewed = await certificates.renew(
            pool,
            other,
            given.serial,
            key=next_one.key,
            wall=next_one.issued,
            certify=lambda _: next_one,
        )
    assert renewed.serial == next_one.serial


async def test_what_is_shut_out_is_neither_replaced_nor_moved_nor_invited(
    here: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = await here.flat()
    name, given = await a_joined_box(here, flat)
    await gateway_edges("revoke", name)

    codes = [
        await gateway_edges("replace", name),
        await gateway_edges("code", name),
        await gateway_edges("move", name, "--home", str(flat.home_public)),
    ]

    assert codes == [1, 1, 1]
    assert capsys.readouterr().err.count("was shut out, for good") == 3
    async with as_edges(here.desk.settings) as pool:
        with pytest.raises(NotOurs):
            await certificates.renew(
                pool,
                name,
                given.serial,
                key=secrets.token_bytes(32),
                wall=here.clock.now(),
                certify=lambda edge: certified(edge, here.clock.now()),
            )


async def test_two_that_replace_one_box_at_once_put_one_there(here: Office) -> None:
    old, _ = await a_joined_box(here, await here.flat())

    codes = await asyncio.gather(*(gateway_edges("replace", old) for _ in range(2)))

    assert sorted(codes) == [0, 1]
    assert await here.owner.fetchval("SELECT count(*) FROM edge") == 2
    assert await here.owner.fetchval("SELECT count(*) FROM edge WHERE home IS NOT NULL") == 1
