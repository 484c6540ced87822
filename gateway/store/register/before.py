"""What is there of all that a file speaks of, read once: most rows of most files change nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from gateway.store.pool import Connection, Row
from gateway.store.register.book import By
from gateway.store.register.lines import NEW_BOX, Wanted
from gateway.store.register.placing import same
from gateway.store.seal import Place, Seal

_HOMES = """
    SELECT COALESCE(reference, public::text) AS said, id, district,
           EXISTS (SELECT FROM edge e
                   WHERE e.municipality = h.municipality AND e.home = h.id) AS box
    FROM home h WHERE municipality = $1
      AND (reference = ANY ($2::text[]) OR (reference IS NULL AND public::text = ANY ($2::text[])))
"""
_CITIZENS = """
    SELECT COALESCE(c.reference, c.public::text) AS said, c.id, c.district, c.home,
           i.name, i.address, i.phone, i.entry, i.relatives
    FROM citizen c
    LEFT JOIN identity.citizen i ON i.municipality = c.municipality AND i.citizen = c.id
    WHERE c.municipality = $1 AND (c.reference = ANY ($2::text[])
        OR (c.reference IS NULL AND c.public::text = ANY ($2::text[])))
"""
_BOXES = """
    SELECT name AS said, home FROM edge
    WHERE municipality = $1 AND name = ANY ($2::text[]) AND edge_in_use(id)
"""
_DEVICES = """
    SELECT address AS said, id, model FROM device
    WHERE municipality = $1 AND address = ANY ($2::text[])
"""
_STAYS = """
    SELECT d.address AS said, p.id, p.citizen, p.role, p.room, p.legal_basis, p."from", p."to"
    FROM placement p JOIN device d ON d.municipality = p.municipality AND d.id = p.device
    WHERE p.municipality = $1 AND d.address = ANY ($2::text[]) ORDER BY p."from" DESC
"""
_DISTRICTS = """
    SELECT name AS said, id FROM district
    WHERE municipality = $1 AND ($2::integer[] IS NULL OR id = ANY ($2)) ORDER BY name
"""

Said = Mapping[str, Row]


@dataclass(slots=True, kw_only=True)
class Before:
    """The register as it was before the first row, by what a file calls each thing.

    It is a picture, not a lock: whatever a row is to change is read again, under its lock. What
    an earlier row has touched is no longer asked here.
    """

    municipality: int
    seal: Seal
    districts: Mapping[str, int]
    homes: Said
    citizens: Said
    boxes: Said
    devices: Said
    stays: Mapping[str, Sequence[Row]]
    _touched: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    @classmethod
    async def read(cls, db: Connection, by: By, seal: Seal, rows: Sequence[Wanted]) -> Self:
        """Six questions, however many rows there are."""

        async def said(query: str, names: set[str]) -> Said:
            found = await db.fetch(query, by.municipality, sorted(names - {"", NEW_BOX}))
            return {row["said"]: row for row in found}

        addresses = {row.device for row in rows}
        stays: dict[str, list[Row]] = {}
        for row in await db.fetch(_STAYS, by.municipality, sorted(addresses - {""})):
            stays.setdefault(row["said"], []).append(row)
        districts = await db.fetch(_DISTRICTS, by.municipality, by.within)
        return cls(
            municipality=by.municipality,
            seal=seal,
            districts={row["said"]: row["id"] for row in districts},
            homes=await said(_HOMES, {row.home for row in rows}),
            citizens=await said(_CITIZENS, {row.citizen for row in rows}),
            boxes=await said(_BOXES, {row.box for row in rows}),
            devices=await said(_DEVICES, addresses),
            stays=stays,
        )

    def touch(self, want: Wanted) -> None:
        """A row has changed something of these."""
        self._touched |= set(_things(want))

    def lacks(self, kind: str, said: str) -> bool:
        """Whether it was not there before, and no row has brought it since."""
        there = {"home": self.homes, "citizen": self.citizens, "device": self.devices}[kind]
        return said not in there and (kind, said) not in self._touched

    def says(self, want: Wanted, now: datetime) -> bool:
        """Whether all that the row says is so already: then there is nothing to do."""
        if any(thing in self._touched for thing in _things(want)):
            return False
        district = self.districts.get(want.district)
        home, citizen = self.homes.get(want.home), self.citizens.get(want.citizen)
        if district is None or home is None or citizen is None:
            return False
        where = (home["district"], citizen["district"], citizen["home"])
        return (
            where == (district, district, home["id"])
            and self._box(want, home)
            and self._is_called(want, citizen)
            and (not want.device or self._placed(want, citizen["id"], now))
        )

    def _box(self, want: Wanted, home: Row) -> bool:
        if want.box in {"", NEW_BOX}:
            return not want.box or home["box"]
        box = self.boxes.get(want.box)
        return box is not None and box["home"] == home["id"]

    def _is_called(self, want: Wanted, citizen: Row) -> bool:
        return all(
            self.seal.open(
                citizen[name] or "", Place(self.municipality, "citizen", citizen["id"], name)
            )
            == value
            for name, value in want.identity.items()
        )

    def _placed(self, want: Wanted, citizen: int, now: datetime) -> bool:
        device = self.devices.get(want.device)
        if device is None or want.model not in {"", device["model"]}:
            return False
        if any(moment is not None and moment.at > now for moment in (want.since, want.until)):
            return False
        stay = same(self.stays.get(want.device, ()), want, citizen)
        return (
            stay is not None
            and (stay["role"], stay["legal_basis"]) == (want.role, want.basis)
            and want.room in {"", stay["room"]}
            and (want.until is None or (stay["to"] is not None and want.until.means(stay["to"])))
        )


def _things(want: Wanted) -> list[tuple[str, str]]:
    found = [("home", want.home), ("citizen", want.citizen)]
    if want.device:
        found.append(("device", want.device))
    if want.box not in {"", NEW_BOX}:
        found.append(("box", want.box))
    return found
