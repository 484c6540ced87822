"""What every file's rows have in common: each is brought in whole, or refused with a reason."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Literal, Protocol, TypeVar
from uuid import UUID

from asyncpg.exceptions import IntegrityConstraintViolationError

from gateway.store.register.book import Book, By, Change
from gateway.store.register.lines import Refused
from gateway.store.register.table import Line

State = Literal["new", "changed", "same", "refused"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row. `column` and `reason` (Danish) say why it was refused."""

    line: int
    state: State
    column: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """The one-time secret of a box that was made: told once."""

    line: int
    box: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Every row's outcome in the order of the file. `public` names the import, if it was kept."""

    public: UUID | None
    outcomes: Sequence[Outcome]
    codes: Sequence[Code] = ()

    def count(self, state: State) -> int:
        return sum(one.state == state for one in self.outcomes)


Claim = tuple[str, str, str]
"""A column, whose it is, and what a row says of it."""


class _Row(Protocol):
    @property
    def line(self) -> int: ...


W = TypeVar("W", bound=_Row)


def read_line(wanted: Callable[[Line], W], line: Line) -> W | Refused:
    """What the row says, or why it is refused."""
    try:
        return wanted(line)
    except Refused as refused:
        return refused


@dataclass(slots=True, kw_only=True)
class Rows(ABC, Generic[W]):
    """One import on its way; `said` is what earlier rows of the file said, and on which line."""

    book: Book
    by: By
    now: datetime
    codes: list[Code] = field(default_factory=list[Code])
    said: dict[tuple[str, str], tuple[str, int]] = field(
        default_factory=dict[tuple[str, str], tuple[str, int]]
    )

    @abstractmethod
    def claims(self, want: W) -> Sequence[Claim]:
        """What no other row of the file may say otherwise."""

    @abstractmethod
    async def bring(self, want: W) -> None:
        """Write what differs. Raises Refused."""

    def is_so(self, want: W) -> bool:  # noqa: ARG002 - who knows without asking says so
        """Whether all that the row says is known to be so already."""
        return False

    def touched(self, want: W) -> None:
        """The row has changed something."""

    async def all(self, rows: Sequence[tuple[int, W | Refused]]) -> list[Outcome]:
        """Every row in its order."""
        return [await self.line(number, want) for number, want in rows]

    def say(self, want: W) -> None:
        """No later row may say otherwise."""
        claims = self.claims(want)
        self.said.update({(name, whose): (value, want.line) for name, whose, value in claims})

    async def line(self, number: int, want: W | Refused) -> Outcome:
        """One row by itself, in a savepoint of its own."""
        before, codes = len(self.book.changes), len(self.codes)
        try:
            if isinstance(want, Refused):
                raise want
            self._agree(self.claims(want))
            if not self.is_so(want):
                async with self.book.db.transaction():
                    await self.bring(want)
        except Refused as refused:
            column, reason = refused.column, refused.reason
        except IntegrityConstraintViolationError:
            # it is there, where this caller may not see it
            column, reason = "", "rækken passer ikke med noget, der er registreret et andet sted"
        else:
            if len(self.book.changes) > before:
                self.touched(want)
            self.say(want)
            return Outcome(number, self.state(self.book.changes[before:]))
        del self.book.changes[before:], self.codes[codes:]
        return Outcome(number, "refused", column, reason)

    def state(self, made: Sequence[Change]) -> State:
        """What becomes of a row that made these changes."""
        if any(change.before is None for change in made):
            return "new"
        return "changed" if made else "same"

    def _agree(self, claims: Sequence[Claim]) -> None:
        """Two rows that contradict each other would change each other's work at every run."""
        for column, whose, value in claims:
            before, at = self.said.get((column, whose), (value, 0))
            if before != value:
                raise Refused(column, f"linje {at} siger noget andet om {whose}")
