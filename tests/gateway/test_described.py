"""The API does what it says of itself, whatever an administrator asks; if not, it is seen."""

from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import pytest
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from deploy.runtime.services import OneDatabase, free_port
from gateway.api import access
from gateway.api.door import Door
from gateway.api.problems import ALWAYS
from gateway.api.rights import ANYONE, RIGHTS, SIGNED_IN, Right
from gateway.web.board import pages
from tests.gateway.asked import asker
from tests.gateway.described import held_to_its_word, serving, shown
from tests.gateway.office import Office, office

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    listen = f"127.0.0.1:{free_port()}"
    async with office(fresh_database, tmp_path, pages, http_listen=listen) as made:
        yield made


@pytest.mark.long  # a planner asks in the usual suite (test_described_roles.py)
async def test_whatever_an_administrator_asks_the_api_does_what_it_says_of_itself(
    here: Office,
) -> None:
    asks = await asker(here, "administrator")
    async with serving(here, pages) as address:
        tally = await held_to_its_word(here, asks, address, most=3)

    shown(tally, asks.role)


# ---------------------------------------------------------------- an API that breaks its word


class Said(BaseModel):
    number: int


class Wanted(BaseModel):
    number: int


def broken(_door: Door) -> APIRouter:
    """Operations that each do one thing that they do not say."""
    router = APIRouter(prefix="/broken", tags=["broken"], responses=ALWAYS)

    @router.get("/status", response_model=Said)
    async def status() -> Response:
        return JSONResponse({"number": 1}, 418)

    @router.get("/type", response_model=Said)
    async def kind() -> Response:
        return Response("number: 1", media_type="text/yaml")

    @router.get("/shape", response_model=Said)
    async def shape() -> Response:
        return JSONResponse({"number": "one"})

    @router.get("/stumble")
    async def stumble(much: int) -> Said:
        return Said(number=1 // (much - much))

    @router.post("/lax", openapi_extra=_WANTED)
    async def lax(request: Request) -> Said:
        await request.body()
        return Said(number=1)

    @router.post("/strict")
    async def strict(wanted: Wanted) -> Response:
        return JSONResponse({"number": wanted.number}, 400, media_type="application/problem+json")

    @router.get("/open")
    async def unguarded() -> Said:
        return Said(number=1)

    return router


_WANTED = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": Wanted.model_json_schema()}},
    }
}
BROKEN: Mapping[str, tuple[Right, str]] = {
    "GET /broken/status": (SIGNED_IN, "status_code_conformance"),
    "GET /broken/type": (SIGNED_IN, "content_type_conformance"),
    "GET /broken/shape": (SIGNED_IN, "response_schema_conformance"),
    "GET /broken/stumble": (SIGNED_IN, "not_a_server_error"),
    "POST /broken/lax": (SIGNED_IN, "negative_data_rejection"),
    "POST /broken/strict": (SIGNED_IN, "positive_data_acceptance"),
    "GET /broken/open": (ANYONE, "ignored_auth"),
}
"""What each breaks, and the check that must see it."""


async def test_an_api_that_does_not_do_what_it_says_is_seen(
    here: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    rights = {way: right for way, (right, _) in BROKEN.items()}
    monkeypatch.setattr(access, "RIGHTS", {**RIGHTS, **rights})
    asks = await asker(here, "administrator")
    async with serving(here, broken) as address:
        tally = await held_to_its_word(here, asks, address, most=5, only=[*BROKEN])

    seen = {tuple(failure.split(": ")[:2]) for failure in tally.failures}
    assert {(way, check) for way, (_, check) in BROKEN.items()} <= seen
    with pytest.raises(AssertionError, match="stumble"):
        shown(tally, asks.role)
