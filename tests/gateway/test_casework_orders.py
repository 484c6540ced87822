"""Every order and split of deliveries ends in the same cases, and twice is once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.observation import Kind
from gateway.rules.finding import Heard
from tests.gateway.cases import MemoryCase
from tests.gateway.days import contact, dispenser, heard, local, opened, plan, press

TEN = local("2027-01-10 10:00")
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


EVENING = local("2027-03-27 22:30")  # the night in which the clocks go forward
MORNING = local("2027-03-28 10:00")
NOW = local("2027-03-28 12:00")

moments = st.integers(0, int((MORNING - EVENING) / SECOND)).map(
    lambda seconds: EVENING + timedelta(seconds=seconds)
)


def hearings(start: datetime, gaps: list[int], number: int) -> list[Heard]:
    return [press(start + timedelta(seconds=gap), number=number) for gap in gaps]


facts = st.lists(
    st.one_of(
        st.builds(
            hearings,
            moments,
            st.lists(st.integers(0, 60), min_size=1, max_size=5),
            st.integers(1, 2),
        ),
        moments.map(lambda moment: [opened(moment)]),
        moments.map(lambda moment: [dispenser(moment)]),
        moments.map(lambda moment: [dispenser(moment, slot=None)]),
        moments.map(lambda moment: [dispenser(moment, Kind.DOSE_MISSED)]),
        moments.map(lambda moment: [heard(moment, Kind.BATTERY, role="dispenser", placement=6)]),
    ),
    max_size=8,
).map(lambda groups: [one for group in groups for one in group])


def night_case() -> MemoryCase:
    case = MemoryCase([plan("22:00", "02:30", "08:00", valid_from=EVENING - 5 * HOUR)])
    case.contacts = {
        contact(end=local("2027-03-28 01:30")),
        contact(local("2027-03-28 04:00"), local("2027-03-28 08:15")),
        contact(local("2027-03-28 08:50")),
    }
    return case


def delivered(batches: Sequence[Sequence[Heard]], hours: Sequence[int]) -> MemoryCase:
    case = night_case()
    for batch, hour in zip(batches, hours, strict=True):
        case.deliver(batch, now=EVENING + hour * HOUR)
    case.look(now=NOW)
    return case


@settings(deadline=None)
@given(known=facts, data=st.data())
def test_every_order_and_split_of_deliveries_ends_in_the_same_findings(
    known: list[Heard], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(known))
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(known) - 1)))))
    edges = [0, *(cut for cut in cuts if cut < len(known)), len(known)]
    batches = [shuffled[a:b] for a, b in pairwise(edges) if a < b]
    hours = sorted(
        data.draw(st.lists(st.integers(0, 13), min_size=len(batches), max_size=len(batches)))
    )

    at_once = delivered([known] if known else [], [13] if known else [])

    assert delivered(batches, hours).open_findings() == at_once.open_findings()


@settings(deadline=None)
@given(known=facts)
def test_redelivering_everything_changes_nothing(known: list[Heard]) -> None:
    case = delivered([known] if known else [], [13] if known else [])
    alerts, findings, notices = dict(case.alerts), dict(case.kept), list(case.notices)

    for one in known:
        case.deliver([one], now=NOW)

    assert (case.alerts, case.kept, case.notices) == (alerts, findings, notices)


def test_the_five_hearings_of_a_press_end_alike_in_all_their_orders() -> None:
    hearings = [press(TEN + seconds * SECOND) for seconds in (0, 9, 18, 27, 60)]

    ends = set[object]()
    for order in permutations(hearings):
        case = MemoryCase()
        for one in order:
            case.deliver([one], now=TEN + 2 * MINUTE)
        ends.add(frozenset(case.open_findings()))

    assert len(ends) == 1
