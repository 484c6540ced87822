"""The second factor: RFC 6238's own codes, one use each, and who needs it."""

import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from deploy.runtime.services import OneDatabase
from gateway.store import people
from gateway.store.seal import Place, of_settings
from gateway.store.totp import STEP, address_for_phone, code_at, matching_step, step_at
from gateway.web.board import pages
from tests.gateway.office import PASSWORD, Office, office
from tests.gateway.provided import said

RFC_SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_codes_are_those_of_rfc_6238_appendix_b(seconds: int, code: str) -> None:
    assert code_at(RFC_SECRET, seconds // STEP, digits=8) == code
    assert code_at(RFC_SECRET, step_at(datetime.fromtimestamp(seconds, UTC))) == code[2:]


@pytest.mark.parametrize(
    ("count", "code"),
    [(0, "755224"), (1, "287082"), (2, "359152"), (3, "969429"), (9, "520489")],
)
def test_the_codes_are_those_of_rfc_4226_appendix_d(count: int, code: str) -> None:
    assert code_at(RFC_SECRET, count) == code


@pytest.mark.parametrize(
    ("away", "fits"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_a_phone_may_be_half_a_minute_off(away: int, *, fits: bool) -> None:
    now = datetime(2026, 3, 2, 20, 0, 15, tzinfo=UTC)
    code = code_at(RFC_SECRET, step_at(now) + away)

    assert (matching_step(RFC_SECRET, code, now, after=0) is not None) == fits


def test_a_code_may_be_typed_with_a_space_and_nothing_else_is_a_code() -> None:
    now = datetime(2026, 3, 2, 20, 0, 15, tzinfo=UTC)
    code = code_at(RFC_SECRET, step_at(now))

    assert matching_step(RFC_SECRET, f"{code[:3]} {code[3:]}", now, after=0) == step_at(now)
    assert matching_step(RFC_SECRET, "æøå", now, after=0) is None
    assert matching_step(RFC_SECRET, "", now, after=0) is None


def test_a_phone_reads_the_secret_from_the_address() -> None:
    assert address_for_phone(RFC_SECRET, "anna") == (
        "otpauth://totp/Trygport:anna?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Trygport"
    )


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path, pages) as made:
        yield made


async def with_phone(here: Office, login: str) -> None:
    """The person's codes come from RFC_SECRET."""
    seal = of_settings(here.desk.settings)

    def sealed(municipality: int, person: int) -> bytes:
        return seal.seal_bytes(RFC_SECRET, Place(municipality, "second_factor", person, "secret"))

    assert await people.set_second_factor(here.owner, login, sealed)


async def tried(here: Office, code: str = "", login: str = "anna") -> httpx2.Response:
    data = {"login": login, "password": PASSWORD, "code": code}
    return await here.client().post("/login", data=data)


async def test_who_has_a_phone_needs_its_code_and_each_code_opens_once(here: Office) -> None:
    await here.login("anna")
    await with_phone(here, "anna")
    code = code_at(RFC_SECRET, step_at(here.clock.now()))

    without, wrong = await tried(here), await tried(here, "000000")
    first, again = await tried(here, code), await tried(here, code)
    here.clock.pass_(seconds=30)
    later = await tried(here, code_at(RFC_SECRET, step_at(here.clock.now())))

    assert [one.status_code for one in (without, wrong, first, again, later)] == [
        401,
        401,
        303,
        401,
        303,
    ]


async def test_a_wrong_code_and_a_wrong_password_are_one_answer(here: Office) -> None:
    await here.login("anna")
    await with_phone(here, "anna")
    data = {"login": "anna", "password": "wrong", "code": "000000"}

    wrong_code, wrong_word = (
        await tried(here, "000000"),
        await here.client().post("/login", data=data),
    )

    assert wrong_code.content == wrong_word.content
    assert wrong_code.status_code == wrong_word.status_code == 401


async def test_the_secret_is_kept_sealed_and_out_of_the_apis_sight(here: Office) -> None:
    await here.login("anna")
    await with_phone(here, "anna")

    kept = await here.owner.fetchval("SELECT secret FROM second_factor")

    assert RFC_SECRET not in kept
    assert RFC_SECRET.hex().encode() not in kept
    with pytest.raises(Exception, match="permission denied"):
        await here.pool.fetch("SELECT secret FROM second_factor")


async def test_in_production_a_password_alone_opens_nothing(
    fresh_database: OneDatabase, tmp_path: Path
) -> None:
    key = tmp_path / "keys"
    key.touch(mode=0o600)
    key.write_text("one " + "A" * 43 + "=\n")
    async with office(fresh_database, tmp_path, pages, production=True, identity_key=key) as strict:
        await strict.login("anna")
        alone = await tried(strict)
        await with_phone(strict, "anna")
        both = await tried(strict, code_at(RFC_SECRET, step_at(strict.clock.now())))

    assert (alone.status_code, both.status_code) == (401, 303)


async def test_an_emergency_account_in_use_is_logged_counted_and_shown_to_administrators(
    fresh_database: OneDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    provider = {
        "oidc_issuer": "http://127.0.0.1:9",
        "oidc_client_id": "trygport",
        "oidc_redirect": "http://gateway/login/back",
        "oidc_municipality": "Kalundborg",
    }
    async with office(fresh_database, tmp_path, pages, **provider) as here:
        await here.login("anna")
        await here.login("adam", "administrator")
        assert (await tried(here)).status_code == 303
        logged = said(capsys)

        administrator = here.client()
        await administrator.post("/login", data={"login": "adam", "password": PASSWORD})
        elsewhere = await here.as_("administrator", within="Odense")
        uses = (await administrator.get("/sign-in/emergency-accounts")).json()["uses"]
        page = (await administrator.get("/konto")).text
        figures = (await (await here.as_("robot")).get("/metrics")).text

        assert "a break-glass account was used" in logged
        assert [one["login"] for one in uses] == ["adam", "anna"]
        assert re.search(r"Nødkonto brugt.*anna, 02\.03\.2026 kl\. 21:00", page, re.DOTALL)
        assert "trygport_break_glass_used_total 2.0" in figures
        assert (await elsewhere.get("/sign-in/emergency-accounts")).json() == {"uses": []}
        assert (
            await (await here.as_("staff")).get("/sign-in/emergency-accounts")
        ).status_code == 403
