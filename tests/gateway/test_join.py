"""A box joins with its CODE, once, within a day; the broker knows its password at once."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from deploy.runtime.services import Broker, OneDatabase, certificate
from gateway.edges import joining
from gateway.main import main
from gateway.store.boxes import add_box
from tests.deploy.mqtt import connected
from tests.gateway.office import Office, office

OWN_PASSWORD = "the gateway's own"  # noqa: S105 - of a broker that lives for one test


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        yield made


async def a_box(here: Office) -> dict[str, str]:
    edge, secret = await add_box(
        here.owner, municipality=await here.municipality(), home=None, now=here.clock.now()
    )
    return {"edge": edge, "secret": secret, "version": "0.1.0"}


async def test_a_box_gets_its_account_once(here: Office, tmp_path: Path) -> None:
    box, anyone = await a_box(here), here.client()

    first = await anyone.post("/edges/join", json=box)
    second = await anyone.post("/edges/join", json=box)

    account = first.json()
    assert first.status_code == 200
    assert account["edge"] == account["username"] == box["edge"]
    assert account["broker"] == "mqtts://gateway.example:8883"
    assert account["ca"] is None
    assert len(base64.urlsafe_b64decode(account["password"] + "==")) >= 24
    assert second.status_code == 403
    kept = (tmp_path / "passwords").read_text()
    assert account["password"] not in kept
    assert f"{box['edge']}:$7$" in kept
    row = await here.owner.fetchrow("SELECT * FROM edge")
    assert row is not None
    assert row["joined"] == here.clock.now()
    assert box["secret"] not in str(dict(row))
    assert account["password"] not in str(dict(row))


async def test_a_lost_password_file_is_written_again_at_the_start(
    here: Office, tmp_path: Path
) -> None:
    box = await a_box(here)
    await here.client().post("/edges/join", json=box)
    (tmp_path / "passwords").unlink()

    await joining.admit(here.pool, here.desk.settings)

    kept = (tmp_path / "passwords").read_text()
    assert [line.partition(":")[0] for line in kept.splitlines()] == [
        "gateway-urgent",
        "gateway-bulk",
        "gateway-config",
        box["edge"],
    ]


async def test_of_fifty_at_once_exactly_one_joins(here: Office) -> None:
    box, anyone = await a_box(here), here.client()

    over_http = await asyncio.gather(
        *(anyone.post("/edges/join", json=box) for _ in range(25)),
    )
    assert sorted({answer.status_code for answer in over_http}) == [200, 403]
    assert sum(answer.status_code == 200 for answer in over_http) == 1

    other = await a_box(here)
    straight = await asyncio.gather(
        *(
            joining.join(
                here.pool, here.desk.settings, other["edge"], other["secret"], here.clock.now()
            )
            for _ in range(50)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(one, joining.Account) for one in straight) == 1


async def test_boxes_that_join_at_once_are_all_known_to_the_broker(
    here: Office, tmp_path: Path
) -> None:
    boxes = [await a_box(here) for _ in range(10)]
    anyone = here.client()

    await asyncio.gather(*(anyone.post("/edges/join", json=box) for box in boxes))

    kept = (tmp_path / "passwords").read_text()
    assert all(f"{box['edge']}:$7$" in kept for box in boxes)


@pytest.mark.parametrize("wrong", [{"edge": "box-0000"}, {"secret": "A" * 43}, {"late": "yes"}])
async def test_unknown_wrong_and_old_are_one_answer(
    here: Office, tmp_path: Path, wrong: dict[str, str]
) -> None:
    box = await a_box(here)
    if "late" in wrong:
        here.clock.pass_(hours=24)
        wrong = {}

    answer = await here.client().post("/edges/join", json={**box, **wrong})

    assert answer.status_code == 403
    assert answer.json()["detail"] == "this box cannot join with this code"
    assert not (tmp_path / "passwords").exists()


async def test_the_secret_is_still_good_when_the_brokers_file_cannot_be_written(
    here: Office, tmp_path: Path
) -> None:
    box, anyone = await a_box(here), here.client()
    (tmp_path / "passwords.new").mkdir()

    refused = await anyone.post("/edges/join", json=box)
    (tmp_path / "passwords.new").rmdir()
    joined = await anyone.post("/edges/join", json=box)

    assert refused.status_code == 503
    assert refused.json()["type"] == "/problems/cannot-join-now"
    assert str(tmp_path) not in refused.text
    assert joined.status_code == 200


async def test_guessing_is_slowed_down(here: Office) -> None:
    box, anyone = await a_box(here), here.client()

    for _ in range(30):
        await anyone.post("/edges/join", json={**box, "secret": "A" * 43})
    refused = await anyone.post("/edges/join", json=box)
    here.clock.pass_(seconds=61)
    joined = await anyone.post("/edges/join", json=box)

    assert (refused.status_code, joined.status_code) == (429, 200)
    assert 1 <= int(refused.headers["retry-after"]) <= 61


async def test_the_account_opens_a_real_broker_without_a_restart(
    fresh_database: OneDatabase, tmp_path: Path
) -> None:
    own: dict[str, str] = dict.fromkeys(
        ("gateway-urgent", "gateway-bulk", "gateway-config"), OWN_PASSWORD
    )
    broker = await asyncio.to_thread(Broker.start, tmp_path / "broker", passwords=own)
    try:
        settings: dict[str, Any] = {
            "broker_password_file": broker.password_file,
            "broker_pid_file": broker.pid_file,
            "broker_password": OWN_PASSWORD,
        }
        async with office(fresh_database, tmp_path, **settings) as here:
            box = await a_box(here)
            account = (await here.client().post("/edges/join", json=box)).json()
        user, password = account["username"], account["password"]
        await asyncio.sleep(1)  # Mosquitto reads its file when its loop comes round

        assert await asyncio.to_thread(lets_in, broker.port, user, password)
        assert await asyncio.to_thread(lets_in, broker.gateway_port, "gateway-bulk", OWN_PASSWORD)
        assert not await asyncio.to_thread(lets_in, broker.port, user, "guess")
    finally:
        await asyncio.to_thread(broker.stop)


def lets_in(port: int, user: str, password: str) -> bool:
    try:
        with connected(port, user, password):
            return True
    except ConnectionRefusedError:
        return False


async def test_the_command_prints_a_code_that_holds_all_the_box_needs(
    here: Office,
    fresh_database: OneDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flat, made = await here.flat(), certificate(tmp_path)
    monkeypatch.setenv("GATEWAY_DATABASE_OWNER", fresh_database.dsn())
    monkeypatch.setenv("GATEWAY_TLS_CERT", str(made.cert))
    monkeypatch.setenv("GATEWAY_PUBLIC_ADDRESS", "gateway.example:8443")

    done = await asyncio.to_thread(command, "edges", "add", "--home", str(flat.home_public))
    name, code = capsys.readouterr().out.splitlines()
    unknown = await asyncio.to_thread(command, "edges", "add", "--home", str(flat.citizen_public))
    listed = await asyncio.to_thread(command, "edges", "list")

    assert (done, unknown, listed) == (0, 1, 0)
    prefix, _, body = code.partition(".")
    parts = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert prefix == "trygport1"
    assert parts[:3] == ["gateway.example:8443", made.fingerprint.replace(":", "").lower(), name]
    row = await here.owner.fetchrow("SELECT home, join_hash FROM edge")
    assert row is not None
    assert row["home"] == flat.home
    assert row["join_hash"] == hashlib.sha256(parts[3].encode()).digest()
    said = capsys.readouterr()
    assert f"{name}  Kalundborg  home {flat.home_public}  not joined  no contact" in said.out
    assert "there is no home" in said.err


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert isinstance(ended.value.code, int)
    return ended.value.code


async def test_a_code_needs_the_certificate_it_names(
    here: Office,
    fresh_database: OneDatabase,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flat = await here.flat()
    monkeypatch.setenv("GATEWAY_DATABASE_OWNER", fresh_database.dsn())

    ended = await asyncio.to_thread(command, "edges", "add", "--home", str(flat.home_public))

    assert ended == 1
    assert "GATEWAY_TLS_CERT" in capsys.readouterr().err
