"""Every route of a citizen's data leaves a row in the access log; a new one must be named here."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from adapters.observation import Kind
from deploy.runtime.services import OneDatabase
from gateway.api.app import described
from gateway.api.rights import RIGHTS
from gateway.store.caller import Role
from gateway.web.board import pages
from tests.gateway.office import PASSWORD, START, Flat, Office, office
from tests.gateway.unlogged import NOT_LOGGED

CITIZENS = frozenset(
    {"alert", "observation", "identity", "citizen", "home", "placement", "dose_plan"}
)
"""Classes whose routes may never stand in NOT_LOGGED."""


@dataclass(kw_only=True)
class Scene:
    """A citizen with everything that can be asked for, and people who ask."""

    here: Office
    flat: Flat
    alert: UUID
    device: UUID
    spare: UUID
    placement: UUID
    asking: dict[str, httpx2.AsyncClient] = field(default_factory=dict[str, httpx2.AsyncClient])

    async def as_(self, role: Role) -> httpx2.AsyncClient:
        if role not in self.asking:
            self.asking[role] = await self.here.as_(role)
        return self.asking[role]

    async def browser(self) -> httpx2.AsyncClient:
        if "browser" not in self.asking:
            await self.here.login("anna", "staff")
            made = self.here.client(headers={"Sec-Fetch-Site": "same-origin"})
            await made.post("/login", data={"login": "anna", "password": PASSWORD})
            self.asking["browser"] = made
        return self.asking["browser"]


@dataclass(frozen=True, kw_only=True)
class Ask:
    """How a route is asked so that it answers with the citizen's data, or changes them."""

    by: Role | None
    path: str
    body: Mapping[str, Any] | None = None
    of_citizen: bool = True
    form: bool = False
    csv: str = ""
    data: Mapping[str, str] | None = None
    both: bool = False


LISTS = frozenset({"/stream", "/alerts", "/homes", "/devices", "/citizens", "/bokse"})
"""Whoever asks for one of these gets their own, which may be none."""
EMERGENCY = {"citizen": "{citizen}", "reason": "Vagten i Syd svarer ikke"}
SAID = {"name": "Inger Holm", "address": "Skovvej 4"}
PREPARED = ("{imported}", "{command}", "{walk}", "emergenc", "noedaabning")
"""Asked for what was made just before by somebody who may, which leaves rows of its own."""
FILE = "distrikt,bolig,borger,adresse\nNord,{home},{citizen},Havnegade 8\n"
BOXES = "mærkat,bolig\nPL-1,{home}\n"
LOGGED: Mapping[str, Ask] = {
    "GET /": Ask(by=None, path="/"),
    "GET /board/alerts": Ask(by=None, path="/board/alerts"),
    "GET /board/alerts/{public}/close": Ask(by=None, path="/board/alerts/{alert}/close"),
    "POST /board/alerts/{public}/{move}": Ask(
        by=None, path="/board/alerts/{alert}/take", form=True
    ),
    "GET /alerts": Ask(by="staff", path="/alerts"),
    "GET /alerts/{public}": Ask(by="staff", path="/alerts/{alert}"),
    "POST /alerts/{public}/{move}": Ask(by="staff", path="/alerts/{alert}/take"),
    "GET /stream": Ask(by="staff", path="/stream", of_citizen=False),
    "POST /emergencies": Ask(by="staff", path="/emergencies", body=EMERGENCY),
    "GET /emergencies": Ask(by="staff", path="/emergencies?opened={emergency}"),
    "POST /emergencies/{public}/follow-up": Ask(
        by="leader",
        path="/emergencies/{emergency}/follow-up",
        body={"text": "Talt med Anna om det"},
    ),
    "GET /log": Ask(by="auditor", path="/log?citizen={citizen}"),
    "GET /hvem-har-set": Ask(by="auditor", path="/hvem-har-set?citizen={citizen}"),
    "GET /noedaabning": Ask(by="staff", path="/noedaabning?opened={emergency}"),
    "POST /noedaabning": Ask(
        by="staff",
        path="/noedaabning",
        data={**SAID, "reason": "Vagten i Syd svarer ikke"},
        of_citizen=False,  # whom one sees anyway; an opening has a row of its own
    ),
    "POST /noedaabning/{public}/follow-up": Ask(
        by="leader",
        path="/noedaabning/{emergency}/follow-up",
        data={"text": "Talt med Anna om det"},
    ),
    "GET /bokse": Ask(by="technician", path="/bokse"),
    "GET /bokse/{name}": Ask(by="technician", path="/bokse/{box}"),
    "POST /bokse/{name}/luften": Ask(
        by="technician", path="/bokse/{box}/luften", data={"any": "thing"}
    ),
    "GET /bokse/{name}/luften/{command}": Ask(
        by="technician", path="/bokse/{box}/luften/{command}"
    ),
    "POST /edges/{edge}/discover": Ask(by="technician", path="/edges/{box}/discover", body={}),
    "POST /edges/{edge}/commands": Ask(
        by="technician", path="/edges/{box}/commands", body={"do": "identify"}
    ),
    "POST /bokse/{name}/spoerg": Ask(
        by="technician", path="/bokse/{box}/spoerg", data={"do": "rescan"}
    ),
    "GET /bokse/{name}/svar/{command}": Ask(by="technician", path="/bokse/{box}/svar/{command}"),
    "GET /edges/{edge}/commands/{command}": Ask(
        by="technician", path="/edges/{box}/commands/{command}"
    ),
    "POST /edges/{edge}/walk-tests": Ask(by="technician", path="/edges/{box}/walk-tests", body={}),
    "GET /edges/{edge}/walk-tests": Ask(by="technician", path="/edges/{box}/walk-tests"),
    "GET /edges/{edge}/walk-tests/{test}": Ask(
        by="technician", path="/edges/{box}/walk-tests/{walk}"
    ),
    "POST /edges/{edge}/walk-tests/{test}/end": Ask(
        by="technician", path="/edges/{box}/walk-tests/{walk}/end", body={"remark": "Senere"}
    ),
    "POST /bokse/{name}/proeve": Ask(
        by="technician", path="/bokse/{box}/proeve", data={"any": "thing"}
    ),
    "GET /bokse/{name}/proeve/{test}": Ask(by="technician", path="/bokse/{box}/proeve/{walk}"),
    "POST /bokse/{name}/proeve/{test}/afslut": Ask(
        by="technician",
        path="/bokse/{box}/proeve/{walk}/afslut",
        data={"bemaerkning": "Senere"},
    ),
    "GET /edges/{edge}/events": Ask(by="technician", path="/edges/{box}/events"),
    "POST /edges": Ask(by="technician", path="/edges", body={"home": "{home}"}),
    "POST /edges/import": Ask(by="technician", path="/edges/import", csv=BOXES),
    "POST /edges/{edge}/code": Ask(by="technician", path="/edges/{box}/code"),
    "POST /edges/{edge}/revoke": Ask(by="technician", path="/edges/{box}/revoke"),
    "POST /edges/{edge}/replace": Ask(by="technician", path="/edges/{box}/replace"),
    "POST /edges/{edge}/move": Ask(
        by="technician", path="/edges/{box}/move", body={"home": "{home}"}
    ),
    "GET /homes": Ask(by="planner", path="/homes"),
    "POST /homes": Ask(
        by="planner", path="/homes", body={"district": "Nord", "citizens": [{"name": "Ny Borger"}]}
    ),
    "GET /homes/{public}": Ask(by="planner", path="/homes/{home}"),
    "PUT /homes/{public}": Ask(by="planner", path="/homes/{home}", body={"district": "{district}"}),
    "GET /citizens": Ask(by="planner", path="/citizens"),
    "POST /citizens": Ask(by="planner", path="/citizens", body={"home": "{home}", "name": "Bo"}),
    "GET /citizens/{public}": Ask(by="staff", path="/citizens/{citizen}"),
    "PUT /citizens/{public}": Ask(
        by="planner", path="/citizens/{citizen}", body={"home": "{home}", "name": "Bo"}
    ),
    "DELETE /citizens/{public}": Ask(by="planner", path="/citizens/{unplaced}"),
    "DELETE /homes/{public}": Ask(by="planner", path="/homes/{empty}", of_citizen=False),
    "POST /imports": Ask(by="planner", path="/imports", csv=FILE),
    "GET /imports/{public}": Ask(by="planner", path="/imports/{imported}"),
    "POST /imports/{public}/undo": Ask(by="planner", path="/imports/{imported}/undo"),
    "GET /opsaetning": Ask(by="planner", path="/opsaetning"),
    "POST /opsaetning/borger": Ask(
        by="planner",
        path="/opsaetning/borger",
        data={"name": "Bo", "address": "Skovvej 6", "district": "{district}"},
    ),
    "POST /opsaetning/boks": Ask(by="planner", path="/opsaetning/boks", data={"home": "{home}"}),
    "POST /opsaetning/hjemmel": Ask(
        by="planner",
        path="/opsaetning/hjemmel",
        data={"placement": "{placement}", "basis": "samtykke"},
    ),
    "POST /opsaetning/enhed": Ask(
        by="planner",
        path="/opsaetning/enhed",
        data={
            "citizen": "{citizen}",
            "device": "A4:C1:38:0F:0F:0F",
            "role": "dør",
            "basis": "samtykke",
        },
    ),
    "POST /opsaetning/fil": Ask(by="planner", path="/opsaetning/fil", data={"content": "{packed}"}),
    "POST /opsaetning/fortryd": Ask(
        by="planner", path="/opsaetning/fortryd", data={"import": "{imported}"}
    ),
    "GET /register.csv": Ask(by="planner", path="/register.csv"),
    "GET /devices": Ask(by="planner", path="/devices"),
    "GET /devices/{public}": Ask(by="technician", path="/devices/{device}"),
    "PUT /devices/{public}/key": Ask(
        by="technician", path="/devices/{device}/key", body={"key": "00" * 16}
    ),
    "GET /devices/{public}/observations": Ask(by="staff", path="/devices/{device}/observations"),
    "POST /devices/{public}/placements": Ask(
        by="planner",
        path="/devices/{spare}/placements",
        body={"citizen": "{citizen}", "role": "door", "room": "Entré", "legal_basis": "sel-128a"},
    ),
    "PUT /devices/{public}": Ask(
        by="technician", path="/devices/{device}", body={"model": "bthome"}
    ),
    "GET /placements/{public}": Ask(by="technician", path="/placements/{placement}"),
    "PUT /placements/{public}": Ask(
        by="technician",
        path="/placements/{placement}",
        body={"room": "Entré", "legal_basis": "samtykke"},
    ),
    "POST /placements/{public}/end": Ask(by="planner", path="/placements/{placement}/end", body={}),
    "POST /placements/{public}/repair": Ask(
        by="planner",
        path="/placements/{placement}/repair",
        body={"citizen": "{neighbour}", "reason": "byttet om ved opsætningen"},
        both=True,
    ),
    "PUT /placements/{public}/dose-plan": Ask(
        by="planner",
        path="/placements/{placement}/dose-plan",
        body={"slots": [{"slot": 1, "at": "08:00", "window_minutes": 60, "grace_minutes": 0}]},
    ),
}
"""Each route of a citizen's data, and how it is asked here."""


@pytest.fixture
async def scene(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Scene]:
    async with office(fresh_database, tmp_path, pages) as here:
        flat = await here.flat()
        device, spare = await here.device(), await here.device()
        placement = await here.owner.fetchval(
            'INSERT INTO placement (municipality, device, citizen, role, room, "from") '
            "VALUES ($1, $2, $3, 'dispenser', 'Køkken', $4) RETURNING public",
            flat.municipality,
            device["id"],
            flat.citizen,
            START - timedelta(days=1),
        )
        await here.owner.execute(
            "INSERT INTO observation VALUES ($1, $2, $3, $3, 0, 1.0, NULL, 0, 1)",
            device["id"],
            int(Kind.DOOR),
            START - timedelta(hours=1),
        )
        yield Scene(
            here=here,
            flat=flat,
            alert=await here.alert(flat),
            device=device["public"],
            spare=spare["public"],
            placement=placement,
        )


def ways(scene: Scene) -> set[str]:
    """Every operation of the OpenAPI document, and the pages, which are not in it."""
    paths: Mapping[str, Mapping[str, Any]] = described(scene.here.desk_app)["paths"]
    told = {f"{method.upper()} {path}" for path, them in paths.items() for method in them}
    return told | set(RIGHTS)


async def test_every_route_is_either_logged_or_nobodys(scene: Scene) -> None:
    assert ways(scene) - set(LOGGED) == {way for way in NOT_LOGGED if way in ways(scene)}
    assert set(LOGGED) <= ways(scene)


async def test_a_new_route_that_nobody_named_is_noticed(scene: Scene) -> None:
    @scene.here.desk_app.get("/citizens/{public}/pulse")
    async def pulse(public: str) -> str:
        return public

    assert ways(scene) - set(LOGGED) - set(NOT_LOGGED) == {"GET /citizens/{public}/pulse"}


def test_no_route_of_a_citizens_data_is_called_nobodys() -> None:
    for way in NOT_LOGGED:
        if way in RIGHTS and way != "POST /devices":
            assert not CITIZENS & {kind for kind, _ in RIGHTS[way].needs}, way


@pytest.mark.parametrize("way", LOGGED)
async def test_a_route_of_a_citizens_data_leaves_a_row(scene: Scene, way: str) -> None:
    ask, method = LOGGED[way], way.partition(" ")[0]
    client = await (scene.as_(ask.by) if ask.by else scene.browser())
    entered = await scene.here.owner.fetchval("SELECT COALESCE(max(id), 0) FROM access_log")

    status = await asked(scene, client, method, ask)

    rows = await scene.here.owner.fetch("SELECT * FROM access_log WHERE id > $1", entered)
    assert status < 400, way
    assert rows, f"{way} leaves no row"
    for row in rows:
        assert all(row[column] for column in ("person", "role", "what", "purpose")), dict(row)
        assert row["at"] == START
    whose = {row["citizen"] for row in rows}
    new = await scene.here.owner.fetchval("SELECT last_value FROM citizen_id_seq")
    if ask.both:
        assert whose == {scene.flat.citizen, new}, way
    else:
        assert whose == ({new} if ask.of_citizen else {None}), way


async def names_for(scene: Scene, ask: Ask) -> dict[str, Any]:
    """What stands in the address and the body of what is asked, made first where it is missing."""
    names: dict[str, Any] = {
        "alert": scene.alert,
        "device": scene.device,
        "spare": scene.spare,
        "placement": scene.placement,
        "citizen": scene.flat.citizen_public,
        "home": scene.flat.home_public,
        "district": await scene.here.owner.fetchval("SELECT public FROM district LIMIT 1"),
    }
    if ask.both:
        names["neighbour"] = (await scene.here.flat(name="Bo")).citizen_public
    if "{box}" in ask.path:
        names["box"] = await scene.here.owner.fetchval(
            "INSERT INTO edge (municipality, name, home) "
            "SELECT municipality, 'box-' || gen_random_uuid(), id FROM home RETURNING name"
        )
    if "{command}" in ask.path:
        technician = await scene.as_("technician")
        made = await technician.post(f"/edges/{names['box']}/discover", json={})
        names["command"] = made.json()["id"]
    if "{walk}" in ask.path:
        technician = await scene.as_("technician")
        made = await technician.post(f"/edges/{names['box']}/walk-tests", json={})
        names["walk"] = made.json()["id"]
    if "{unplaced}" in ask.path:
        names["unplaced"] = (await scene.here.flat(name="Bo")).citizen_public
    if "{empty}" in ask.path:
        names["empty"] = await scene.here.owner.fetchval(
            "INSERT INTO home (municipality, district) SELECT municipality, id FROM district "
            "RETURNING public"
        )
    if "{imported}" in ask.path or "{imported}" in str(ask.data):
        planner, said = await scene.as_("planner"), FILE.format(**names)
        done = await planner.post("/imports", content=said.encode())
        names["imported"] = done.json()["id"]
    if "{emergency}" in ask.path:
        staff, wanted = await scene.as_("staff"), {**EMERGENCY, "citizen": str(names["citizen"])}
        names["emergency"] = (await staff.post("/emergencies", json=wanted)).json()["id"]
    return names


async def asked(scene: Scene, client: httpx2.AsyncClient, method: str, ask: Ask) -> int:
    names = await names_for(scene, ask)
    path = ask.path.format(**names)
    if path == "/stream":
        return await opened(client, path)
    if ask.form:
        page = await client.get("/")
        token = page.text.split('name="csrf" value="')[1].split('"')[0]
        answer = await client.post(path, data={"csrf": token})
    elif ask.data:
        packed = base64.b64encode(FILE.format(**names).encode()).decode()
        sent = {name: value.format(**names, packed=packed) for name, value in ask.data.items()}
        answer = await client.request(method, path, data=sent)
    elif ask.csv:
        answer = await client.request(method, path, content=ask.csv.format(**names).encode())
    else:
        body = ask.body and {
            key: value.format(**names) if isinstance(value, str) else value
            for key, value in ask.body.items()
        }
        anyhow = {"If-Match": "*"}
        answer = await client.request(method, path, json=body, headers=anyhow)
    return answer.status_code


async def opened(client: httpx2.AsyncClient, path: str) -> int:
    """Opens a stream and leaves: it does not end by itself."""
    asking = asyncio.create_task(client.get(path))
    await asyncio.sleep(0.5)
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    return 200


async def test_a_refused_request_changes_nothing_in_the_log(scene: Scene) -> None:
    stranger = await scene.here.as_("staff", within="Næstved")

    for way, ask in LOGGED.items():
        if (
            ask.by
            and ask.path not in LISTS
            and not any(name in f"{ask.path} {ask.data}" for name in PREPARED)
        ):
            status = await asked(scene, stranger, way.partition(" ")[0], ask)
            assert status in {403, 404}, way

    assert await scene.here.owner.fetchval("SELECT count(*) FROM access_log") == 0
