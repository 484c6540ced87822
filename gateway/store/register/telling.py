"""After the register has changed: boxes, watch and the access log are told, in its transaction."""

from collections.abc import Sequence
from datetime import datetime

from gateway.store.pool import Connection
from gateway.store.register.book import By, Change

_CITIZENS = """
    SELECT c.id, c.home FROM citizen c
    WHERE c.municipality = $1 AND (c.id = ANY ($2::integer[]) OR c.home = ANY ($3::integer[])
        OR c.id IN (SELECT p.citizen FROM placement p
                    WHERE p.municipality = $1
                      AND (p.id = ANY ($4::integer[]) OR p.device = ANY ($5::integer[]))))
    ORDER BY c.id
"""
_DUE = """
    INSERT INTO deadline (municipality, citizen, due)
    SELECT $1, w.citizen, $3 FROM unnest($2::integer[]) AS w (citizen)
    ON CONFLICT (municipality, citizen) DO UPDATE SET due = LEAST(deadline.due, excluded.due)
"""
_LOG = """
    INSERT INTO access_log (municipality, at, person, role, citizen, what)
    SELECT $1, $2, $3, $4, w.citizen, $5 FROM unnest($6::integer[]) AS w (citizen)
"""
_LOG_PEOPLE = """
    INSERT INTO access_log (municipality, at, person, role, what)
    SELECT $1, $2, $3, $4, $5 || ' ' || p.public FROM person p
    WHERE p.municipality = $1 AND (p.id = ANY ($6::integer[])
        OR p.id IN (SELECT a.person FROM access a
                    WHERE a.municipality = $1 AND a.id = ANY ($7::integer[]))
        OR p.id IN (SELECT w.person FROM team_member w
                    WHERE w.municipality = $1 AND w.id = ANY ($8::integer[])))
    ORDER BY p.id
"""


async def tell_people(
    db: Connection, by: By, changes: Sequence[Change], what: str, now: datetime
) -> None:
    """Each colleague who is touched by the changes stands in the access log."""
    await db.execute(
        _LOG_PEOPLE,
        by.municipality,
        now,
        by.person,
        by.role,
        what,
        _rows(changes, "person", "person_identity"),
        _rows(changes, "access"),
        _rows(changes, "member"),
    )


async def tell(db: Connection, by: By, changes: Sequence[Change], what: str, now: datetime) -> None:
    """Who is touched by the changes is logged and judged anew; their boxes get a configuration."""
    rows = await db.fetch(
        _CITIZENS,
        by.municipality,
        _rows(changes, "citizen", "identity"),
        _rows(changes, "home") + _values(changes, "edge", "home"),
        _rows(changes, "placement"),
        _rows(changes, "device"),
    )
    citizens = [row["id"] for row in rows]
    await db.execute(
        "UPDATE edge SET config_version = config_version + 1 "
        "WHERE municipality = $1 AND (home = ANY ($2::integer[]) OR id = ANY ($3::integer[]))",
        by.municipality,
        sorted({row["home"] for row in rows} | set(_values(changes, "citizen", "home"))),
        _rows(changes, "edge"),
    )
    await db.execute(_DUE, by.municipality, citizens, now)
    await db.execute(_LOG, by.municipality, now, by.person, by.role, what, citizens)
    for channel in ("home", "config", "pending"):
        await db.execute(f"NOTIFY {channel}")


def _rows(changes: Sequence[Change], *things: str) -> list[int]:
    return sorted({change.row for change in changes if change.thing in things})


def _values(changes: Sequence[Change], thing: str, column: str) -> list[int]:
    """What stood, or stands, in a column that names another table's row."""
    found = [
        values.get(column)
        for change in changes
        if change.thing == thing
        for values in (change.before or {}, change.after)
    ]
    return sorted({one for one in found if isinstance(one, int)})
