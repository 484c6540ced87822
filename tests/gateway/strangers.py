"""What somebody else has, and all the ways in which it could be seen by hand-made SQL."""

import contextlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from string import Template
from uuid import NAMESPACE_DNS, UUID, uuid5

from asyncpg.exceptions import InsufficientPrivilegeError, IntegrityConstraintViolationError

from gateway.store.asking import NotAllowed, asking
from gateway.store.caller import ROLES, Caller, Role
from gateway.store.pool import Connection, Pool, Row
from tests.gateway.office import START, Flat, Office

EVERYBODYS = {
    "role_right": "which role may see what: the same for all",
    "authority": "the fingerprint of our authority, which every box is told",
    "oidc_login": "sign-ins on their way to a provider: nobody's yet, known by a random word",
}
"""Relations whose rows are shown to whoever asks, and why."""

OF_THE_MUNICIPALITY = {
    "municipality": "its own name",
    "person": "colleagues",
    "identity.person": "colleagues' names",
    "access": "who has which role: for those who give roles",
    "api_key": "for those who give keys",
    "oidc_mapping": "for those who give roles",
    "break_glass": "for those who give keys",
    "rule": "what is judged, of nobody in particular",
    "rule_version": "as rule",
}
"""Relations that a colleague in another district may be shown rows of, and why."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A flat with one of everything. `ids` by the first word of a path, and the marks to look for.

    `marks` are words that stand only in this place's rows.
    """

    flat: Flat
    district: str
    ids: Mapping[str, UUID]
    marks: Sequence[str]


async def place(here: Office, *, within: str, district: str, name: str) -> Place:
    """A flat with an alert, a box, a dispenser that has spoken, its plan and what went wrong."""
    flat = await here.flat(within=within, district=district, name=name, phone=f"+45 {name}")
    alert = await here.alert(flat, reason=f"Trykket hos {name}")
    device = await here.device(within=within)
    box = str(uuid5(NAMESPACE_DNS, f"{name}.{within}"))  # so that it can be asked for as others are
    placement = await _dispenser(here, flat, device["id"], room=f"Stue {name}")
    words = {
        "m": flat.municipality,
        "district": flat.district,
        "citizen": flat.citizen,
        "device": device["id"],
        "placement": placement["id"],
        "box": box,
        "home": flat.home,
        "alert": alert,
        "now": here.clock.now().isoformat(),
    }
    await here.owner.execute(Template(_ONE_OF_EVERYTHING).substitute(words))
    ids = {
        **await _of_the_box(here, flat.municipality, box),
        "alerts": alert,
        "devices": device["public"],
        "placements": placement["public"],
        "homes": flat.home_public,
        "citizens": flat.citizen_public,
        "edges": UUID(box),
    }
    marks = [str(each) for each in ids.values()]
    ids["people"] = await here.owner.fetchval(  # no mark: of colleagues one is told (below)
        "SELECT public FROM person WHERE municipality = $1 ORDER BY id LIMIT 1", flat.municipality
    )
    return Place(flat=flat, district=district, ids=ids, marks=[*marks, name])


async def _dispenser(here: Office, flat: Flat, device: int, *, room: str) -> Row:
    """The placement's number and id."""
    placed = await here.owner.fetchrow(
        'INSERT INTO placement (municipality, device, citizen, role, room, "from") '
        "VALUES ($1, $2, $3, 'dispenser', $4, $5) RETURNING id, public",
        flat.municipality,
        device,
        flat.citizen,
        room,
        here.clock.now(),
    )
    assert placed is not None
    return placed


async def _of_the_box(here: Office, municipality: int, box: str) -> dict[str, UUID]:
    """The ids of the import and the team that are called after the box."""
    asked = (
        (
            "imports",
            "SELECT public FROM import WHERE municipality = $1 AND digest = $2",
            box.encode(),
        ),
        ("teams", "SELECT public FROM team WHERE municipality = $1 AND name = $2", f"Hold {box}"),
    )
    return {
        name: await here.owner.fetchval(query, municipality, known_by)
        for name, query, known_by in asked
    }


_ONE_OF_EVERYTHING = """
    INSERT INTO edge (municipality, name, home) VALUES ($m, '$box', $home);
    INSERT INTO authority (fingerprint, address, at)
        VALUES (repeat('0', 64), 'gateway.example:8443', '$now') ON CONFLICT DO NOTHING;
    INSERT INTO certificate (municipality, edge, serial, key, issued, renew, expires)
        SELECT $m, id, '0a', sha256('$box'), '$now', '$now', '$now' FROM edge WHERE name = '$box';
    INSERT INTO contact (municipality, edge, "from")
        SELECT $m, id, '$now' FROM edge WHERE name = '$box';
    INSERT INTO edge_card (municipality, edge, at)
        SELECT $m, id, '$now' FROM edge WHERE name = '$box';
    INSERT INTO box_event (municipality, edge, occurred, received, clock, word)
        SELECT $m, id, '$now', '$now', 0, 'radio.silent' FROM edge WHERE name = '$box';
    INSERT INTO command (municipality, public, edge, person, what, seconds, asked, until)
        SELECT $m, '$box', e.id, p.id, 'discover', 30, '$now', '$now' FROM edge e, person p
        WHERE e.name = '$box' AND p.municipality = $m LIMIT 1;
    INSERT INTO walk_test (municipality, edge, home, started, until)
        SELECT $m, id, home, '$now', '$now'::timestamptz + interval '30 minutes'
        FROM edge WHERE name = '$box';
    INSERT INTO walk_device (municipality, test, placement, address, role, room)
        SELECT $m, id, $placement, '', 'call', '' FROM walk_test WHERE home = $home;
    INSERT INTO walk_heard (municipality, test, placement, edge, kind, active, occurred, stored,
                            clock)
        SELECT $m, id, $placement, edge, 7, true, '$now', '$now', 0
        FROM walk_test WHERE home = $home;
    INSERT INTO stream (municipality, uuid, edge, lane, received)
        SELECT $m, gen_random_uuid(), id, 'bulk', '{[1,5)}' FROM edge WHERE name = '$box';
    INSERT INTO quarantine (municipality, topic, device, sequence, reason, detail, reader,
                            first_at, last_at)
        SELECT $m, 't', address, 1, 'unreadable', '', '1', '$now', '$now' FROM device
        WHERE municipality = $m AND id = $device;
    INSERT INTO device_secret (municipality, device, key, given)
        VALUES ($m, $device, 'kkkkkkkkkkkkkkkk', '$now');
    INSERT INTO observation VALUES ($device, 1, '$now', '$now', 0, 1.0, NULL, 0, 1);
    INSERT INTO dose_plan (municipality, placement, version, valid_from, zone)
        VALUES ($m, $placement, 1, '$now', 'Europe/Copenhagen');
    INSERT INTO dose_plan_slot
        SELECT $m, id, 0, '08:00', 60, 15 FROM dose_plan WHERE placement = $placement;
    INSERT INTO deadline (municipality, citizen, due) VALUES ($m, $citizen, '$now');
    INSERT INTO notice (municipality, alert, channel, type, made)
        SELECT $m, id, 'webhook', 'alert', '$now' FROM alert WHERE public = '$alert';
    INSERT INTO alert_move (municipality, alert, move, person, at, before, after)
        SELECT $m, a.id, 'take', p.id, '$now', 'new', 'taken' FROM alert a, person p
        WHERE a.public = '$alert' AND p.municipality = $m LIMIT 1;
    INSERT INTO team (municipality, district, name) VALUES ($m, $district, 'Hold $box');
    INSERT INTO team_member (municipality, team, person)
        SELECT $m, t.id, p.id FROM team t, person p
        WHERE t.name = 'Hold $box' AND p.municipality = $m LIMIT 1;
    INSERT INTO shift (municipality, team, person, "from", "to")
        SELECT $m, t.id, p.id, '$now', '$now' FROM team t, person p
        WHERE t.name = 'Hold $box' AND p.municipality = $m LIMIT 1;
    INSERT INTO access_log (municipality, at, person, role, citizen, what)
        SELECT $m, '$now', id, 'staff', $citizen, 'alert.seen' FROM person
        WHERE municipality = $m LIMIT 1;
    INSERT INTO emergency (municipality, person, role, citizen, district, reason, opened, until)
        SELECT $m, id, 'staff', $citizen, $district, 'Fandt døren åben', '$now', '$now'
        FROM person WHERE municipality = $m LIMIT 1;
    INSERT INTO api_key (municipality, access, hash, expires)
        SELECT $m, id, sha256('key of $box'), '$now' FROM access WHERE municipality = $m LIMIT 1;
    INSERT INTO session (hash, municipality, access, person, created, seen, expires)
        SELECT sha256('$box'), $m, id, person, '$now', '$now', '$now' FROM access
        WHERE municipality = $m LIMIT 1;
    INSERT INTO break_glass (municipality, person, at)
        SELECT $m, id, '$now' FROM person WHERE municipality = $m LIMIT 1;
    INSERT INTO oidc_mapping (municipality, claim, value, role)
        VALUES ($m, 'groups', '$box', 'staff');
    INSERT INTO import (municipality, at, person, digest, rows)
        SELECT $m, '$now', id, '$box', '[]' FROM person WHERE municipality = $m LIMIT 1;
    INSERT INTO import_change (municipality, import, position, line, thing, row, after)
        SELECT $m, id, 1, 1, 'home', $home, '{}' FROM import WHERE municipality = $m;
    INSERT INTO citizen (municipality, district, home) VALUES ($m, $district, $home);
    INSERT INTO placement_repair (municipality, placement, was, became, reason, person, at)
        SELECT $m, $placement, c.id, $citizen, 'Forkert borger', p.id, '$now'
        FROM citizen c, person p
        WHERE c.municipality = $m AND c.home = $home AND c.id <> $citizen AND p.municipality = $m
        LIMIT 1;
    INSERT INTO rule (municipality, name) VALUES ($m, '$box');
    INSERT INTO rule_version (municipality, rule, version, settings, valid_from)
        SELECT $m, id, 1, '{}', '$now' FROM rule WHERE municipality = $m;
"""


@dataclass(frozen=True, kw_only=True)
class Stranger:
    """Somebody to whom the place is nobody's business; None asks without saying for whom."""

    who: Caller | None
    district: int | None = None

    def foreign(self, relation: str, columns: Sequence[str], municipality: int) -> str | None:
        """The rows that must not be shown, as a condition; None: any may be."""
        if relation in EVERYBODYS:
            return None
        if self.who is None:
            return "true"
        if self.district is not None and relation in OF_THE_MUNICIPALITY:
            return None
        if relation == "municipality":
            return f"id = {municipality}"
        if relation == "district" and self.district is not None:
            return f"municipality = {municipality} AND id <> {self.district}"
        return f"municipality = {municipality}" if "municipality" in columns else "true"

    def __str__(self) -> str:
        if self.who is None:
            return "nobody"
        return f"{self.who.role} of {'another district' if self.district else 'elsewhere'}"


def strangers(*, here: int, elsewhere: int, district: int, person: int) -> list[Stranger]:
    """Everybody who must see nothing: every role elsewhere, every role next door, and nobody."""

    def one(role: Role, municipality: int, districts: frozenset[int] | None) -> Caller:
        return Caller(
            municipality=municipality,
            person=person,
            public=UUID(int=0),
            name="",
            role=role,
            districts=districts,
            asked=START,
        )

    return [
        Stranger(who=None),
        *(Stranger(who=one(role, elsewhere, None)) for role in ROLES),
        *(
            Stranger(who=one(role, here, frozenset({district})), district=district)
            for role in ROLES
        ),
    ]


_RELATIONS = """
    SELECT CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname AS relation,
           array_agg(a.attname::text ORDER BY a.attnum) FILTER (
               WHERE has_column_privilege('trygport_api', c.oid, a.attnum, 'SELECT')) AS readable,
           array_agg(quote_ident(a.attname) ORDER BY a.attnum) FILTER (
               WHERE has_column_privilege('trygport_api', c.oid, a.attnum, 'SELECT')
                 AND has_column_privilege('trygport_api', c.oid, a.attnum, 'UPDATE')
                 AND a.attidentity = '') AS writable,
           has_table_privilege('trygport_api', c.oid, 'DELETE') AS deletable
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f')
      AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND n.nspname NOT LIKE '%timescaledb%' AND n.nspname NOT LIKE 'pg\\_%'
    GROUP BY n.nspname, c.relname, c.oid ORDER BY 1
"""


async def relations(owner: Connection) -> Sequence[Row]:
    """Every table and view that the API's database role may read, with what it may do to it."""
    return [row for row in await owner.fetch(_RELATIONS) if row["readable"]]


async def leaks(
    pool: Pool, found: Sequence[Row], municipality: int, asks: Sequence[Stranger]
) -> list[str]:
    """What is shown of the municipality, or could be changed in it, to whom."""
    return [
        f"{way}: {rows} row(s) to {stranger}"
        for stranger in asks
        for relation in found
        for way in _ways(relation, stranger, municipality)
        if (rows := await _rows_of(pool, stranger.who, way))
    ]


def _ways(relation: Row, stranger: Stranger, municipality: int) -> Iterator[str]:
    name = relation["relation"]
    where = stranger.foreign(name, relation["readable"], municipality)
    if where is None:
        return
    yield f"SELECT {_column(relation)} FROM {name} WHERE {where}"  # noqa: S608 - of the catalogue
    if relation["writable"]:
        column = relation["writable"][0]
        yield f"UPDATE {name} SET {column} = {column} WHERE {where}"  # noqa: S608 - of the catalogue
    if relation["deletable"]:
        yield f"DELETE FROM {name} WHERE {where}"  # noqa: S608 - of the catalogue


def _column(relation: Row) -> str:
    return f'"{relation["readable"][0]}"'


class _TakenBack(Exception):
    """Raised so that the transaction changes nothing."""


async def _rows_of(pool: Pool, who: Caller | None, statement: str) -> int:
    """How many rows the statement finds; what it changed is taken back."""
    rows = 0
    with contextlib.suppress(_TakenBack, NotAllowed, InsufficientPrivilegeError):
        async with nobody(pool) if who is None else asking(pool, who) as db:
            try:
                rows = int((await db.execute(statement)).rsplit(" ", 1)[1])
            except IntegrityConstraintViolationError:
                rows = 1  # it was there, and only what hangs on it kept it from going
            raise _TakenBack
    return rows


@asynccontextmanager
async def nobody(pool: Pool) -> AsyncGenerator[Connection]:
    """A transaction that did not say for whom it asks."""
    async with pool.acquire() as db, db.transaction():
        yield db
