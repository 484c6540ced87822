"""Connections to the database, its types in ours, and its faults in our words."""

import asyncio
import json
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from gateway.settings import Settings
from gateway.store.ranges import Range

Stage = Literal["ingest", "watch", "notify", "edges", "api"]
Row: TypeAlias = asyncpg.Record
if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[Row] | PoolConnectionProxy[Row]
else:  # at run time neither takes a parameter, and others write `Connection | Pool`
    Connection = asyncpg.Connection
REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
"""The rows themselves are refused, and always will be: never retried."""

_SETTINGS = {"timezone": "UTC", "jit": "off"}
_BY_KEY = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}
"""These stages ask by key alone, some hundred at a time, of tables that may hold millions: a plan
made while a table was small must not read all of it later. There is one good plan for each of their
questions, so it is made once: making it anew was a third of what the database did for a call."""
_CONNECTING = 5.0
_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)
_TRY_AGAIN = (
    ConnectionError,
    TimeoutError,
    asyncpg.InternalClientError,  # what asyncpg says of a connection lost between two steps
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.FeatureNotSupportedError,  # what a standby says of a table that it does not have
    asyncpg.LockNotAvailableError,
)


class DatabaseDown(Exception):
    """The database is away, or cannot do it now (stopping, full, a deadlock). Try again later.

    Nothing was changed, unless the connection was lost while committing: then it is not known.
    """


class Deadlock(DatabaseDown):
    """Two transactions waited for each other, and this one gave way. Try again at once."""


class DatabaseFull(DatabaseDown):
    """The database's disk is full. Nothing was changed; later again, and what can wait waits."""


class Pool:
    """Connections of one stage. None is opened before it is needed, so none must be there."""

    def __init__(self, connections: "asyncpg.Pool[Row]") -> None:
        self._connections = connections

    @asynccontextmanager
    async def acquire(self) -> AsyncGenerator["PoolConnectionProxy[Row]"]:
        """One connection, given back at the end of the block. Raises DatabaseDown, also in it."""
        with faults_in_our_words():
            try:
                async with asyncio.timeout(_CONNECTING):  # asyncpg's own makes a task each time
                    connection = await self._connections.acquire()
            except _AWAY as away:
                raise DatabaseDown(_text(away)) from away
            try:
                yield connection
            finally:
                await self._connections.release(connection, timeout=_CONNECTING)

    async def execute(self, query: str, *arguments: object) -> str:
        async with self.acquire() as connection:
            return await connection.execute(query, *arguments)

    async def fetch(self, query: str, *arguments: object) -> list[Row]:
        async with self.acquire() as connection:
            return await connection.fetch(query, *arguments)

    async def fetchrow(self, query: str, *arguments: object) -> Row | None:
        async with self.acquire() as connection:
            return await connection.fetchrow(query, *arguments)

    async def fetchval(self, query: str, *arguments: object) -> Any:  # noqa: ANN401 - SQL's type
        async with self.acquire() as connection:
            return await connection.fetchval(query, *arguments)


@asynccontextmanager
async def connect(settings: Settings, stage: Stage, *, most: int = 10) -> AsyncGenerator[Pool]:
    """The stage's own connections, as the stage's own user, `most` at a time."""
    connections = asyncpg.create_pool(
        settings.database,
        user=f"trygport_{stage}",
        min_size=0,
        max_size=most,
        timeout=_CONNECTING,
        command_timeout=60,
        init=set_up,
        reset=None if stage == "ingest" else as_it_was,
        server_settings={
            "application_name": f"trygport-{stage}",
            **_SETTINGS,
            **(_BY_KEY if stage != "api" else {}),
        },
    )
    async with connections:
        try:
            yield Pool(connections)
        finally:
            # what still runs is rolled back; waiting for it could hold up a stop for a minute
            connections.terminate()


@asynccontextmanager
async def connect_owner(settings: Settings) -> AsyncGenerator["asyncpg.Connection[Row]"]:
    """One connection as the owner, for the commands of an administrator. Raises DatabaseDown."""
    async with connect_to(settings.database_owner.get_secret_value()) as connection:
        yield connection


@asynccontextmanager
async def connect_to(dsn: str) -> AsyncGenerator["asyncpg.Connection[Row]"]:
    """One connection to a whole address. Raises DatabaseDown."""
    with faults_in_our_words():
        try:
            connection = await asyncpg.connect(dsn, timeout=_CONNECTING)
        except _AWAY as away:
            raise DatabaseDown(_text(away)) from away
        try:
            await set_up(connection)
            yield connection
        finally:
            await connection.close()


async def as_it_was(_: object) -> None:
    """Nothing to undo when a connection is given back: only ingest changes a session.

    The usual reset is a question to the server, and a call would wait for it. A transaction that
    was left open is rolled back, and with it what it said for whom it asks, before this is called.
    """


async def set_up(connection: "asyncpg.Connection[Row]") -> None:
    """Give and take jsonb as Python's own values on this connection."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads
    )


def ranges(value: "Iterable[asyncpg.Range[int]]") -> list[Range]:
    """An int8multirange as pairs of first and last, both included. None of ours is unbounded."""
    return [(cast("int", part.lower), cast("int", part.upper) - 1) for part in value]


@contextmanager
def faults_in_our_words() -> Generator[None]:
    """Raises DatabaseDown for whatever a later attempt may mend; other faults stay as they are."""
    try:
        yield
    except asyncpg.DeadlockDetectedError as fault:
        raise Deadlock(_text(fault)) from fault
    except asyncpg.DiskFullError as fault:
        raise DatabaseFull(_text(fault)) from fault
    except _TRY_AGAIN as fault:
        raise DatabaseDown(_text(fault)) from fault
    except asyncpg.InterfaceError as fault:
        if not _is_of_lost_connection(fault):  # else it is our mistake
            raise
        raise DatabaseDown(_text(fault)) from fault


def _is_of_lost_connection(fault: asyncpg.InterfaceError) -> bool:
    """Whether that is how asyncpg says that the connection has gone, or what came of its going.

    "connection is closed", "pool is closing"; one that died in our hands while it did nothing was
    "released back"; and where the server has said goodbye between two steps, the rollback fails in
    words of its own over the step that failed.
    """
    before: BaseException | None = fault
    while before is not None:
        if isinstance(before, _TRY_AGAIN):
            return True
        before = before.__context__
    return any(word in str(fault) for word in ("clos", "released back"))


def _text(fault: BaseException) -> str:
    return str(fault) or type(fault).__name__
