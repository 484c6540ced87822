"""Builds the facts of a citizen's day; a test names only what it is about."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta

from adapters.observation import Kind
from gateway.home import DosePlan, Slot, zone_info
from gateway.rules.finding import Contact, Heard, Window

ZONE = "Europe/Copenhagen"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def local(text: str, fold: int = 0) -> datetime:
    """The UTC instant of a local Copenhagen time, "2027-03-28 02:30"."""
    return datetime.fromisoformat(text).replace(tzinfo=zone_info(ZONE), fold=fold).astimezone(UTC)


def heard(
    at: datetime,
    kind: Kind,
    *,
    role: str,
    device: int = 17,
    placement: int | None = 3,
    room: str = "",
    value: float | None = None,
    code: int | None = None,
) -> Heard:
    return Heard(at, device, placement, role, room, kind, value, code)


def press(at: datetime, number: int = 5, **other: object) -> Heard:
    known = {"role": "call", "room": "stue"} | other
    return heard(at, Kind.CALL_PRESSED, value=float(number), **known)  # pyright: ignore[reportArgumentType]


def opened(at: datetime, room: str = "entré", device: int = 18) -> Heard:
    return heard(at, Kind.DOOR, role="door", value=1.0, room=room, device=device, placement=4)


def dispenser(at: datetime, kind: Kind = Kind.DOSE_TAKEN, slot: int | None = 1) -> Heard:
    return heard(at, kind, role="dispenser", device=19, placement=PLACED, code=slot)


PLACED = 6


def plan(
    *at: str,
    window: int = 60,
    grace: int = 30,
    valid_from: datetime = LONG_AGO,
    valid_to: datetime | None = None,
    placed_until: datetime | None = None,
) -> DosePlan:
    """A plan with a slot for each local time, numbered from 1; window and grace in minutes."""
    slots = tuple(
        Slot(n, time.fromisoformat(one), timedelta(minutes=window), timedelta(minutes=grace))
        for n, one in enumerate(at, start=1)
    )
    return DosePlan(PLACED, slots, valid_from, valid_to, ZONE, placed_until)


def contact(
    start: datetime = LONG_AGO,
    end: datetime | None = None,
    *,
    ended_by: str | None = None,
    sure_from: datetime | None = None,
    call_button: bool = True,
    name: str = "box-a",
) -> Contact:
    by = ended_by or ("lost" if end else None)
    return Contact(1, name, start, end, by, sure_from, call_button)  # pyright: ignore[reportArgumentType]


def window(
    now: datetime,
    *,
    heard: Iterable[Heard] = (),
    contacts: Iterable[Contact] = (),
    doses: Iterable[DosePlan] = (),
    back: timedelta = timedelta(hours=80),
) -> Window:
    in_order = tuple(sorted(heard, key=lambda one: (one.occurred, one.device)))
    return Window(ZONE, now - back, now, in_order, tuple(contacts), tuple(doses))
