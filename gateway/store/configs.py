"""Which boxes must be told a new configuration, and of what it is made."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.store.pool import Connection, Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A device placed in the box's home."""

    address: str
    model: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DueConfig:
    """A box whose configuration has a version that it was not told yet."""

    municipality: int
    edge: int
    name: str
    version: int
    zone: str | None
    """The home's."""
    placed: Sequence[Placed]


_DUE = """
    SELECT e.municipality, e.id, e.name, e.config_version AS version,
           min(h.zone) AS zone,
           COALESCE(array_agg(ARRAY[d.address, d.model, p.role] ORDER BY d.address)
                    FILTER (WHERE d.id IS NOT NULL), '{}') AS placed
    FROM edge e
    LEFT JOIN home h ON h.municipality = e.municipality AND h.id = e.home
    LEFT JOIN citizen c ON c.municipality = e.municipality AND c.home = e.home
    LEFT JOIN placement p ON p.municipality = c.municipality AND p.citizen = c.id
                         AND (p."to" IS NULL OR p."to" > $3)
    LEFT JOIN device d ON d.municipality = p.municipality AND d.id = p.device
    WHERE e.config_version > e.config_published OR e.name = ANY ($1)
    GROUP BY e.municipality, e.id
    LIMIT $2
"""
_PUBLISHED = """
    UPDATE edge e SET config_published = w.version
    FROM unnest($1::integer[], $2::integer[], $3::integer[]) AS w (municipality, edge, version)
    WHERE e.municipality = w.municipality AND e.id = w.edge AND e.config_published < w.version
"""


async def due(
    db: Connection | Pool, again: Collection[str], most: int, now: datetime
) -> list[DueConfig]:
    """Boxes to be told, and those of `again` whatever they were told before.

    A placement is told until it has ended, also when its end is known before.
    """
    return [
        DueConfig(
            municipality=row["municipality"],
            edge=row["id"],
            name=row["name"],
            version=row["version"],
            zone=row["zone"],
            placed=[Placed(address=a, model=m, role=r) for a, m, r in row["placed"]],
        )
        for row in await db.fetch(_DUE, list(again), most, now)
    ]


async def published(db: Connection | Pool, configs: Sequence[DueConfig]) -> None:
    """The broker keeps these for their boxes. Never goes back to an older version."""
    ordered = sorted(configs, key=lambda config: (config.municipality, config.edge))
    await db.execute(
        _PUBLISHED,
        [config.municipality for config in ordered],
        [config.edge for config in ordered],
        [config.version for config in ordered],
    )
