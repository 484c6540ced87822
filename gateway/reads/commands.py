"""What somebody asked of a box and what it answered, for who asked."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from gateway.store.caller import Caller
from gateway.store.commands import KEPT
from gateway.store.pool import Connection

State = Literal["waiting", "answered", "refused", "no_answer"]
_ON_THE_WAY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`found` is what the box found, or None; `error` its word for why it did nothing."""

    public: UUID
    what: str
    seconds: int
    asked: datetime
    until: datetime
    answered: datetime | None
    error: str | None
    found: Sequence[dict[str, Any]] | None

    def state(self, now: datetime) -> State:
        """How far it has come."""
        if self.answered is not None:
            return "answered" if self.error is None else "refused"
        late = self.until + timedelta(seconds=self.seconds) + _ON_THE_WAY
        return "waiting" if now < late else "no_answer"


_COMMAND = """
    SELECT c.public, c.what, c.seconds, c.asked, c.until, c.answered, c.error,
           c.found::text AS found
    FROM command c JOIN edge e ON e.municipality = c.municipality AND e.id = c.edge
    WHERE c.municipality = $1 AND e.name = $2 AND c.public = $3 AND c.asked > $4
"""


async def command(
    db: Connection, caller: Caller, edge: str, public: UUID, now: datetime
) -> Command | None:
    """The caller's own, of that box and of the last hour; else None."""
    row = await db.fetchrow(_COMMAND, caller.municipality, edge, public, now - KEPT)
    if row is None:
        return None
    said = dict(row)
    found = said.pop("found")
    return Command(**said, found=None if found is None else json.loads(found))
