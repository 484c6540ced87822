"""What is kept of an import: what became of each row, and whether it was taken back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.store.pool import Connection
from gateway.store.register.book import By
from gateway.store.register.rows import Outcome, Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """An import that was kept; `citizens` are those whom it made or changed."""

    at: datetime
    undone: datetime | None
    citizens: Sequence[int]
    report: Report


async def imported(db: Connection, by: By, public: UUID) -> Imported:
    """The import. Raises LookupError when it is not there for this caller."""
    row = await db.fetchrow(
        "SELECT at, undone, rows, ARRAY(SELECT DISTINCT c.row FROM import_change c "
        "WHERE c.municipality = import.municipality AND c.import = import.id "
        "AND c.thing IN ('citizen', 'identity')) AS citizens "
        "FROM import WHERE municipality = $1 AND public = $2",
        by.municipality,
        public,
    )
    if row is None:
        raise LookupError(str(public))
    report = Report(public=public, outcomes=[Outcome(**one) for one in row["rows"]])
    return Imported(at=row["at"], undone=row["undone"], citizens=row["citizens"], report=report)
