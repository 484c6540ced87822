"""What the page "Kom i gang" does for a home: citizen, box and device, as the register does it."""

import hashlib
import re
from collections.abc import Mapping
from typing import Protocol
from uuid import UUID

from gateway.store.asking import asking
from gateway.store.beginning import device_at, where
from gateway.store.caller import Caller
from gateway.store.homes import NewCitizen, add_home, give_key
from gateway.store.register.book import By
from gateway.store.register.bring import bring
from gateway.store.register.lines import NEW_BOX, ZONE
from gateway.store.register.rows import Report
from gateway.store.register.table import Line
from gateway.store.register.things import one
from gateway.web.beginning import text_error
from gateway.web.beginning_doing import Given, Wrong, chosen, refuse
from gateway.web.door import Door

_KEY = re.compile(r"[0-9a-fA-F]{24}|[0-9a-fA-F]{32}", re.ASCII)
_NO_AUTHORITY = (
    "Ingen boks kan kobles til endnu: gatewayens egen certifikatmyndighed er ikke sat op. "
    "Kør `gateway authority begin` på gatewayen, og start trinnet edges."
)


class Placing(Protocol):
    """The fields that are read here."""

    district: str
    name: str
    address: str
    phone: str
    entry: str
    home: str
    citizen: str
    device: str
    model: str
    role: str
    room: str
    basis: str
    key: str


async def citizen(door: Door, caller: Caller, sent: Placing) -> None:
    """A citizen with a home of their own."""
    refuse(
        {
            "name": text_error(sent.name, needed="Skriv borgerens navn."),
            "address": text_error(sent.address, needed="Skriv boligens adresse."),
            "phone": text_error(sent.phone),
            "entry": text_error(sent.entry, longest=1000),
            "district": "" if chosen(sent.district) else "Vælg et distrikt.",
        }
    )
    async with asking(door.pool, caller) as db:
        district = await one(db, caller, caller.seal, "district", UUID(sent.district))
    await add_home(
        door.pool,
        caller,
        district=str(district.values["name"]),
        zone=ZONE,
        citizens=[
            NewCitizen(
                name=sent.name.strip(),
                address=sent.address.strip(),
                phone=sent.phone.strip(),
                entry=sent.entry.strip(),
            )
        ],
        now=door.now(),
    )


async def box(door: Door, caller: Caller, sent: Placing) -> Given:
    """A box in a home, and its CODE, told once."""
    wanted = chosen(sent.home)
    refuse({"home": "" if wanted else "Vælg en bolig."})
    codes = await door.beginning.codes()
    if codes is None:
        raise Wrong({"home": _NO_AUTHORITY})
    report = await _brought(door, caller, wanted, None, {"boks": NEW_BOX})
    if not report.codes:
        raise Wrong({"home": "Boligen har allerede en boks."})
    made = report.codes[0]
    return Given(
        text="Boksen er lavet. Skriv denne kode på boksen inden 24 timer; den vises kun nu:",
        secrets=(("På boksen", f"edge join {codes.code(made.secret)}"),),
    )


async def device(door: Door, caller: Caller, sent: Placing) -> None:
    """A device that speaks for a citizen from now on."""
    wanted = chosen(sent.citizen)
    key = sent.key.replace(" ", "")
    refuse(
        {
            "citizen": "" if wanted else "Vælg en borger.",
            "device": "" if sent.device.strip() else "Skriv enhedens adresse.",
            "key": ""
            if not key or _KEY.fullmatch(key)
            else "En nøgle er 32 tegn (24 ved ældre Xiaomi): tal og bogstaverne a til f.",
        }
    )
    cells = {
        "enhed": sent.device.strip(),
        "model": sent.model,
        "rolle": sent.role,
        "rum": sent.room.strip(),
        "hjemmel": sent.basis,
    }
    await _brought(door, caller, None, wanted, cells)
    if key:
        async with asking(door.pool, caller) as db:
            public = await device_at(db, caller.municipality, sent.device)
        await give_key(door.pool, caller, public, bytes.fromhex(key), door.now(), versions=None)


_FIELD: Mapping[str, str] = {
    "enhed": "device",
    "model": "model",
    "rolle": "role",
    "rum": "room",
    "hjemmel": "basis",
    "boks": "home",
}
"""The field of the form for each column of the register's file."""


async def _brought(
    door: Door,
    caller: Caller,
    home: UUID | None,
    resident: UUID | None,
    cells: Mapping[str, str],
) -> Report:
    """One row, as a file would bring it: the same rules, the same trace. Raises Wrong."""
    async with asking(door.pool, caller) as db:
        place = await where(db, caller.municipality, home=home, citizen=resident)
        row = {
            "distrikt": place.district,
            "bolig": place.home,
            "borger": place.citizen,
            **cells,
        }
        report = await bring(
            db,
            by(caller),
            caller.seal,
            [Line(1, row)],
            digest=hashlib.sha256(repr(sorted(row.items())).encode()).digest(),
            now=door.now(),
            dry_run=False,
        )
        (outcome,) = report.outcomes
        if outcome.state == "refused":
            field = _FIELD.get(outcome.column, "device" if "enhed" in cells else "home")
            raise Wrong({field: f"{outcome.reason[:1].upper()}{outcome.reason[1:]}."})
    return report


def by(caller: Caller) -> By:
    """Who brings in, as the register's own functions are told."""
    return By(
        municipality=caller.municipality,
        person=caller.person,
        role=caller.role,
        within=caller.within,
        gives=caller.may("person", "all") and caller.may("access", "all"),
    )
