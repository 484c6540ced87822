"""The page "Bokse og enheder": contact and faults of boxes and devices, and nobody's name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from gateway.reads import devices as devices_
from gateway.reads import edges as edges_
from gateway.reads.signal import Battery
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.looks import looked
from gateway.web import boxes as boxes_
from gateway.web.box import RIGHT as BOX
from gateway.web.door import Door
from gateway.web.menu import menu
from gateway.web.pages import ZONE, rendered
from gateway.web.words import moment

PATH = "/bokse"
_MOST = 200
_LONGEST = 40
_PLACED: Mapping[str, str] = {
    "call": "nødkald",
    "door": "dør",
    "contact": "skab eller skuffe",
    "dispenser": "medicindispenser",
    "motion": "bevægelse",
    "bed": "seng",
    "thermometer": "termometer",
    "climate": "indeklima",
    "other": "andet",
}
_ASIDE: Mapping[str, str] = {
    "missing_key": "nøglen mangler, så enheden kalder ingen",
    "unreadable": "kan ikke læses; måske er nøglen forkert",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One box or device. `bad` puts it first and says it in a colour and in words.

    A low battery stands before everything else that is bad.
    """

    name: str
    place: str
    state: str
    faults: Sequence[str]
    bad: bool
    signal: str = ""
    page: str = ""
    low: bool = False


def add_things(router: APIRouter, door: Door) -> None:
    """The page, for whoever looks after boxes and devices."""
    asking_ = Depends(door.caller)

    @router.get(PATH)
    async def page(
        request: Request,
        caller: Annotated[Caller, asking_],
        bokse: Annotated[str, Query(max_length=_LONGEST, pattern="^[a-z0-9-]*$")] = "",
        enheder: UUID | None = None,
    ) -> Response:
        now = door.now()
        async with asking(door.pool, caller) as db:
            boxes = await edges_.edges(db, caller, after=bokse or None, limit=_MOST + 1)
            things = await devices_.devices(db, caller, after=enheder, limit=_MOST + 1, now=now)
            placed = [one.placement.citizen for one in things[:_MOST] if one.placement]
            await looked(db, caller, "devices.listed", placed, now)
        return rendered(
            "things.html",
            menu=menu(door, request, caller),
            boxes=_sorted([_box(one, now, door, caller) for one in boxes[:_MOST]]),
            devices=_sorted([_device(one, now, caller) for one in things[:_MOST]]),
            next_boxes=boxes[_MOST - 1].name if len(boxes) > _MOST else "",
            next_devices=things[_MOST - 1].public if len(things) > _MOST else "",
        )


def _sorted(lines: Sequence[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: (not line.low, not line.bad))


def _box(one: edges_.Edge, now: datetime, door: Door, caller: Caller) -> Line:
    faults = boxes_.faults(one, now, door.days_to_keep)
    return Line(
        name=one.name,
        place="i et hjem" if one.home else "uden hjem",
        state=boxes_.contact(one, now),
        faults=faults,
        bad=bool(faults) or (one.joined is not None and one.contact is None),
        signal=boxes_.fares(one),
        page=f"{PATH}/{one.name}" if door.may(caller, BOX) else "",
    )


def _device(one: devices_.Device, now: datetime, caller: Caller) -> Line:
    placed, aside = one.placement, one.set_aside
    faults = [] if aside is None else [_ASIDE.get(aside.reason, "kan ikke læses")]
    battery = one.signal.battery if one.signal else None
    low = battery is not None and battery.low
    if low:
        faults = ["lavt batteri: skift det", *faults]
    place = "på lager"
    if placed is not None:
        role = _PLACED.get(placed.role, placed.role)
        place = f"{role}, {placed.room}" if placed.room else role
    return Line(
        name=one.address,
        place=place,
        state=f"{one.model or 'ukendt model'}, {'med nøgle' if one.keyed else 'uden nøgle'}",
        faults=faults,
        bad=bool(faults),
        signal=_heard(one, now) if caller.may("signal", "reading") else "",
        low=low,
    )


def _heard(one: devices_.Device, now: datetime) -> str:
    """Both are told to the hour: to the minute they would tell when somebody moved."""
    if one.signal is None:
        return "Ikke hørt i de sidste 30 dage, eller siden den blev sat op"
    heard = f"Sidst hørt i timen fra {moment(one.signal.heard, now, ZONE.key)}"
    return f"{heard}, {_charge(one.signal.battery)}"


def _charge(battery: Battery | None) -> str:
    if battery is None:
        return "batteri ikke oplyst"
    if battery.percent is not None:
        return f"batteri {battery.percent:.0f} %"
    if battery.volts is not None:
        return f"batteri {battery.volts:.1f} V".replace(".", ",")
    return "batteriet har meldt sig lavt" if battery.low else "batteri i orden"
