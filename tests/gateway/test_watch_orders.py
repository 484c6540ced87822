"""Every delivery order of the same facts ends in the same findings, through the real database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.frame import Lane
from adapters.observation import Kind
from gateway.home import Citizen
from gateway.store.pool import Pool
from gateway.watch import Watch
from tests.gateway.days import local
from tests.gateway.house import LONG_AGO, House, Seen, StillClock
from tests.gateway.watching import SECOND, TEN, until_quiet, watching

END = local("2027-01-12 12:00")
_LATE = " Hændelsen er efterregistreret."


@dataclass(frozen=True, slots=True)
class Said:
    """Something that a device of this role said."""

    role: str
    kind: Kind
    at: datetime
    value: float | None = None
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """The box was in contact from then to then."""

    at: datetime
    until: datetime | None


Fact: TypeAlias = Said | Line

FACTS: tuple[Fact, ...] = (
    # one press heard three times in a chain, another number between, and a second press
    *(Said("call", Kind.CALL_PRESSED, TEN + s * SECOND, 5.0) for s in (0, 8, 16, 40)),
    Said("call", Kind.CALL_PRESSED, TEN + 3 * SECOND, 6.0),
    *(
        Said("door", Kind.DOOR, local(at), 1.0)
        for at in ("2027-01-10 23:10", "2027-01-11 01:20", "2027-01-11 22:59", "2027-01-11 23:01")
    ),
    Said("door", Kind.DOOR, local("2027-01-11 01:21"), 0.0),
    Said("dispenser", Kind.DOSE_TAKEN, local("2027-01-10 08:12"), code=1),
    Said("dispenser", Kind.DOSE_TAKEN, local("2027-01-11 10:10"), code=1),
    Said("dispenser", Kind.HEARTBEAT, local("2027-01-12 07:00")),
    Line(LONG_AGO, local("2027-01-10 14:00")),
    Line(local("2027-01-10 15:00"), local("2027-01-11 07:00")),
    Line(local("2027-01-11 07:00:20"), None),
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Facts that come together, and whether watch gets to them before the next ones come."""

    facts: Sequence[Fact]
    lane: Lane
    judged: bool
    twice: bool


@st.composite
def deliveries(draw: st.DrawFn) -> list[Delivery]:
    known = draw(st.lists(st.sampled_from(FACTS), unique=True, min_size=1))
    cuts = draw(st.sets(st.integers(0, len(known)), max_size=len(known)))
    edges = sorted({0, len(known), *cuts})
    return [
        Delivery(
            known[start:end],
            draw(st.sampled_from(("urgent", "bulk"))),
            judged=draw(st.booleans()),
            twice=draw(st.booleans()),
        )
        for start, end in pairwise(edges)
    ]


def in_order(delivered: Sequence[Delivery]) -> list[Delivery]:
    """The same facts as a perfect line brings them: one by one, each judged at once."""
    facts = sorted((fact for one in delivered for fact in one.facts), key=lambda fact: fact.at)
    return [Delivery([fact], "urgent", judged=True, twice=False) for fact in facts]


class Life:
    """A citizen with a button, a door, a dispenser and a box, watched as facts are delivered."""

    def __init__(self, home: House, citizen: Citizen, watch: Watch, clock: StillClock) -> None:
        self.home = home
        self.citizen = citizen
        self.watch = watch
        self.clock = clock
        self.devices: dict[str, int] = {}

    @classmethod
    async def begin(cls, home: House, pool: Pool) -> "Life":
        made = cls(home, await home.citizen(), *watching(pool, local("2027-01-10 00:00")))
        for role in ("call", "door", "dispenser"):
            made.devices[role] = await home.placed(made.citizen, role)
        valid_from = local("2027-01-10 00:00")
        await home.plan(made.devices["dispenser"], "08:00", valid_from=valid_from)
        return made

    async def live(self, delivered: Sequence[Delivery]) -> None:
        for one in delivered:
            latest = max(fact.at for fact in one.facts)
            self.clock.at = max(self.clock.at, latest + SECOND)
            for lane in (one.lane, "bulk") if one.twice else (one.lane,):
                await self._said([fact for fact in one.facts if isinstance(fact, Said)], lane)
            for fact in one.facts:
                if isinstance(fact, Line):
                    await self.home.contact(self.citizen, fact.at, fact.until)
                    await self.home.due(self.citizen, self.clock.at)
            if one.judged:
                await until_quiet(self.watch)
        self.clock.at = END
        await self.home.due(self.citizen, END)
        await until_quiet(self.watch)

    async def _said(self, said: Sequence[Said], lane: Lane) -> None:
        rows = [
            Seen(self.devices[one.role], one.kind, one.at, value=one.value, code=one.code)
            for one in said
        ]
        if rows:
            await self.home.deliver([self.citizen], rows, lane=lane, received=self.clock.at)

    async def findings(self) -> set[tuple[object, ...]]:
        """What is found, without the numbers that are this citizen's own."""
        rows = await self.home.rows(
            "SELECT * FROM finding WHERE citizen = $1 AND state <> 'withdrawn'",
            self.citizen.number,
        )
        return {
            (
                row["rule"],
                row["subject"].partition(":")[2],
                row["since"],
                row["until"],
                row["state"],
                row["reason"].replace(_LATE, ""),
            )
            for row in rows
        }

    async def everything(self) -> list[list[dict[str, object]]]:
        """All that is kept of the citizen, and all that anybody was told."""
        mine = self.citizen.number
        findings = await self.home.rows(
            "SELECT * FROM finding WHERE citizen = $1 ORDER BY id", mine
        )
        alerts = await self.home.rows("SELECT * FROM alert WHERE citizen = $1 ORDER BY id", mine)
        notices = await self.home.rows(
            "SELECT n.* FROM notice n JOIN alert a ON a.id = n.alert WHERE a.citizen = $1"
            " ORDER BY n.id",
            mine,
        )
        return [findings, alerts, notices]


async def ends_alike(home: House, pool: Pool, delivered: Sequence[Delivery]) -> None:
    """Deliver it so, and as a perfect line would have; then all of it once more."""
    life, perfect = await Life.begin(home, pool), await Life.begin(home, pool)
    await perfect.live(in_order(delivered))
    await life.live(delivered)
    assert await life.findings() == await perfect.findings()
    assert await home.count("pending") == 0

    before = await life.everything()
    again = [fact for one in delivered for fact in one.facts if isinstance(fact, Said)]
    await life.live([Delivery(again, "bulk", judged=True, twice=True)] if again else [])
    assert await life.everything() == before


_FITTING = settings(
    deadline=None,
    # a new citizen for each example, in the one database
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.slow
@settings(_FITTING, max_examples=15)
@given(deliveries())
async def test_every_order_and_grouping_ends_in_the_same_findings_and_twice_changes_nothing(
    home: House, pool: Pool, delivered: list[Delivery]
) -> None:
    await ends_alike(home, pool, delivered)


@pytest.mark.long
@settings(_FITTING, max_examples=200)
@given(deliveries())
async def test_every_order_and_grouping_of_very_many_ends_in_the_same_findings(
    home: House, pool: Pool, delivered: list[Delivery]
) -> None:
    await ends_alike(home, pool, delivered)
