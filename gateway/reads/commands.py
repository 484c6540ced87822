"""What somebody asked of a box and what it answered, for who asked."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from gateway.reads.box_events import without_strangers
from gateway.store.caller import Caller
from gateway.store.commands import KEPT, TERMS
from gateway.store.pool import Connection

State = Literal["waiting", "answered", "refused", "no_answer"]
_ON_THE_WAY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`error` is the box's word for why it did nothing; the others are what came of it, or None.

    `found` is what was in the air, `did` short words about the deed, `log` lines of its program.
    """

    public: UUID
    what: str
    seconds: int
    asked: datetime
    until: datetime
    answered: datetime | None
    error: str | None
    found: Sequence[dict[str, Any]] | None
    did: Mapping[str, Any] | None = None
    log: str | None = None

    @property
    def seen_as(self) -> str:
        """What looking at the answer is called in the access log."""
        terms = {str(word): terms for word, terms in TERMS.items()}.get(self.what)
        return "box.answer_seen" if terms is None else terms.seen

    def state(self, now: datetime) -> State:
        """How far it has come."""
        if self.answered is not None:
            return "answered" if self.error is None else "refused"
        late = self.until + timedelta(seconds=self.seconds) + _ON_THE_WAY
        return "waiting" if now < late else "no_answer"


_COMMAND = """
    SELECT c.public, c.what, c.seconds, c.asked, c.until, c.answered, c.error,
           c.found::text AS found, c.did::text AS did, c.log
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
    for name in ("found", "did"):
        said[name] = None if said[name] is None else json.loads(said[name])
    if said["log"] is not None:
        said["log"] = await without_strangers(db, caller, edge, said["log"])
    return Command(**said)
