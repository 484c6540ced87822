"""Who asks the API all that its description allows, and what there is to ask for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

import schemathesis
from hypothesis import strategies as st

from gateway.api.rights import RIGHTS
from gateway.api.texts import ZONE_FORMAT
from gateway.store.caller import Role
from tests.gateway.office import Office
from tests.gateway.registers import brought, file, row
from tests.gateway.strangers import place

Json = Any
OFTEN = 0.9
"""How often an id is one that is there."""

_TABLES: Mapping[str, str] = {
    "alerts": "alert",
    "citizens": "citizen",
    "devices": "device",
    "districts": "district",
    "emergencies": "emergency",
    "homes": "home",
    "imports": "import",
    "keys": "api_key",
    "people": "person",
    "placements": "placement",
    "sign-in": "oidc_mapping",
    "teams": "team",
}
"""The first word of a path, and the table that holds what its id names."""

_NAMED: Mapping[str, Mapping[str, str]] = {
    "POST /citizens": {"body.home": "homes"},
    "PUT /citizens/{public}": {"body.home": "homes"},
    "POST /teams": {"body.district": "districts"},
    "PUT /teams/{public}": {"body.district": "districts"},
    "PUT /homes/{public}": {"body.district": "districts"},
    "POST /homes": {"body.district": "names"},
    "POST /keys": {"body.districts[*]": "names"},
    "POST /sign-in/mapping": {"body.districts[*]": "names"},
    "POST /placements/{public}/repair": {"body.citizen": "citizens"},
    "POST /emergencies": {"body.citizen": "citizens"},
    "POST /edges": {"body.home": "homes"},
    "POST /edges/{edge}/move": {"body.home": "homes"},
    "GET /log": {"query.citizen": "citizens", "query.person": "me"},
    "POST /devices/{public}/placements": {"body.citizen": "citizens", "path.public": "depot"},
    "POST /imports/{public}/undo": {"path.public": "undoable"},
    "DELETE /citizens/{public}": {"path.public": "unused citizen"},
    "DELETE /districts/{public}": {"path.public": "unused district"},
    "DELETE /homes/{public}": {"path.public": "unused home"},
    "DELETE /people/{public}": {"path.public": "unused person"},
    "DELETE /teams/{public}": {"path.public": "unused team"},
}
"""What else of an operation names something that is there."""

_OPAQUE = "`after` is opaque: only the `next` of an answer is one"
_DISTRICT = "a district's name may be one that is not there"
_LATER = "no schema knows what time it is: a moment may be later than now"
_CPR = "what looks like a CPR number is refused, and a schema cannot say what does"
_UNREAD = "schemathesis sends a header that may be left out without reading its pattern"
MORE_THAN_A_SCHEMA: Mapping[str, tuple[str, ...]] = {
    "GET /devices/{public}/observations": ("400", _OPAQUE),
    "GET /edges/{edge}/events": ("400", _OPAQUE),
    "POST /edges/{edge}/commands": ("422", "how many seconds it may take depends on what is asked"),
    "GET /log": ("400", "422", _OPAQUE, "and one of `citizen` and `person` is asked for, not both"),
    "POST /edges/import": ("422", "a text may be no CSV file, or have other columns"),
    "POST /imports": ("422", "a text may be no CSV file, or have other columns"),
    "POST /keys": ("422", _DISTRICT),
    "POST /sign-in/mapping": ("422", _DISTRICT),
    "POST /devices/{public}/placements": ("422", _LATER, "and a slot stands in a plan once"),
    "POST /placements/{public}/end": ("400", "422", _LATER, _UNREAD),
    "PUT /placements/{public}/dose-plan": ("422", "a slot stands in a plan once"),
    "POST /homes": ("422", _CPR),
    "PUT /homes/{public}": ("422", _CPR),
    "POST /citizens": ("422", _CPR),
    "PUT /citizens/{public}": ("422", _CPR),
}
"""Where an answer may refuse what fits the schema: with what status, and why."""

_TAKEN = ["2xx", "3xx", "401", "403", "404", "409", "412", "429", "5xx"]
"""Statuses for what fits the schema; 412 as 409: somebody else was there before."""
_CHECKS: Json = {
    "positive_data_acceptance": {"expected-statuses": _TAKEN},
    # 428 says better than 400 what is missing: If-Match (RFC 6585)
    "missing_required_header": {"expected-statuses": ["400", "401", "403", "422", "428"]},
}
_ELSEWHERE = {"X-Forwarded-For": "198.51.100.7"}
"""Asked as through a proxy: this machine itself reads /metrics without a key."""


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who asks, with a key that is theirs, whose id is `own`, and the ids there are to ask for."""

    role: Role
    key: str
    own: str
    ids: Mapping[str, Sequence[str]]


async def asker(here: Office, role: Role) -> Asker:
    """A program with a key of that role, in a municipality with some of everything."""
    await _furnish(here)
    key = await here.key(role)
    [own] = await _ids(here, "SELECT public FROM api_key ORDER BY id DESC LIMIT 1")
    ids = {
        kind: await _ids(here, f"SELECT public FROM {table} WHERE public <> $1 ORDER BY id", own)  # noqa: S608 - our words
        for kind, table in _TABLES.items()
    }
    for number in _UNTOUCHED:  # what they made is in no other list, so it can be taken back
        await brought(here, file(row(number)))
    where, part = await here.municipality(), await here.district()
    more = {
        "depot": await _ids(here, _DEPOT),
        "undoable": await _ids(here, _UNDOABLE, len(_UNTOUCHED)),
        **{kind: await _ids(here, query, where, part) for kind, query in _UNUSED.items()},
        "edges": await _ids(here, "SELECT name AS public FROM edge ORDER BY id"),
        "commands": await _ids(here, "SELECT public FROM command ORDER BY id"),
        "names": ["Nord"],
        "me": ["me"],
        "versions": ["*", '"1"'],
    }
    return Asker(role=role, key=key, own=own, ids={**ids, **more})


_UNTOUCHED = range(11, 15)
_DEPOT = """
    SELECT public FROM device d WHERE NOT EXISTS (SELECT FROM placement WHERE device = d.id)
"""
_UNUSED: Mapping[str, str] = {
    "unused district": """
        INSERT INTO district (municipality, name)
        SELECT $1, concat('Nr. ', n, ' of ', $2::int) FROM generate_series(1, 6) AS n
        RETURNING public
    """,
    "unused team": """
        INSERT INTO team (municipality, district, name)
        SELECT $1, $2, 'Team ' || n FROM generate_series(1, 6) AS n RETURNING public
    """,
    "unused person": """
        INSERT INTO person (municipality, login)
        SELECT $1, concat('nobody', n, $2::int) FROM generate_series(1, 6) AS n RETURNING public
    """,
    "unused citizen": """
        INSERT INTO citizen (municipality, district, home)
        SELECT $1, $2, id FROM home WHERE municipality = $1 ORDER BY id LIMIT 6 RETURNING public
    """,
    "unused home": """
        INSERT INTO home (municipality, district)
        SELECT $1, $2 FROM generate_series(1, 6) RETURNING public
    """,
}
"""Made after the others were counted, so that nothing else touches them and they can go."""
_UNDOABLE = "SELECT public FROM import ORDER BY id DESC LIMIT $1"
_MORE_LINES = """
    INSERT INTO oidc_mapping (municipality, claim, value, role)
    SELECT $1, 'groups', 'group ' || n, 'staff' FROM generate_series(1, 8) AS n
"""


async def _ids(here: Office, query: str, *arguments: object) -> list[str]:
    return [str(one["public"]) for one in await here.owner.fetch(query, *arguments)]


async def _furnish(here: Office) -> None:
    """Some of everything, and several of what is used up by asking."""
    await here.login("anna")
    there = await place(here, within="Kalundborg", district="Nord", name="Ingrid")
    for _ in range(8):
        await here.key("robot")
        await here.alert(there.flat)
        await here.device()
    for number in range(1, 5):
        await brought(here, file(row(number)))
    await here.owner.execute(_MORE_LINES, there.flat.municipality)


def configured(asks: Asker, document: Json, most: int, sparing: Sequence[str]) -> Json:
    """How schemathesis is to ask: every check on, the same at every run."""
    return {
        "seed": 1,
        "auth": {"openapi": {"key": {"bearer": asks.key}}},
        "headers": _ELSEWHERE,
        "request-timeout": 60.0,
        "continue-on-failure": True,
        "generation": {
            "deterministic": True,
            "database": "none",
            "max-examples": most,
            "no-shrink": True,  # one that fails is seen as it was sent: soon, if not small
        },
        "phases": {"coverage": {"unexpected-methods": ["delete", "options", "patch", "put"]}},
        "checks": _CHECKS,
        "dictionaries": {kind: {"values": [*ids]} for kind, ids in asks.ids.items() if ids},
        "operations": [
            _operation(asks, f"{method.upper()} {path}", said, sparing)
            for path, methods in document["paths"].items()
            for method, said in methods.items()
        ],
    }


def _operation(asks: Asker, way: str, said: Json, sparing: Sequence[str]) -> Json:
    named = dict(_NAMED.get(way, {}))
    for parameter in said.get("parameters", ()):
        if parameter["in"] == "path" and parameter["name"] in {"public", "edge"}:
            named.setdefault(f"path.{parameter['name']}", way.split("/")[1])
        elif parameter["name"] == "command":
            named["path.command"] = "commands"
        elif parameter["name"] == "if-match":
            named["header.if-match"] = "versions"
    parameters = {
        name: {"dictionary": kind, "probability": OFTEN}
        for name, kind in named.items()
        if asks.ids.get(kind)
    }
    config: Json = {"include-name": way, "parameters": parameters}
    if way in sparing or not may(
        asks.role, way
    ):  # 403 before anything is read: a few of them are enough
        config["phases"] = {"coverage": {"enabled": False}}
    if way in MORE_THAN_A_SCHEMA:
        statuses = [one for one in MORE_THAN_A_SCHEMA[way] if one.isdigit()]
        config["checks"] = {"positive_data_acceptance": {"expected-statuses": _TAKEN + statuses}}
    if way == "GET /stream":
        config["max-stream-events"] = 1  # it never ends by itself
    return config


def may(role: Role, way: str) -> bool:
    """Whether the role may use that operation."""
    right = RIGHTS.get(way)
    return right is None or right.anyone or role in right.roles


def know_the_formats() -> None:
    """Schemathesis knows neither time zones nor that our times are of this century."""
    schemathesis.openapi.format(ZONE_FORMAT, st.sampled_from(sorted(available_timezones())))
    schemathesis.openapi.format("date-time", _TIMES)


_TIMES = st.one_of(
    st.sampled_from(["2026-03-02T20:00:00Z", "2026-03-02T21:30:00.5+01:00"]),
    st.builds(
        "20{:02}-{:02}-{:02}T{:02}:{:02}:{:02}{}".format,
        st.integers(1, 98),
        st.integers(1, 12),
        st.integers(1, 28),
        st.integers(0, 23),
        st.integers(0, 59),
        st.integers(0, 59),
        st.sampled_from(["Z", "+01:00", "-11:30", ".123456Z"]),
    ),
)
