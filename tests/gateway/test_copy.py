"""Rows that we write ourselves arrive in the hot table as the values that they are."""

from datetime import UTC, datetime, timedelta

import asyncpg
from hypothesis import given
from hypothesis import strategies as st

from deploy.runtime.services import OneDatabase
from gateway.store import copy
from gateway.store.copy import ObservationRow

AT = datetime(2026, 9, 21, 14, 13, 20, 123_456, tzinfo=UTC)
SMALL = st.integers(-(2**15), 2**15 - 1)
TIMES = st.integers(-(10**15), 4 * 10**15).map(lambda us: AT + timedelta(microseconds=us))
ROWS = st.tuples(
    st.integers(1, 2**31 - 1),
    SMALL,
    TIMES,
    TIMES,
    SMALL,
    st.none() | st.floats(allow_nan=False),
    st.none() | SMALL,
    SMALL,
    st.integers(1, 2**63 - 1),
)


@given(ROWS)
def test_a_row_is_read_as_it_was_written(row: ObservationRow) -> None:
    assert copy.decoded(copy.encoded(row)) == row


async def test_the_database_reads_what_we_write(fresh_database: OneDatabase) -> None:
    rows: list[ObservationRow] = [
        (7, 1, AT, AT + timedelta(seconds=1), 0, 1.0, None, 0, 42),
        (2**31 - 1, -1, AT - timedelta(days=9_000), AT, 4, None, None, 3, 2**63 - 1),
        (7, 6, AT, AT, 1, -0.35, -(2**15), 2, 1),
        (7, 6, AT, AT, 1, float("inf"), 2**15 - 1, 2, 1),
    ]
    db = await asyncpg.connect(fresh_database.dsn())
    await copy.observations(db, [copy.encoded(row) for row in rows])
    await copy.messages(db, [copy.message(AT, 3, 4, b"\0said"), copy.message(AT, 5, 6, b"")])

    stored = await db.fetch(
        "SELECT device, kind, occurred, received, clock, value, code, quality, batch"
        " FROM observation"
    )
    kept = await db.fetch("SELECT received, stream, batch, payload FROM message")
    await db.close()

    assert {tuple(row) for row in stored} == set(rows)
    assert {tuple(row) for row in kept} == {(AT, 3, 4, b"\0said"), (AT, 5, 6, b"")}


def test_pieces_make_the_same_row() -> None:
    ms = 1_790_000_000_123
    at = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)

    row = (
        copy.device(7) + copy.reading(1, 0.5, None, 1) + copy.occurred(ms, 2) + copy.arrived(ms, 9)
    )

    assert row == copy.encoded((7, 1, at, at, 2, 0.5, None, 1, 9))
