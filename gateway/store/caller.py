"""Who is asking, and which citizens they may see."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from gateway import log
from gateway.store.rights import ROLES, DataClass, Level, Role, may
from gateway.store.seal import NO_KEYS, Place, Seal, Unsealable

__all__ = ["ROLES", "Caller", "Role"]

UNREADABLE = "(kan ikke læses)"
"""Shown for a text that no key opens: a call is told all the same."""

_log = log.get(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One person in one role in one municipality; only `gateway.api.access` makes them live.

    `person` is the inside number, `public` the id that may leave the house. `districts` None
    means every district of the municipality. Every read and every write takes the caller and
    keeps to both; what lies outside is answered as if it did not exist. `access` is the inside
    number of this person in this role. `asked` and `purpose` are this
    request's own: when it came by the Clock, and what for. `session` is the open session's
    outside id; `classes` are the only classes of data that a key is for, None without a bound.
    `seal` opens the names that the database shows this caller.
    """

    municipality: int
    person: int
    public: UUID
    name: str
    role: Role
    districts: frozenset[int] | None = None
    access: int = 0
    asked: datetime | None = field(default=None, compare=False)
    purpose: str = field(default="", compare=False)
    session: UUID | None = field(default=None, compare=False)
    classes: frozenset[str] | None = None
    seal: Seal = field(default=NO_KEYS, compare=False, repr=False)

    @property
    def within(self) -> list[int] | None:
        """The districts as a query takes them: null means all."""
        return None if self.districts is None else sorted(self.districts)

    def may(self, kind: DataClass, level: Level) -> bool:
        """Whether the caller has at least that level in that class of data."""
        within = self.classes is None or kind in self.classes
        return level == "nothing" or (within and may(self.role, kind, level))

    def opens(self, kept: str | None, table: str, row: int, column: str) -> str | None:
        """A text of the schema identity as people read it; UNREADABLE where no key opens it."""
        if not kept:
            return kept
        try:
            return self.seal.open(kept, Place(self.municipality, table, row, column))
        except Unsealable as unsealable:
            _log.error("a name does not open", why=str(unsealable), row=row)
            return UNREADABLE

    @property
    def sees_names(self) -> bool:
        return self.may("identity", "reading")
