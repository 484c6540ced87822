"""The boxes a caller may see: their contact, what is missing of them, and their memory cards."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from gateway.store.caller import Caller
from gateway.store.pool import Connection

Fault = Literal[
    "missing",
    "keeps_too_short",
    "let_go_early",
    "gave_up",
    "trouble",
    "deaf",
    "second_path",
    "little_room",
    "config_refused",
]

LITTLE_ROOM = 7
"""Days of room left below which somebody should look: a week away would cost frames."""

_LATELY = timedelta(days=30)
"""How long frames that a full card gave up speak against a box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A box. `contact` is when the present contact began, or None; `lost` when the last ended.

    `missing` numbers in `holes` of its streams have not come although later ones have;
    `given_up` will never come. `certificate` is when its newest ends, `code_until` when an unused
    code does. The last are what it said of its memory card, its radio and its
    line, newest: see store/cards.py. A word in them may be one that we do not know.
    """

    name: str
    sticker: str | None
    home: UUID | None
    code_until: datetime | None
    joined: datetime | None
    certificate: datetime | None
    shut_out: datetime | None
    broker_told: datetime | None
    contact: datetime | None
    lost: datetime | None
    lost_by: str | None
    config: int
    config_published: int
    missing: int
    holes: int
    given_up: int
    keep_days: float | None
    card_early: int
    card_given_up: int
    card_full: datetime | None
    reader: str | None
    mode: str | None
    room_days: int | None
    path: int | None
    trouble: str | None
    refused: str | None

    def faults(self, now: datetime, *, days_to_keep: float) -> list[Fault]:
        """What somebody should look at, in words for programs."""
        found: list[Fault] = ["missing"] if self.missing else []
        if self.keep_days is not None and self.keep_days < days_to_keep:
            found.append("keeps_too_short")
        if self.card_full is not None:
            age = now - self.card_full
            if self.card_early and age < timedelta(days=days_to_keep):
                found.append("let_go_early")
            if self.card_given_up and age < _LATELY:
                found.append("gave_up")
        return found + self._unwell()

    def _unwell(self) -> list[Fault]:
        tells: dict[Fault, bool] = {
            "trouble": self.trouble is not None,
            "deaf": self.reader == "silent",
            "second_path": self.path is not None and self.path > 1,
            "config_refused": self.refused is not None,
            "little_room": self.room_days is not None and self.room_days < LITTLE_ROOM,
        }
        return [fault for fault, is_so in tells.items() if is_so]


_EDGES = """
    SELECT e.name, e.sticker, h.public AS home, e.joined, e.shut_out, e.broker_told,
           CASE WHEN e.claimed IS NULL THEN e.claim_expires END AS code_until,
           (SELECT max(c.expires) FROM certificate c
            WHERE c.municipality = e.municipality AND c.edge = e.id) AS certificate,
           e.config_version AS config, e.config_published,
           CASE WHEN l."to" IS NULL THEN l."from" END AS contact,
           l."to" AS lost, l.ended_by AS lost_by, s.missing, s.holes, s.given_up,
           k.keep_days, COALESCE(k.early, 0) AS card_early,
           COALESCE(k.given_up, 0) AS card_given_up, k.full_at AS card_full,
           k.reader, k.mode, k.room_days, k.path, k.trouble, k.refused
    FROM edge e
    LEFT JOIN home h ON h.municipality = e.municipality AND h.id = e.home
    LEFT JOIN edge_card k ON k.municipality = e.municipality AND k.edge = e.id
    LEFT JOIN LATERAL (
        SELECT c."from", c."to", c.ended_by FROM contact c
        WHERE c.municipality = e.municipality AND c.edge = e.id
        ORDER BY c."from" DESC LIMIT 1) l ON true
    CROSS JOIN LATERAL (
        SELECT COALESCE(sum(hole.numbers), 0)::bigint AS missing,
               COALESCE(sum(hole.holes), 0)::bigint AS holes,
               COALESCE(sum(gone.numbers), 0)::bigint AS given_up
        FROM stream s
        CROSS JOIN LATERAL (
            SELECT count(*) AS holes, sum(upper(r) - lower(r)) AS numbers
            FROM unnest(int8multirange(int8range(1, upper(s.received))) - s.received) r) hole
        CROSS JOIN LATERAL (
            SELECT sum(upper(r) - lower(r)) AS numbers FROM unnest(s.gone) r) gone
        WHERE s.municipality = e.municipality AND s.edge = e.id AND s.received <> '{}') s
    WHERE e.municipality = $1 AND ($2::text IS NULL OR e.name > $2)
      AND ($4::text IS NULL OR e.name = $4)
    ORDER BY e.name LIMIT $3
"""


async def edges(db: Connection, caller: Caller, *, after: str | None, limit: int) -> list[Edge]:
    """At most `limit` boxes in the order of their names, those after `after`."""
    rows = await db.fetch(_EDGES, caller.municipality, after, limit, None)
    return [Edge(**dict(row)) for row in rows]


async def edge(db: Connection, caller: Caller, name: str) -> Edge | None:
    """The box of that name, where the caller may see it."""
    row = await db.fetchrow(_EDGES, caller.municipality, None, 1, name)
    return None if row is None else Edge(**dict(row))
