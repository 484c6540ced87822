"""What each box was given: a code taken once, certificates renewed, and what is revoked."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gateway.store.pool import Connection, Pool, Row

REVOKED = "revoked"
"""The channel on which the stage `edges` hears that a box was shut out."""

_CLOCKS_APART = timedelta(days=1)
"""How long after its end a revoked certificate stays on the list: clocks may be wrong."""


class WrongCode(Exception):
    """Guessed, used with another key, too old, or of a box shut out: one answer for all."""


class NotOurs(Exception):
    """A certificate that renews nothing: not recorded, revoked, or of a box that was shut out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a box is given. `pem` is its own and that of the issuer; `key` names its public key."""

    edge: str
    serial: int
    key: bytes
    pem: str
    issued: datetime
    renew: datetime
    expires: datetime


Certify = Callable[[str], Certificate]
"""Signs for the box of that name, and says why it would not by raising."""

_BY_CLAIM = """
    SELECT municipality, id, name, claimed FROM edge
    WHERE claim = $1 AND claim_expires > $2 AND shut_out IS NULL FOR UPDATE
"""
_BY_SERIAL = """
    SELECT e.municipality, e.id, e.name FROM edge e
    JOIN certificate c ON c.municipality = e.municipality AND c.edge = e.id
    WHERE e.name = $1 AND c.serial = $2 AND c.revoked IS NULL AND e.shut_out IS NULL
    FOR UPDATE OF e
"""
_GIVEN = """
    SELECT serial, key, pem, issued, renew, expires FROM certificate
    WHERE municipality = $1 AND edge = $2 AND key = $3 AND renew > $4 AND revoked IS NULL
      AND pem IS NOT NULL AND ($5::bytea IS NULL OR claim = $5)
"""


async def take(
    pool: Pool, claim: bytes, *, key: bytes, now: datetime, wall: datetime, certify: Certify
) -> Certificate:
    """Exchanges a code, given as the digest of its secret, for the box's first certificate.

    `now` is the gateway's time, by which the code is too old; `wall` the machine's, by which every
    TLS library judges certificates.

    It is recorded in the transaction that uses the code: of many at once, one has it. Who asks
    again with the same key while the code lives is given the same, for the answer may have been
    lost. Raises WrongCode, and whatever `certify` raises: then the code is still good.
    """
    async with pool.acquire() as db, db.transaction():
        box = await db.fetchrow(_BY_CLAIM, claim, now)
        if box is None:
            raise WrongCode("this code opens nothing: ask for a new one")
        if box["claimed"] is not None:
            return await _again(db, box, key, wall, claim)
        made = certify(box["name"])
        await _record(db, box, made, claim)
        await db.execute(
            "UPDATE edge SET claimed = $3, joined = $3, join_hash = NULL, join_expires = NULL, "
            "broker_password = NULL WHERE municipality = $1 AND id = $2",
            box["municipality"],
            box["id"],
            now,
        )
        await db.execute("NOTIFY home")
        await db.execute("NOTIFY config")
        return made


async def renew(
    pool: Pool, edge: str, serial: int, *, key: bytes, wall: datetime, certify: Certify
) -> Certificate:
    """The next certificate of a box that has shown the one with that serial, however late.

    The same new key is given the same certificate, as in `take`. Raises NotOurs.
    """
    async with pool.acquire() as db, db.transaction():
        box = await db.fetchrow(_BY_SERIAL, edge, f"{serial:x}")
        if box is None:
            raise NotOurs(
                "this certificate renews nothing; a box that was shut out joins anew, by another "
                "id: gateway edges add"
            )
        before = await _given(db, box, key, wall, None)
        if before is not None:
            return before
        made = certify(box["name"])
        await _record(db, box, made, None)
        return made


async def _again(db: Connection, box: Row, key: bytes, wall: datetime, claim: bytes) -> Certificate:
    before = await _given(db, box, key, wall, claim)
    if before is None:
        raise WrongCode("this code opens nothing: ask for a new one")
    return before


async def _given(
    db: Connection, box: Row, key: bytes, wall: datetime, claim: bytes | None
) -> Certificate | None:
    row = await db.fetchrow(_GIVEN, box["municipality"], box["id"], key, wall, claim)
    if row is None:
        return None
    given: dict[str, Any] = {**dict(row), "serial": int(row["serial"], 16)}
    return Certificate(edge=box["name"], **given)


async def _record(db: Connection, box: Row, made: Certificate, claim: bytes | None) -> None:
    """The newest alone keeps its text: an older one is not asked for again."""
    of = (box["municipality"], box["id"])
    await db.execute("UPDATE certificate SET pem = NULL WHERE municipality = $1 AND edge = $2", *of)
    await db.execute(
        "INSERT INTO certificate (municipality, edge, serial, key, claim, issued, renew, expires, "
        "pem) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        *of,
        f"{made.serial:x}",
        made.key,
        claim,
        made.issued,
        made.renew,
        made.expires,
        made.pem,
    )


# ---------------------------------------------------------------- for who keeps the broker's lists


async def revoked(db: Connection | Pool, wall: datetime) -> Mapping[int, datetime]:
    """Serials that were revoked and have not expired, with when."""
    rows = await db.fetch(
        "SELECT serial, revoked FROM certificate WHERE revoked IS NOT NULL AND expires > $1",
        wall - _CLOCKS_APART,
    )
    return {int(row["serial"], 16): row["revoked"] for row in rows}


async def shut_out(db: Connection | Pool, wall: datetime) -> Sequence[str]:
    """The ids of boxes that were shut out while a certificate of theirs lasts, in order.

    And those of which the broker has not been told: see `told`.
    """
    rows = await db.fetch(
        """
        SELECT name FROM edge e
        WHERE shut_out IS NOT NULL
          AND (broker_told IS NULL
               OR EXISTS (SELECT FROM certificate c WHERE c.municipality = e.municipality
                            AND c.edge = e.id AND c.expires > $1))
        ORDER BY name
        """,
        wall - _CLOCKS_APART,
    )
    return [row["name"] for row in rows]


async def shut_out_again(
    db: Connection | Pool, listed: Collection[int], now: datetime
) -> Sequence[str]:
    """Shut out whoever has a certificate that our own list at the broker names; their ids.

    The list is older than a database that was restored: who was shut out since its backup stays
    so, and renews nothing. It is signed by us, so nobody else has named them.
    """
    rows = await db.fetch(
        "SELECT name FROM shut_out_again($1, $2) AS name",
        sorted(f"{serial:x}" for serial in listed),
        now,
    )
    return [row["name"] for row in rows]


async def told(db: Connection | Pool, names: Sequence[str], now: datetime) -> None:
    """The broker was given lists that shut these boxes out, and told to read them."""
    await db.execute(
        "UPDATE edge SET broker_told = $2 WHERE name = ANY ($1::text[]) "
        "AND shut_out IS NOT NULL AND broker_told IS NULL",
        sorted(names),
        now,
    )


# ---------------------------------------------------------------- what a code says of us


@dataclass(frozen=True, slots=True, kw_only=True)
class OurAuthority:
    """What the stage `edges` told of itself: see `code` in gateway/edges/code.py."""

    fingerprint: str
    address: str


async def tell_authority(
    db: Connection | Pool, *, fingerprint: str, address: str, now: datetime
) -> None:
    """Codes made from now on name this authority and this address (HOST:PORT)."""
    await db.execute(
        "INSERT INTO authority (fingerprint, address, at) VALUES ($1, $2, $3) "
        "ON CONFLICT (one) DO UPDATE SET fingerprint = excluded.fingerprint, "
        "address = excluded.address, at = excluded.at "
        "WHERE (authority.fingerprint, authority.address) "
        "IS DISTINCT FROM (excluded.fingerprint, excluded.address)",
        fingerprint,
        address,
        now,
    )


async def our_authority(db: Connection | Pool) -> OurAuthority | None:
    """None until the stage `edges` has run once."""
    row = await db.fetchrow("SELECT fingerprint, address FROM authority")
    return None if row is None else OurAuthority(**dict(row))
