"""Placements over HTTP: a device speaks for a citizen, and a dispenser gets its dose plan."""

from datetime import datetime, time
from http import HTTPStatus
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints, model_validator

from gateway.api.access import Asking
from gateway.api.desk import Desk, Here
from gateway.api.problems import ALWAYS, Conflict, NotFound, Problem, answers
from gateway.api.texts import Time, Word, Zone
from gateway.reads import devices as reads
from gateway.store import placements
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.homes import InTheWay

router = APIRouter(
    tags=["placements"], responses=ALWAYS | answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
)

DeviceRole = Literal[
    "call", "dispenser", "motion", "door", "contact", "bed", "thermometer", "climate", "other"
]


class SlotBody(BaseModel):
    """A dose due at the local time `at` every day, missed after window and grace (minutes)."""

    slot: int = Field(ge=0, le=254)
    at: Annotated[str, StringConstraints(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    window_minutes: int = Field(ge=1, le=720)
    grace_minutes: int = Field(default=0, ge=0, le=720)


class NewDosePlan(BaseModel):
    """Without a zone, the home's own; without a time, from now. No slots: no doses any more."""

    slots: Annotated[list[SlotBody], Field(max_length=24)]
    zone: Zone | None = None
    valid_from: Time | None = None

    @model_validator(mode="after")
    def _each_slot_once(self) -> Self:
        if len({slot.slot for slot in self.slots}) < len(self.slots):
            raise ValueError("a slot may stand in the plan only once")
        return self

    def plan(self) -> placements.DosePlan:
        slots = [
            placements.Slot(
                slot=slot.slot,
                at=time.fromisoformat(slot.at),
                window_minutes=slot.window_minutes,
                grace_minutes=slot.grace_minutes,
            )
            for slot in self.slots
        ]
        return placements.DosePlan(slots=slots, zone=self.zone, valid_from=self.valid_from)


class NewPlacement(BaseModel):
    """The device speaks for this citizen in this role and room; `from` is now, or earlier."""

    citizen: UUID
    role: DeviceRole
    room: Word = ""
    since: Time | None = Field(default=None, alias="from")
    dose_plan: NewDosePlan | None = None


class End(BaseModel):
    """`at` is now if not said, and never later."""

    at: Time | None = None


class DosePlanBody(BaseModel):
    """The newest version of a placement's dose plan."""

    version: int
    zone: str
    valid_from: datetime
    slots: list[SlotBody]


class PlacedCitizen(BaseModel):
    """`name` is null for callers who work with ids."""

    id: UUID
    name: str | None


class PlacementBody(BaseModel):
    """From `from` (included) to `to` (excluded, null while it lasts)."""

    id: UUID
    device: UUID
    citizen: PlacedCitizen
    role: str
    room: str
    since: datetime = Field(serialization_alias="from")
    until: datetime | None = Field(serialization_alias="to")
    dose_plan: DosePlanBody | None


class SetAsideBody(BaseModel):
    """Frames that could not be read in the last 24 hours, or since the device got its key.

    `reason` is the last one's: `missing_key` (none is known, or it does not fit) or `unreadable`.
    """

    count: int
    last: datetime
    reason: str


class PlacedBody(PlacementBody):
    """A new placement. `readable` false warns: what the device says is not understood now."""

    readable: bool
    set_aside: SetAsideBody | None


@router.post("/devices/{public}/placements", status_code=HTTPStatus.CREATED)
async def place(public: UUID, caller: Asking, desk: Here, wanted: NewPlacement) -> PlacedBody:
    """From now on, or since `from`, the device speaks for this citizen."""
    try:
        placed = await placements.place(
            desk.pool,
            caller,
            public,
            citizen=wanted.citizen,
            role=wanted.role,
            room=wanted.room.strip(),
            since=wanted.since,
            plan=wanted.dose_plan and wanted.dose_plan.plan(),
            now=desk.clock.now(),
        )
        async with asking(desk.pool, caller) as db:
            device = await reads.device(db, caller, public, desk.clock.now())
            body = placement_body(await reads.placement(db, caller, placed))
        aside = set_aside_body(device.set_aside)
        return PlacedBody(**dict(body), readable=aside is None, set_aside=aside)
    except LookupError as error:
        raise NotFound from error
    except InTheWay as refused:
        raise Conflict("in-the-way", str(refused)) from refused
    except placements.NotYet as refused:
        raise _not_yet(refused) from refused


@router.post("/placements/{public}/end")
async def end(public: UUID, caller: Asking, desk: Here, wanted: End | None = None) -> PlacementBody:
    """The device stops speaking for the citizen; its dose plan ends with it.

    409 when it called for help after `at`: a call that was heard stays the citizen's.
    """
    try:
        await placements.end_placement(
            desk.pool, caller, public, at=wanted and wanted.at, now=desk.clock.now()
        )
        return await _as_it_is(desk, caller, public)
    except LookupError as error:
        raise NotFound from error
    except InTheWay as refused:
        raise Conflict("in-the-way", str(refused)) from refused
    except placements.NotYet as refused:
        raise _not_yet(refused) from refused


@router.put("/placements/{public}/dose-plan")
async def plan_doses(
    public: UUID, caller: Asking, desk: Here, wanted: NewDosePlan
) -> PlacementBody:
    """A new version of the dose plan; the former one ends where this one begins."""
    try:
        await placements.plan_doses(desk.pool, caller, public, wanted.plan(), now=desk.clock.now())
        return await _as_it_is(desk, caller, public)
    except LookupError as error:
        raise NotFound from error
    except InTheWay as refused:
        raise Conflict("in-the-way", str(refused)) from refused


async def _as_it_is(desk: Desk, caller: Caller, public: UUID) -> PlacementBody:
    async with asking(desk.pool, caller) as db:
        return placement_body(await reads.placement(db, caller, public))


def _not_yet(refused: placements.NotYet) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(refused), kind="not-yet")


def placement_body(placement: reads.Placement) -> PlacementBody:
    """The placement as JSON tells it."""
    return PlacementBody(
        id=placement.public,
        device=placement.device,
        citizen=PlacedCitizen(id=placement.citizen_public, name=placement.citizen_name),
        role=placement.role,
        room=placement.room,
        since=placement.since,
        until=placement.until,
        dose_plan=placement.plan and _plan(placement.plan),
    )


def set_aside_body(aside: reads.SetAside | None) -> SetAsideBody | None:
    """What was not understood, as JSON tells it."""
    return aside and SetAsideBody(count=aside.count, last=aside.last, reason=aside.reason)


def _plan(plan: reads.DosePlan) -> DosePlanBody:
    slots = [
        SlotBody(
            slot=slot.slot,
            at=f"{slot.at:%H:%M}",
            window_minutes=slot.window_minutes,
            grace_minutes=slot.grace_minutes,
        )
        for slot in plan.slots
    ]
    return DosePlanBody(
        version=plan.version, zone=plan.zone, valid_from=plan.valid_from, slots=slots
    )
