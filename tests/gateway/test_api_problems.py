"""Every error is a problem document, and nothing that is sent makes the gateway stumble."""

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote
from uuid import UUID

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.runtime.services import Database, OneDatabase
from gateway.api import access
from gateway.api.app import build, described
from gateway.api.desk import Desk
from gateway.api.rights import RIGHTS
from gateway.store.migrate import migrate
from gateway.web.board import pages
from tests.gateway.office import Office, office

PROBLEM = "application/problem+json"


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path, pages) as made:
        yield made


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nowhere", None, 404),
        ("DELETE", "/alerts", None, 405),
        ("GET", "/alerts/not-an-id", None, 422),
        ("GET", "/alerts?limit=0", None, 422),
        ("POST", "/devices", b"{", 422),
        ("POST", "/devices", b"[]", 422),
        ("POST", "/devices", b'{"address":"\xff"}', 400),
        ("POST", "/devices", b"[" * 60_000, 400),
        ("POST", "/devices", b" " * 70_000, 413),
        ("POST", "/board/alerts/00000000-0000-0000-0000-000000000000/take", b" " * 70_000, 413),
        ("GET", "/alerts/", None, 404),
    ],
)
async def test_every_error_is_a_problem_document(
    here: Office, method: str, path: str, body: bytes | None, status: int
) -> None:
    planner = await here.as_("planner")

    answer = await planner.request(
        method, path, content=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["status"] == status
    assert answer.json()["title"]
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'self'" in answer.headers["content-security-policy"]


async def test_who_asks_in_a_way_that_is_not_there_is_told_every_way_that_is(here: Office) -> None:
    answer = await (await here.as_("planner")).request("OPTIONS", "/districts")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize("at", [1_750_000_000, "1750000001", "0026-03-02T20:00:00Z"])
async def test_a_number_or_another_century_is_no_time(here: Office, at: object) -> None:
    planner = await here.as_("planner")

    answer = await planner.post(f"/placements/{UUID(int=1)}/end", json={"at": at})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/at"


async def test_a_body_that_does_not_tell_its_length_is_counted(here: Office) -> None:
    async def endless() -> AsyncGenerator[bytes]:
        while True:
            yield b" " * 1000

    answer = await (await here.as_("planner")).post("/devices", content=endless())

    assert answer.status_code == 413
    assert answer.headers["content-type"] == PROBLEM


async def test_what_is_wrong_is_pointed_at_and_not_repeated(here: Office) -> None:
    planner = await here.as_("planner")
    plan = {"slots": [{"slot": 0, "at": "25:00", "window_minutes": 60}]}

    answer = await planner.put(
        f"/placements/{UUID(int=1)}/dose-plan", json=plan, headers={"If-Match": "*"}
    )
    query = await planner.get("/alerts", params={"limit": 1000})
    secret = await planner.post("/devices", json={"address": "x", "key": "my secret key"})

    assert answer.json()["errors"][0]["pointer"] == "#/slots/0/at"
    assert query.json()["errors"][0]["parameter"] == "limit"
    assert "my secret key" not in secret.text


async def test_a_stumble_of_ours_tells_nothing_of_the_inside(
    here: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    @here.desk_app.get("/stumble")
    async def stumble() -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(access, "RIGHTS", {"GET /stumble": RIGHTS["GET /healthz"]})
    transport = httpx2.ASGITransport(app=here.app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.get("/stumble")

    assert answer.status_code == 500
    assert answer.headers["content-type"] == PROBLEM
    assert "hunter2" not in answer.text


@pytest.mark.slow
async def test_without_its_database_the_gateway_says_so(tmp_path: Path) -> None:
    database = Database.start(tmp_path / "database")
    try:
        await migrate(database.dsn())
        async with office(database.one(), tmp_path) as here:
            carer = await here.as_("staff")
            assert (await carer.get("/alerts")).status_code == 200
            database.kill()
            away, alive = await carer.get("/alerts"), await carer.get("/healthz")
            here.client_address = "127.0.0.1"
            ready = await here.client(base_url="http://127.0.0.1:8080").get("/readyz")
            database.restart()
            back = await carer.get("/alerts")
    finally:
        database.stop()

    assert (away.status_code, alive.status_code, ready.status_code) == (503, 200, 503)
    assert away.json()["type"] == "/problems/database-down"
    assert away.headers["retry-after"] == "2"
    assert ready.json()["parts"]["database"] == "it does not answer"
    assert back.status_code == 200


# ---------------------------------------------------------------- whatever is sent

_TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "",
            "\0",
            "a\0b",
            "null",
            "-1",
            "9999999999999999999999",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59+14:00",
            "2026-03-29T02:30:00",
            "NaN",
            "open",
            "call_pressed",
            "' OR 1=1 --",
            "00000000-0000-0000-0000-000000000000",
            "Europe/Copenhagen",
            "A4:C1:38:00:00:01",
            "08:00",
            "🙂" * 20,
        ]
    ),
)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=6,
)


def operations(document: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if path != "/stream"
    ]


def sensible(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Bodies of the right shape with junk in places, so that the junk gets past the first check."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
    if "properties" in schema:
        known: dict[str, st.SearchStrategy[Any]] = {
            name: sensible(part, schemas) | _VALUES for name, part in schema["properties"].items()
        }
        return st.fixed_dictionaries({}, optional=known)
    if "anyOf" in schema:
        return st.one_of([sensible(part, schemas) for part in schema["anyOf"]])
    return _plain(schema, schemas)


def _plain(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("type") == "array":
        return st.lists(sensible(schema["items"], schemas), max_size=3)
    if schema.get("format") == "uuid":
        return st.uuids().map(str)
    return st.integers(-1, 2**65) if schema.get("type") == "integer" else _TEXTS


DOCUMENT = described(build(cast("Desk", None)))  # routes alone: nothing is opened
OURS = ("alert", "device", "citizen", "nothing")
"""Stand in the address for ids that the database holds, or does not."""


@dataclass(frozen=True)
class Asked:
    """One request, and the answers that the document names for it."""

    method: str
    path: str
    query: list[tuple[str, str | int | float | bool | None]]
    body: bytes | None
    answers: frozenset[str]


@st.composite
def requests(draw: st.DrawFn) -> Asked:
    method, path, operation = draw(st.sampled_from(operations(DOCUMENT)))
    schemas = DOCUMENT["components"]["schemas"]
    query: list[tuple[str, str | int | float | bool | None]] = []
    for parameter in operation.get("parameters", []):
        name, junk = parameter["name"], sensible(parameter["schema"], schemas) | _TEXTS
        if name == "public":
            path = path.replace("{public}", f"<{draw(st.sampled_from(OURS))}>")
        elif parameter["in"] == "path":
            path = path.replace(f"{{{name}}}", quote(str(draw(junk)), safe="") or "x")
        elif draw(st.booleans()):
            query.append((name, str(draw(junk))))
    told = operation.get("requestBody", {}).get("content", {}).get("application/json")
    body = draw(sensible(told["schema"], schemas) | _VALUES) if told else None
    return Asked(
        method=method,
        path=path,
        query=query,
        body=json.dumps(body).encode() if told else None,
        answers=frozenset(operation["responses"]) | {"404", "405"},
    )


@pytest.mark.slow
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(asked=requests())
async def test_whatever_is_sent_the_answer_is_one_that_the_document_names(
    asked: Asked, world: tuple[httpx2.AsyncClient, Mapping[str, str]]
) -> None:
    caller, ids = world
    path = asked.path
    for name, public in ids.items():
        path = path.replace(f"<{name}>", public)

    answer = await caller.request(
        asked.method,
        path,
        params=asked.query,
        content=asked.body,
        headers={"Content-Type": "application/json"},
    )

    assert str(answer.status_code) in asked.answers
    if answer.status_code >= 400 and path != "/readyz":  # whose 503 is its answer
        assert answer.headers["content-type"] == PROBLEM


@pytest.fixture
async def world(here: Office) -> tuple[httpx2.AsyncClient, Mapping[str, str]]:
    flat = await here.flat()
    ids = {
        "alert": str(await here.alert(flat)),
        "device": str((await here.device())["public"]),
        "citizen": str(flat.citizen_public),
        "nothing": str(UUID(int=0)),
    }
    return await here.as_("planner"), ids


async def test_the_document_tells_every_route_for_programs_and_its_errors(here: Office) -> None:
    document = (await here.client().get("/openapi.json")).json()

    told = {f"{method.upper()} {path}" for method, path, _ in operations(document)}
    screens = {"GET /", "GET /login", "POST /login", "POST /logout", "GET /static/{name}"}
    screens |= {"GET /login/provider", "GET /login/back", "GET /hvem-har-set", "GET /rettigheder"}
    rooms = {"board", "konto", "begynd", "bokse", "login-roller", "noedaabning", "noegler"}
    rooms |= {"opsaetning"}
    quiet = {way for way in RIGHTS if way.split("/")[1] in rooms} | screens
    assert told == set(RIGHTS) - quiet - {"GET /openapi.json", "GET /stream"}
    assert "/stream" in document["paths"]
    for method, path, operation in operations(document):
        if not RIGHTS[f"{method.upper()} {path}"].anyone:
            assert {"401", "403", "422", "503"} <= set(operation["responses"]), path
        for parameter in operation.get("parameters", []):
            assert bounded(parameter["schema"]), f"{path}: {parameter['name']} has no bounds"


def bounded(schema: Mapping[str, Any]) -> bool:
    """Whether a parameter says what it may be, so that testers and clients need not guess."""
    if "anyOf" in schema:
        return all(bounded(part) for part in schema["anyOf"])
    if schema["type"] == "integer":
        return "minimum" in schema and "maximum" in schema
    if schema["type"] == "array":
        return bounded(schema["items"])
    said = {"format", "pattern", "enum", "const", "maxLength"} & set(schema)
    return schema["type"] in {"null", "boolean"} or bool(said)
