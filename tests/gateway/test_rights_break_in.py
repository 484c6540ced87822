"""Every operation, every role, somebody else's thing: refused alike, as if it were not there."""

import json
import re
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from deploy.runtime.services import OneDatabase
from gateway.api.app import described
from gateway.api.rights import RIGHTS
from gateway.store.caller import ROLES
from gateway.web.board import pages
from tests.gateway.office import Office, office
from tests.gateway.strangers import Place, place

pytestmark = pytest.mark.slow

Json = Any
THING = "00000000-0000-4000-8000-000000000000"
"""Stands for the id of what is asked for, in addresses and bodies."""
DISTRICT = "the district's name"
OFTEN = 10
"""Operations asked with one key: how often one may ask is not the question here."""
_PLAN = {"slots": [{"slot": 0, "at": "08:00", "window_minutes": 60, "grace_minutes": 15}]}
BODIES: Mapping[str, Json] = {
    "POST /homes": {"district": DISTRICT, "citizens": [{"name": "Bo"}]},
    "PUT /devices/{public}/key": {"key": "0f" * 16},
    "POST /devices/{public}/placements": {
        "citizen": THING,
        "role": "door",
        "legal_basis": "samtykke",
    },
    "PUT /placements/{public}/dose-plan": _PLAN,
}
"""What an operation is sent; one that is not here is sent what its schema asks for."""
NOT_ASKED = {
    "GET /metrics": "figures of the gateway's own work, another at every time; test_access",
    "GET /stream": "never ends; test_api_stream shows that it tells only of one's own alerts",
}

OPENS_NEXT_DOOR = {
    "POST /emergencies": "what it is for, with a reason and a leader who looks at it afterwards",
}
COLLEAGUES = "people"
"""Not asked about next door: who works in the municipality is no secret there."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method and path of the document; `query` may be given an id, `body` may name one."""

    way: str
    query: str
    body: Json | None

    @property
    def method(self) -> str:
        return self.way.split(" ")[0]

    @property
    def path(self) -> str:
        return self.way.split(" ")[1]

    @property
    def kind(self) -> str:
        return self.path.split("/")[1]


def operations(document: Json) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            way = f"{method.upper()} {path}"
            query = [
                each["name"]
                for each in said.get("parameters", ())
                if each["in"] == "query" and '"uuid"' in json.dumps(each["schema"])
            ]
            body = BODIES.get(way, _body(document, said))
            for name in query or [""]:  # one at a time: some may not be asked for together
                yield Operation(way=way, query=name, body=body)


def _body(document: Json, said: Json) -> Json | None:
    content = said.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    return None if schema is None else _example(document, schema)


def _example(document: Json, schema: Json) -> Json:
    """The least that the schema allows; every id in it is THING."""
    for name in ("anyOf", "oneOf", "allOf"):
        if name in schema:
            return _example(document, schema[name][0])
    if "$ref" in schema:
        return _example(document, document["components"]["schemas"][schema["$ref"].split("/")[-1]])
    return schema["const"] if "const" in schema else _of_type(document, schema)


def _of_type(document: Json, schema: Json) -> Json:
    match schema:
        case {"enum": [first, *_]}:
            return first
        case {"type": "object"}:
            wanted = schema.get("required", ())
            return {
                name: _example(document, each)
                for name, each in schema.get("properties", {}).items()
                if name in wanted or '"uuid"' in json.dumps(each)
            }
        case {"type": "array"}:
            return [_example(document, schema["items"])] * schema.get("minItems", 0)
        case {"type": "string"}:
            return _KNOWN.get(schema.get("format", ""), "x" * max(schema.get("minLength", 1), 12))
        case _:
            return schema.get("minimum", 1)


_KNOWN: Mapping[str, str] = {
    "uuid": THING,
    "date-time": "2026-03-02T20:00:00Z",
    "date": "2026-03-02",
}


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path, pages) as made:
        yield made


async def ask(
    program: httpx2.AsyncClient, operation: Operation, thing: UUID, district: str
) -> tuple[int, str]:
    """The answer's status and bytes, with the id that was asked for taken out of them."""

    def filled(text: str) -> str:
        return text.replace(THING, str(thing)).replace(DISTRICT, district)

    path = operation.path.replace("{public}", str(thing)).replace("{move}", "take")
    path = path.replace("{role}", "staff")
    path = re.sub(r"\{\w+\}", str(thing), path)
    answer = await program.request(
        operation.method,
        path,
        params={operation.query: str(thing)} if operation.query else {},
        headers={} if operation.method == "GET" else {"If-Match": '"1"'},
        **(
            {}
            if operation.body is None
            else {"json": json.loads(filled(json.dumps(operation.body)))}
        ),
    )
    return answer.status_code, answer.text.replace(str(thing), "…").replace(district, "…")


async def test_what_is_somebody_elses_is_refused_as_if_it_were_not_there(here: Office) -> None:
    await here.login("anna", within="Kalundborg")
    await here.login("bo", within="Odense")
    next_door = await place(here, within="Kalundborg", district="Syd", name="Ingrid")
    elsewhere = await place(here, within="Odense", district="Midt", name="Gudrun")
    await here.flat(within="Kalundborg", district="Nord", name="Bent")
    counted: Counter[str] = Counter()
    told: list[str] = []

    for role in ROLES:
        program = await here.as_(role, within="Kalundborg", districts=["Nord"])
        for number, operation in enumerate(operations(described(here.desk_app))):
            assert operation.way in RIGHTS, f"{operation.way} has no stated right"
            if operation.way in NOT_ASKED or RIGHTS[operation.way].anyone:
                continue
            if number % OFTEN == 0:
                program = await here.as_(role, within="Kalundborg", districts=["Nord"])
            for foreign in (next_door, elsewhere):
                if foreign is next_door and operation.way in OPENS_NEXT_DOOR:
                    continue
                if foreign is next_door and operation.kind == COLLEAGUES:
                    foreign = replace(foreign, ids=without(foreign.ids, COLLEAGUES))  # noqa: PLW2901
                told += await differences(program, operation, foreign, counted)

    print(f"\n{sum(counted.values())} requests: {dict(counted)}")  # noqa: T201 - the count to show
    assert not told, "\n".join(told)
    assert {"imports", "teams", COLLEAGUES} <= elsewhere.ids.keys()
    assert counted["not found"] > 400


def without(ids: Mapping[str, UUID], kind: str) -> Mapping[str, UUID]:
    return {name: one for name, one in ids.items() if name != kind}


async def differences(
    program: httpx2.AsyncClient, operation: Operation, foreign: Place, counted: Counter[str]
) -> list[str]:
    """What tells that the foreign thing exists: another answer than for one that does not."""
    found: list[str] = []
    kinds = [operation.kind] if operation.kind in foreign.ids else []
    for kind in {*kinds, "citizens", "districts"} if _takes(operation) else {"citizens"}:
        thing = foreign.ids.get(kind, uuid4())
        there = await ask(program, operation, thing, foreign.district)
        # the id beside it: a place to go on from in a list stays the same place
        not_there = await ask(program, operation, UUID(int=thing.int ^ 1), "Intetsteds")
        name = f"{operation.way} {operation.query} {kind} of {foreign.district}"
        if _takes(operation) and there != not_there:
            found.append(f"{name}: {there} is not {not_there}")
        if any(mark in there[1] for mark in foreign.marks):
            found.append(f"{name} shows what is not the caller's")
        if _takes(operation) and there[0] == 422:
            found.append(f"{name} was not asked rightly, so it shows nothing: {there}")
        if there[0] >= 500:
            found.append(f"{name}: {there}")
        counted[_word(there[0])] += 1
    return found


def _takes(operation: Operation) -> bool:
    """Whether a thing can be named in it at all."""
    body = json.dumps(operation.body)
    return "{" in operation.path or bool(operation.query) or THING in body or DISTRICT in body


def _word(status: int) -> str:
    return {403: "forbidden", 404: "not found", 422: "not valid"}.get(status, str(status))
