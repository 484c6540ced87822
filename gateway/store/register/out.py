"""Writes the register out as the file that brings it in: read again, it changes nothing."""

from collections.abc import Mapping, Sequence

from gateway.home import zone_info
from gateway.store.pool import Connection, Row
from gateway.store.register.book import By
from gateway.store.register.lines import BASES, ROLES, ZONE
from gateway.store.register.table import write
from gateway.store.seal import Place, Seal

_ROWS = """
    SELECT c.id AS number, d.name AS district, COALESCE(h.reference, h.public::text) AS home,
           COALESCE(c.reference, c.public::text) AS citizen, i.name, i.address, i.phone, i.entry,
           i.relatives, e.name AS box, v.address AS device, v.model, p.role, p.room, p.legal_basis,
           p."from"
    FROM citizen c
    JOIN district d ON d.municipality = c.municipality AND d.id = c.district
    JOIN home h ON h.municipality = c.municipality AND h.id = c.home
    LEFT JOIN identity.citizen i ON i.municipality = c.municipality AND i.citizen = c.id
    LEFT JOIN LATERAL (
        SELECT min(e.name) AS name FROM edge e
        WHERE e.municipality = h.municipality AND e.home = h.id AND edge_in_use(e.id)) e ON true
    LEFT JOIN placement p ON p.municipality = c.municipality AND p.citizen = c.id AND p."to" IS NULL
    LEFT JOIN device v ON v.municipality = p.municipality AND v.id = p.device
    WHERE c.municipality = $1 AND ($2::integer[] IS NULL OR c.district = ANY ($2))
    ORDER BY d.name, home, citizen, p."from", v.address
"""
_ROLE_WORDS = {kept: word for word, kept in ROLES.items()}
_BASIS_WORDS = {kept: word for word, kept in BASES.items()}
_IDENTITY: Mapping[str, str] = {
    "navn": "name",
    "adresse": "address",
    "telefon": "phone",
    "adgang": "entry",
    "pårørende": "relatives",
}


async def register_file(db: Connection, by: By, seal: Seal) -> tuple[bytes, Sequence[int]]:
    """The file, and the citizens in it (for the access log): a row a placement, or a citizen."""
    rows = await db.fetch(_ROWS, by.municipality, by.within)
    return write([_row(by, seal, row) for row in rows]), sorted({row["number"] for row in rows})


def _row(by: By, seal: Seal, row: Row) -> Mapping[str, str]:
    told = {
        "distrikt": row["district"],
        "bolig": row["home"],
        "borger": row["citizen"],
        "boks": row["box"] or "",
    }
    for column, name in _IDENTITY.items():
        place = Place(by.municipality, "citizen", row["number"], name)
        told[column] = seal.open(row[name] or "", place)
    if row["device"] is not None:
        told |= {
            "enhed": row["device"],
            "model": row["model"],
            "rolle": _ROLE_WORDS[row["role"]],
            "rum": row["room"],
            # placed before it was asked for: whoever brings the file in again must say it
            "hjemmel": _BASIS_WORDS.get(row["legal_basis"] or "", ""),
            "fra": f"{row['from'].astimezone(zone_info(ZONE)):%d-%m-%Y %H:%M}",
        }
    return told
