"""The stage `edges` as it runs: its HTTPS, its certificates, and the gateway's own sessions."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from cryptography import x509

from deploy.runtime.services import OneDatabase
from gateway.clock import WallClock
from gateway.edges import stage
from gateway.edges.code import parse
from gateway.edges.inviting import Inviting
from gateway.edges.rotation import renew
from gateway.health import Health
from gateway.ingest import run as ingest
from gateway.main import usual
from gateway.settings import BadSetting, Settings
from gateway.store import boxes, people
from tests.gateway.edges.keeping import Kept, kept, running, until
from tests.gateway.edges.requests import new_key, request
from tests.gateway.edges.trust import Trust, connected, now


@pytest.fixture
def trust(tmp_path: Path) -> Iterator[Trust]:
    made = Trust.start(tmp_path)
    yield made
    made.broker.stop()


@pytest.fixture
async def here(trust: Trust, fresh_database: OneDatabase) -> AsyncIterator[Kept]:
    async with kept(trust, fresh_database) as made:
        yield made


def client(here: Kept) -> httpx2.AsyncClient:
    context = ssl.create_default_context(cafile=here.trust.ca)
    return httpx2.AsyncClient(base_url=f"https://{here.settings.edge_listen}", verify=context)


async def test_a_box_joins_by_its_code_and_enters_the_broker(here: Kept) -> None:
    where = await people.municipality(here.owner, "Kalundborg", create=True)
    made = await boxes.add_box(here.owner, municipality=where, home=None, now=now())
    async with running(here), client(here) as asking:
        code = parse((await Inviting.of(here.owner)).code(made.secret))
        root = (await asking.get("/authority")).text
        key = new_key()
        asked = {"secret": code.secret, "request": request(key), "version": "1"}
        answer = (await asking.post("/edges/join", json=asked)).json()

        told = x509.load_pem_x509_certificate(root.encode())
        assert told == here.trust.authority.root
        assert here.trust.authority.fingerprint.startswith(code.fingerprint)
        box = here.trust.kept("joined", key, answer["certificate"], 0, name=answer["edge"])
        with connected(here.trust.broker.port, box) as session:
            assert session.publish(f"edges/{made.name}/bulk") == "No matching subscribers"
            assert session.publish("edges/another/bulk") == "Not authorized"


async def test_its_new_certificate_is_shown_without_a_restart(here: Kept) -> None:
    async with running(here):
        before = await asyncio.to_thread(_shown, here)

        renew(here.trust.authority, ["https"], now())

        await until(lambda: _shown(here) != before)
        async with client(here) as asking:
            assert (await asking.get("/healthz")).status_code == 200


async def test_operations_see_a_list_that_does_not_work(here: Kept) -> None:
    async with running(here, longest=60), client(here) as asking:
        well = await asking.get("/readyz")
        here.trust.broker.pid_file.unlink()  # so that it cannot be mended before we have looked
        here.revoked.write_bytes(b"")
        here.trust.broker.reload()
        await until(lambda: here.counted("let_in"))
        ill = await asking.get("/readyz")
        figures = (await asking.get("/metrics")).text

    assert (well.status_code, ill.status_code) == (200, 503)
    assert "lets revoked certificates in" in ill.json()["parts"]["edges: canary"]
    assert "trygport_canary_let_in 1.0" in figures
    assert 'trygport_broker_refusals_total{kind="certificate"}' in figures
    assert "trygport_revocation_list_seconds" in figures


def _shown(here: Kept) -> str:
    host, _, port = here.settings.edge_listen.partition(":")
    return ssl.get_server_certificate((host, int(port)), ca_certs=str(here.trust.ca))


async def test_the_gateways_sessions_come_in_with_certificates(here: Kept) -> None:
    box, health = await here.joined(), Health()
    settings = here.settings.model_copy(update={"broker_identity": here.trust.authority.folder})
    task = asyncio.create_task(ingest.run(settings, WallClock(), health))
    try:
        await until(lambda: health.ready, task=task)
        with connected(here.trust.broker.port, box) as session:
            session.subscribe(f"edges/{box.name}/receipt")

            assert session.publish(f"edges/{box.name}/urgent", b"{}") == "Success"
            assert session.publish(f"edges/{box.name}/bulk", b"{}") == "Success"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_who_must_not_read_our_keys_finds_certificates_elsewhere(here: Kept) -> None:
    folder = here.trust.folder / "identity"
    folder.mkdir(mode=0o700)
    here.settings = here.settings.model_copy(update={"broker_identity": folder})
    async with running(here):
        pass

    names = {path.name for path in folder.iterdir()}
    assert names == {
        "root.pem",
        *(
            f"gateway-{name}.{kind}"
            for name in ("urgent", "bulk", "config")
            for kind in ("key", "pem")
        ),
    }


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("authority", "GATEWAY_AUTHORITY"),
        ("broker_files", "GATEWAY_BROKER_FILES"),
        ("broker_pid_file", "GATEWAY_BROKER_PID_FILE"),
    ],
)
def test_what_it_needs_is_said_at_once(missing: str, said: str, trust: Trust) -> None:
    whole = {
        "authority": trust.authority.folder,
        "broker_files": trust.broker.files,
        "broker_pid_file": trust.broker.pid_file,
        "production": False,
    }
    stage.fit(Settings.model_validate(whole))

    with pytest.raises(BadSetting, match=said):
        stage.fit(Settings.model_validate({**whole, missing: None}))


def test_an_authority_that_is_not_there_is_said_at_once(trust: Trust, tmp_path: Path) -> None:
    settings = {
        "authority": tmp_path / "nowhere",
        "broker_files": trust.broker.files,
        "broker_pid_file": trust.broker.pid_file,
        "production": False,
    }
    with pytest.raises(BadSetting, match="type gateway authority begin"):
        stage.fit(Settings.model_validate(settings))


def test_it_runs_by_itself_where_there_is_an_authority(tmp_path: Path) -> None:
    assert "edges" not in usual(Settings(production=False))
    assert "edges" in usual(Settings(production=False, authority=tmp_path))
