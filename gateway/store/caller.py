"""Who is asking, and which citizens they may see."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

Role = Literal[
    "staff",
    "planner",
    "technician",
    "clinical_owner",
    "leader",
    "auditor",
    "administrator",
    "robot",
]
ROLES: tuple[Role, ...] = get_args(Role)

NAMES: frozenset[Role] = frozenset({"staff", "planner", "clinical_owner", "leader"})
"""The roles that are shown citizens' names and addresses; the others work with ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One person in one role in one municipality; only `gateway.api.access` makes them live.

    `person` is the inside number, `public` the id that may leave the house. `districts` None
    means every district of the municipality. Every read and every write takes the caller and
    keeps to both; what lies outside is answered as if it did not exist. `access` is the inside
    number of this person in this role, 0 where nobody signed in. `asked` and `purpose` are this
    request's own: when it came by the Clock, and what for.
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

    @property
    def within(self) -> list[int] | None:
        """The districts as a query takes them: null means all."""
        return None if self.districts is None else sorted(self.districts)

    @property
    def sees_names(self) -> bool:
        return self.role in NAMES
