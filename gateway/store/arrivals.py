"""Sign-ins by the provider: under way, come back, and which roles its claims give."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.oidc.flow import LOGIN_LIFE, Attempt
from gateway.oidc.token import Identity
from gateway.store.asking import asking
from gateway.store.caller import Caller, Role
from gateway.store.pool import Connection, Pool
from gateway.store.seal import Place, Seal
from gateway.store.secrets import digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Underway:
    """What is kept of a sign-in that has gone to the provider; `browser` only as its digest."""

    browser: bytes
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """The person, and the access that they begin in; inside numbers."""

    municipality: int
    person: int
    access: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Who brings this claim with this value has this role; `districts` by name, None: all."""

    public: UUID
    claim: str
    value: str
    role: Role
    districts: tuple[str, ...] | None


async def begun(pool: Pool, made: Attempt, now: datetime) -> None:
    """Keep an attempt until it comes back. Sweeps those away that never did."""
    await pool.execute(
        "SELECT begin_login($1, $2, $3, $4, $5, $6)",
        digest(made.state),
        digest(made.browser),
        made.nonce,
        made.verifier,
        now,
        now + LOGIN_LIFE,
    )


async def taken(pool: Pool, state: str, now: datetime) -> Underway | None:
    """The attempt with this state, which is taken out: of two that ask at once, one has it."""
    row = await pool.fetchrow("SELECT * FROM take_login($1, $2)", digest(state), now)
    return None if row is None else Underway(**dict(row))


async def arrived(
    pool: Pool, municipality: str, found: Identity, now: datetime, seal: Seal
) -> Entered | None:
    """The person whom the provider means, with the roles that the claims give now.

    Roles that they give no longer end, with their sessions. None: no role, or the person has left.
    """
    pairs = sorted(found.claims)
    row = await pool.fetchrow(
        "SELECT * FROM enter_by_provider($1, $2, $3, $4, $5, $6, $7)",
        municipality,
        found.issuer,
        found.subject,
        found.login,
        [claim for claim, _ in pairs],
        [value for _, value in pairs],
        now,
    )
    if row is None:
        return None
    entered = Entered(**dict(row))
    place = Place(entered.municipality, "person", entered.person, "name")
    await pool.execute(
        "SELECT name_person($1, $2, $3)",
        entered.municipality,
        entered.person,
        seal.seal(found.name, place),
    )
    return entered


_LINES = """
    SELECT o.public, o.claim, o.value, o.role,
           CASE WHEN o.districts IS NOT NULL THEN ARRAY(
               SELECT d.name FROM district d
               WHERE d.municipality = o.municipality AND d.id = ANY (o.districts)
               ORDER BY d.name) END AS districts
    FROM oidc_mapping o WHERE o.municipality = $1 ORDER BY o.claim, o.value, o.role
"""


async def lines(pool: Pool, caller: Caller) -> list[Line]:
    """The mapping of the caller's municipality, for who may see it."""
    async with asking(pool, caller) as db:
        return await lines_of(db, caller.municipality)


async def lines_of(db: Connection, municipality: int) -> list[Line]:
    """The mapping of one municipality."""
    rows = await db.fetch(_LINES, municipality)
    return [
        Line(
            public=row["public"],
            claim=row["claim"],
            value=row["value"],
            role=row["role"],
            districts=None if row["districts"] is None else tuple(row["districts"]),
        )
        for row in rows
    ]


async def add_line(
    db: Connection,
    municipality: int,
    *,
    claim: str,
    value: str,
    role: Role,
    districts: Sequence[int] | None,
) -> UUID:
    """One more line; the same claim, value and role again replaces the districts."""
    await db.execute(
        "DELETE FROM oidc_mapping WHERE municipality = $1 AND claim = $2 AND value = $3 "
        "AND role = $4",
        municipality,
        claim,
        value,
        role,
    )
    public: UUID = await db.fetchval(
        "INSERT INTO oidc_mapping (municipality, claim, value, role, districts) "
        "VALUES ($1, $2, $3, $4, $5) RETURNING public",
        municipality,
        claim,
        value,
        role,
        districts,
    )
    return public


async def remove_line(db: Connection, municipality: int, public: UUID) -> bool:
    """The line gives no role any more, from each person's next sign-in. False: there is none."""
    gone = await db.fetchval(
        "DELETE FROM oidc_mapping WHERE municipality = $1 AND public = $2 RETURNING id",
        municipality,
        public,
    )
    return gone is not None
