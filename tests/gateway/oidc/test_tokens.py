"""What a provider's token must be: each way in which it is wrong is refused, with its reason."""

from typing import Any

import httpx2
import pytest

from tests.gateway.office import Office
from tests.gateway.provided import (
    NURSE,
    Provided,
    refused,
    said,
    signed_in,
)

pytestmark = pytest.mark.slow  # the provider is a process, which must start first


async def test_a_token_for_another_sign_in_is_refused(
    here: Office, there: Provided, capsys: pytest.CaptureFixture[str]
) -> None:
    await there.world(claims={**NURSE, "nonce": "another"})

    await refused(here)

    assert "the nonce is not the one of this sign-in" in said(capsys)


async def test_a_token_without_a_nonce_is_refused(
    here: Office, there: Provided, capsys: pytest.CaptureFixture[str]
) -> None:
    await there.world(claims={**NURSE, "nonce": None})

    await refused(here)

    assert "the nonce is not the one of this sign-in" in said(capsys)


async def test_a_token_that_was_used_is_refused(
    here: Office, there: Provided, capsys: pytest.CaptureFixture[str]
) -> None:
    await signed_in(here.client())
    await there.world(claims=NURSE, same_token=True)

    await refused(here)

    assert "the nonce is not the one of this sign-in" in said(capsys)


@pytest.mark.parametrize(
    "issuer", ["https://evil.example", "http://127.0.0.1", None], ids=["other", "near", "none"]
)
async def test_another_issuer_is_refused(
    here: Office, there: Provided, capsys: pytest.CaptureFixture[str], issuer: str | None
) -> None:
    await there.world(claims={**NURSE, "iss": issuer})

    await refused(here)

    assert "the issuer is another" in said(capsys)


@pytest.mark.parametrize(
    ("audience", "why"),
    [
        ({"aud": "another"}, "the token is meant for somebody else"),
        ({"aud": None}, "the token is meant for somebody else"),
        ({"aud": ["another"]}, "the token is meant for somebody else"),
        ({"aud": ["trygport", "another"]}, "the token was given to another party"),
        ({"azp": "another"}, "the token was given to another party"),
    ],
)
async def test_a_token_for_somebody_else_is_refused(
    here: Office,
    there: Provided,
    capsys: pytest.CaptureFixture[str],
    audience: dict[str, Any],
    why: str,
) -> None:
    await there.world(claims={**NURSE, **audience})

    await refused(here)

    assert why in said(capsys)


async def test_a_token_that_is_not_signed_is_refused(
    here: Office, there: Provided, capsys: pytest.CaptureFixture[str]
) -> None:
    await there.world(claims=NURSE, alg="none")

    await refused(here)

    assert "the algorithm 'none' is not taken" in said(capsys)


async def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(
    here: Office, there: Provided, capsys: pytest.CaptureFixture[str]
) -> None:
    await there.world(claims=NURSE, alg="HS256")

    await refused(here)

    assert "the algorithm 'HS256' is not taken" in said(capsys)


async def test_a_token_of_a_key_for_another_algorithm_is_refused(
    here: Office, there: Provided, capsys: pytest.CaptureFixture[str]
) -> None:
    await signed_in(here.client())
    async with httpx2.AsyncClient(verify=False) as http:
        keys = (await http.get(f"{there.issuer}/jwks")).json()["keys"]
    await there.world(claims=NURSE, alg="ES256", kid=keys[0]["kid"])

    await refused(here)

    assert "the key is not for this algorithm" in said(capsys)


@pytest.mark.parametrize(
    ("times", "why"),
    [
        ({"exp": -61}, "the token has expired"),
        ({"exp": None}, "the token has expired"),
        ({"iat": -660}, "the token is old"),
        ({"iat": 120}, "the token is of the future"),
        ({"iat": None}, "the token is of the future"),
        ({"nbf": 120}, "the token does not hold yet"),
    ],
)
async def test_a_token_of_another_time_is_refused(
    here: Office,
    there: Provided,
    capsys: pytest.CaptureFixture[str],
    times: dict[str, int | None],
    why: str,
) -> None:
    now = int(here.clock.now().timestamp())
    moved = {name: None if one is None else now + one for name, one in times.items()}
    await there.world(claims={**NURSE, **moved})

    await refused(here)

    assert why in said(capsys)


async def test_a_key_that_the_provider_does_not_have_is_refused_and_asked_for_seldom(
    here: Office, there: Provided, capsys: pytest.CaptureFixture[str]
) -> None:
    await signed_in(here.client())
    await there.world(claims=NURSE, kid="made-up")
    before = await there.asked_for_keys()

    for _ in range(5):
        await refused(here)

    assert "no key of the provider has the name in the token" in said(capsys)
    assert await there.asked_for_keys() - before <= 1


async def test_another_providers_key_under_the_right_name_is_refused(
    here: Office, there: Provided, capsys: pytest.CaptureFixture[str]
) -> None:
    await there.world(claims=NURSE, signed_by="foreign")

    await refused(here)

    assert "the signature is not the provider's" in said(capsys)
