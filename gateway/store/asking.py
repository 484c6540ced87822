"""A transaction that begins by saying for whom it asks: the only way in for the API."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from asyncpg.exceptions import InsufficientPrivilegeError

from gateway.store.caller import Caller
from gateway.store.pool import Connection, Pool

# `true`: the setting ends with the transaction, so the next borrower of the connection has none.
_WORDS = """
    SELECT set_config('trygport.municipality', $1, true), set_config('trygport.person', $2, true),
           set_config('trygport.access', $3, true), set_config('trygport.role', $4, true),
           set_config('trygport.districts', $5, true), set_config('trygport.purpose', $6, true),
           set_config('trygport.now', $7, true), set_config('trygport.classes', $8, true)
"""


class NotAllowed(Exception):
    """The policies refuse what the caller wanted to write; nothing was changed."""


@asynccontextmanager
async def asking(pool: Pool, caller: Caller, *, purpose: str = "") -> AsyncGenerator[Connection]:
    """One transaction as this caller: the policies show what is theirs, and nothing else.

    Raises DatabaseDown, and NotAllowed for a row that is not the caller's to write. Nothing that
    was changed stays when the block raises.
    """
    try:
        async with pool.acquire() as db, db.transaction():
            await say(db, caller, purpose=purpose)
            yield db
    except InsufficientPrivilegeError as refused:
        raise NotAllowed(str(refused)) from refused


async def say(db: Connection, caller: Caller, *, purpose: str = "") -> None:
    """Say for whom this transaction asks; `asking` does. Outside a transaction it says nothing."""
    await db.execute(_WORDS, *_words(caller, purpose))


def _words(caller: Caller, purpose: str) -> tuple[str, ...]:
    """What the policies read, as text; empty is nobody, but of districts and classes all."""
    within = caller.within
    return (
        str(caller.municipality),
        str(caller.person),
        str(caller.access) if caller.access else "",
        caller.role,
        "" if within is None else "{" + ",".join(map(str, within)) + "}",
        purpose or caller.purpose,
        "" if caller.asked is None else caller.asked.isoformat(),
        "" if caller.classes is None else "{" + ",".join(sorted(caller.classes)) + "}",
    )
