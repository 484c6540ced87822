"""The settings of rules as planners keep them, by municipality."""

from dataclasses import dataclass
from datetime import datetime

from gateway.store.pool import Pool

_NEWEST = """
    SELECT DISTINCT ON (r.municipality, r.name) r.municipality, r.name, v.version, v.settings
    FROM rule r
    JOIN rule_version v ON v.municipality = r.municipality AND v.rule = r.id
    WHERE v.valid_from <= $1
    ORDER BY r.municipality, r.name, v.version DESC
"""


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """The newest version of a rule's settings in one municipality."""

    municipality: int
    rule: str
    version: int
    settings: object


async def newest(pool: Pool, now: datetime) -> list[StoredSettings]:
    """Return the settings that are valid now; rules without any have those of the code."""
    rows = await pool.fetch(_NEWEST, now)
    return [
        StoredSettings(row["municipality"], row["name"], row["version"], row["settings"])
        for row in rows
    ]
