"""Builds files of a register, and looks at all that an import may touch."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any
from uuid import UUID

from gateway.settings import Settings
from gateway.store.register.book import By
from gateway.store.register.bring import bring
from gateway.store.register.out import register_file
from gateway.store.register.rows import Report
from gateway.store.register.table import read
from gateway.store.register.undo import undo
from gateway.store.seal import Place, of_settings
from tests.gateway.office import Office

COLUMNS = (
    "distrikt;bolig;borger;navn;adresse;telefon;adgang;pårørende;boks;enhed;model;rolle;rum;"
    "hjemmel;fra;til"
)
SEAL = of_settings(Settings(production=False))
TABLES: Mapping[str, str] = {
    "home": "district, reference",
    "citizen": "district, home, reference",
    "edge": "home",
    "device": "address, model",
    "placement": 'device, citizen, role, room, legal_basis, "from", "to"',
}


def row(number: int, **said: str) -> str:
    """The row of home `number`, with what the test says otherwise."""
    usual = {
        "distrikt": "Nord",
        "bolig": f"B{number}",
        "borger": f"K{number}",
        "navn": f"Borger Nummer {number}",
        "adresse": f"Skovvej {number}, 4400 Kalundborg",
        "telefon": f"+45 12 34 56 {number:02}",
        "adgang": "Nøgleboks ved døren",
        "pårørende": "Datter: Anne, 23 45 67 89",
        "enhed": f"A4:C1:38:00:01:{number:02X}",
        "rolle": "nødkald",
        "rum": "Stue",
        "hjemmel": "samtykke",
    }
    return ";".join((usual | said).get(name, "") for name in COLUMNS.split(";"))


def file(*rows: str, columns: str = COLUMNS) -> bytes:
    return "\r\n".join([columns, *rows, ""]).encode()


@asynccontextmanager
async def commanding(here: Office) -> AsyncGenerator[By]:
    """A transaction as the command has it."""
    by = By(municipality=await here.municipality())
    async with here.owner.transaction():
        await here.owner.execute(
            "SELECT set_config('trygport.municipality', $1, true)", str(by.municipality)
        )
        yield by


async def brought(here: Office, body: bytes, *, dry_run: bool = False) -> Report:
    """The file brought in as the command does it."""
    async with commanding(here) as by:
        return await bring(
            here.owner,
            by,
            SEAL,
            read(body),
            digest=sha256(body).digest(),
            now=here.clock.now(),
            dry_run=dry_run,
        )


async def taken_back(here: Office, public: UUID | None) -> None:
    """The import undone as the command does it."""
    assert public is not None
    async with commanding(here) as by:
        await undo(here.owner, by, SEAL, public, now=here.clock.now())


async def written_out(here: Office) -> tuple[bytes, Sequence[int]]:
    """The register as a file, and the citizens in it."""
    async with commanding(here) as by:
        return await register_file(here.owner, by, SEAL)


async def everything(here: Office) -> Mapping[str, Sequence[Any]]:
    """The register as it stands, names opened."""
    found: dict[str, Sequence[Any]] = {}
    for table, columns in TABLES.items():
        rows = await here.owner.fetch(f"SELECT id, {columns} FROM {table} ORDER BY id")  # noqa: S608 - our words
        found[table] = [tuple(one) for one in rows]
    rows = await here.owner.fetch("SELECT * FROM identity.citizen ORDER BY citizen")
    found["identity"] = [
        {
            name: SEAL.open(value, Place(one["municipality"], "citizen", one["citizen"], name))
            for name, value in one.items()
            if isinstance(value, str)
        }
        for one in rows
    ]
    return found
