"""Homes, citizens and devices: what staff register before anything is placed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg.exceptions import UniqueViolationError

from gateway.store import looks
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.device_keys import place
from gateway.store.pool import Connection, Pool, Row
from gateway.store.seal import Place
from gateway.store.versions import Versions, agree


class InTheWay(Exception):
    """What was asked for is refused because of what is there already; the text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCitizen:
    """Who moves in. `entry` tells staff how to get in."""

    name: str
    address: str = ""
    phone: str = ""
    entry: str = ""


async def add_home(
    pool: Pool,
    caller: Caller,
    *,
    district: str,
    zone: str,
    citizens: Sequence[NewCitizen],
    now: datetime,
) -> UUID:
    """A home and who lives there. Raises LookupError for a district that is not the caller's."""
    async with asking(pool, caller) as db:
        within = await db.fetchval(
            "SELECT id FROM district WHERE municipality = $1 AND name = $2",
            caller.municipality,
            district,
        )
        if within is None:
            raise LookupError(district)
        home = await db.fetchrow(
            "INSERT INTO home (municipality, district, zone) VALUES ($1, $2, $3) "
            "RETURNING id, public",
            caller.municipality,
            within,
            zone,
        )
        assert home is not None  # noqa: S101 - INSERT … RETURNING gives its row
        for citizen in citizens:
            await _move_in(db, caller, citizen, district=within, home=home["id"], now=now)
    return home["public"]


async def _move_in(
    db: Connection, caller: Caller, citizen: NewCitizen, *, district: int, home: int, now: datetime
) -> None:
    number = await db.fetchval(
        "INSERT INTO citizen (municipality, district, home) VALUES ($1, $2, $3) RETURNING id",
        caller.municipality,
        district,
        home,
    )
    await db.execute(
        "INSERT INTO identity.citizen (municipality, citizen, name, address, phone, entry) "
        "VALUES ($1, $2, $3, $4, $5, $6)",
        caller.municipality,
        number,
        *(
            caller.seal.seal(text, Place(caller.municipality, "citizen", number, column))
            for column, text in (
                ("name", citizen.name),
                ("address", citizen.address),
                ("phone", citizen.phone),
                ("entry", citizen.entry),
            )
        ),
    )
    await looks.changed(db, caller, "citizen.added", number, now)


_LOCK_DEVICE = """
    SELECT d.id, d.version, p.citizen FROM device d
    LEFT JOIN placement p ON p.municipality = d.municipality AND p.device = d.id AND p."to" IS NULL
    WHERE d.municipality = $1 AND d.public = $2 AND (p.id IS NOT NULL OR NOT is_placed(d.id))
    FOR UPDATE OF d
"""
# What was there is not read: this role may write keys and never see one.
_GIVE_KEY = """
    INSERT INTO device_secret (municipality, device, key, given) VALUES ($1, $2, $3, $4)
    ON CONFLICT (municipality, device) DO UPDATE SET key = $3, given = $4
"""


async def _keep_key(db: Connection, caller: Caller, device: int, key: bytes, now: datetime) -> None:
    sealed = caller.seal.seal_bytes(key, place(caller.municipality, device))
    await db.execute(_GIVE_KEY, caller.municipality, device, sealed, now)


async def add_device(
    pool: Pool, caller: Caller, *, address: str, model: str, key: bytes | None, now: datetime
) -> UUID:
    """A device in the depot, with its BLE key if it encrypts. Raises InTheWay if it is known."""
    async with asking(pool, caller) as db:
        try:
            row = await db.fetchrow(
                "INSERT INTO device (municipality, address, model) VALUES ($1, $2, $3) "
                "RETURNING id, public",
                caller.municipality,
                address,
                model,
            )
        except UniqueViolationError as error:
            raise InTheWay("a device with this address is registered already") from error
        assert row is not None  # noqa: S101 - INSERT … RETURNING gives its row
        if key is not None:
            await _keep_key(db, caller, row["id"], key, now)
        await db.execute("NOTIFY home")
    return row["public"]


async def give_key(
    pool: Pool, caller: Caller, device: UUID, key: bytes, now: datetime, *, versions: Versions
) -> None:
    """The device's BLE key, the first or another one, for frames that come from now on.

    Raises LookupError when the device is not there for the caller, and Stale when it has none of
    these versions: a key that works may not be lost to one who never saw it.
    """
    async with asking(pool, caller) as db:
        row = await _device(db, caller, device, versions)
        await _keep_key(db, caller, row["id"], key, now)
        await db.execute(
            "UPDATE device SET version = version + 1 WHERE municipality = $1 AND id = $2",
            caller.municipality,
            row["id"],
        )
        await looks.changed(db, caller, f"device.key_given {device}", row["citizen"], now)
        await db.execute("NOTIFY home")


async def change_device(
    pool: Pool, caller: Caller, device: UUID, model: str, now: datetime, *, versions: Versions
) -> None:
    """Another model: boxes hear the device in another way. Raises LookupError and Stale."""
    async with asking(pool, caller) as db:
        row = await _device(db, caller, device, versions)
        await db.execute(
            "UPDATE device SET model = $3 WHERE municipality = $1 AND id = $2",
            caller.municipality,
            row["id"],
            model,
        )
        await db.execute(
            "UPDATE edge e SET config_version = config_version + 1 FROM citizen c "
            "WHERE c.municipality = $1 AND c.id = $2 AND e.municipality = $1 AND e.home = c.home",
            caller.municipality,
            row["citizen"],
        )
        await looks.changed(db, caller, f"device.changed {device}", row["citizen"], now)
        await db.execute("NOTIFY home")
        await db.execute("NOTIFY config")


async def _device(db: Connection, caller: Caller, device: UUID, versions: Versions) -> Row:
    row = await db.fetchrow(_LOCK_DEVICE, caller.municipality, device)
    if row is None:
        raise LookupError(str(device))
    agree(row["version"], versions)
    return row
