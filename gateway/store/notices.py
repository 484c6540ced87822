"""What is to be told, to whom, by which channel, and with what result."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.store.pool import Connection, Pool

_NEW = """
    INSERT INTO notice (municipality, alert, channel, type, made, due)
    SELECT a.municipality, a.id, $3, w.type, $4, $4
    FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS w (alert, type, place)
    JOIN alert a ON a.public = w.alert AND a.municipality = ANY ($5::integer[])
    ORDER BY w.place
"""
_WAKE = "SELECT pg_notify('notice', '')"
# What comes after a case was raised is not told before the raising itself.
_TOLD_FIRST = """
    NOT EXISTS (
        SELECT FROM notice r
        WHERE r.municipality = w.municipality AND r.alert = w.alert AND r.channel = w.channel
          AND r.type = 'alert.raised' AND r.state = 'waiting' AND r.id < w.id
    )
"""
# The row is not held while it is sent: it becomes due again if this process dies meanwhile, and
# the receiver knows it by its id. Without a result it is under way.
_CLAIM = f"""
    UPDATE notice n
    SET attempts = n.attempts + 1, due = $2, result = ''
    FROM (
        SELECT municipality, id FROM notice w
        WHERE state = 'waiting' AND due <= $1 AND channel = ANY ($4::text[]) AND {_TOLD_FIRST}
        ORDER BY due, id LIMIT $3
        FOR UPDATE SKIP LOCKED
    ) d, alert a
    WHERE n.municipality = d.municipality AND n.id = d.id
      AND a.municipality = n.municipality AND a.id = n.alert
    RETURNING n.municipality, n.id, n.public, n.channel, n.type, n.made, n.attempts,
              a.public AS alert, a.kind, a.state, a.since, a.raised, a.late
"""  # noqa: S608 - our own text
_NEXT_DUE = f"""
    SELECT min(due) FROM notice w
    WHERE state = 'waiting' AND channel = ANY ($1::text[]) AND {_TOLD_FIRST}
"""  # noqa: S608 - our own text
_PULLED = """
    UPDATE notice SET due = $2
    WHERE state = 'waiting' AND channel = $1 AND due > $2 AND result <> ''
"""
# Only the attempt that this result is of: a later one, after a pause of ours, has its own.
_RESULT = """
    UPDATE notice SET state = $4, result = $5, due = $6, sent = $7
    WHERE municipality = $1 AND id = $2 AND attempts = $3 AND state = 'waiting'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueNotice:
    """One notice to send now, and what it says: ids and words of ours, no names.

    `attempts` counts this one; `public` is the same for all of them. Times are aware UTC.
    """

    municipality: int
    number: int
    public: UUID
    channel: str
    type: str
    made: datetime
    attempts: int
    alert: UUID
    kind: str
    state: str
    since: datetime
    raised: datetime
    late: bool


async def make(
    db: Connection,
    channel: str,
    notices: Sequence[tuple[UUID, str]],
    *,
    municipalities: Sequence[int],
    now: datetime,
) -> None:
    """Note what is to be told: pairs of an alert and the type of the notice, in that order."""
    if notices:
        alerts, types = [one[0] for one in notices], [one[1] for one in notices]
        await db.execute(_NEW, alerts, types, channel, now, list(municipalities))
        await db.execute(_WAKE)


async def claim(
    pool: Pool, channels: Sequence[str], *, now: datetime, until: datetime, limit: int
) -> list[DueNotice]:
    """Take due notices that nobody else has; each is ours until `until`, then due again."""
    rows = await pool.fetch(_CLAIM, now, until, limit, list(channels))
    return [
        DueNotice(number=row["id"], **{k: v for k, v in row.items() if k != "id"}) for row in rows
    ]


async def next_due(pool: Pool, channels: Sequence[str]) -> datetime | None:
    """Return when the next notice is due, None when none waits."""
    return await pool.fetchval(_NEXT_DUE, list(channels))


async def pull_forward(pool: Pool, channel: str, *, now: datetime) -> bool:
    """Make due now what failed and waits for its next attempt; whether there was any."""
    return await pool.execute(_PULLED, channel, now) != "UPDATE 0"


async def sent(pool: Pool, notice: DueNotice, result: str, *, now: datetime) -> None:
    """Note that it was delivered."""
    await _note(pool, notice, result, state="sent", at=now)


async def again(pool: Pool, notice: DueNotice, result: str, *, due: datetime) -> None:
    """Note that this attempt failed and when the next one is."""
    await _note(pool, notice, result, state="waiting", due=due)


async def give_up(pool: Pool, notice: DueNotice, result: str) -> None:
    """Note that it will not be tried again, and why."""
    await _note(pool, notice, result, state="given_up")


async def _note(
    pool: Pool,
    notice: DueNotice,
    result: str,
    *,
    state: str,
    due: datetime | None = None,
    at: datetime | None = None,
) -> None:
    await pool.execute(
        _RESULT, notice.municipality, notice.number, notice.attempts, state, result, due, at
    )
