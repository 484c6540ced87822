"""Placements over HTTP: a device speaks for a citizen, and a dispenser gets its dose plan.

Placing and ending are acts, kept apart by what is there (409): they need no If-Match, edits do.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from http import HTTPStatus
from typing import Annotated, Literal, Self, get_args
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field, StringConstraints, model_validator

from gateway.api.access import Asking
from gateway.api.desk import Desk, Here
from gateway.api.etags import Matching, MatchingIfSent, stale_problem, tag
from gateway.api.problems import ALWAYS, Conflict, NotFound, Problem, answers
from gateway.api.texts import Time, Word, Zone
from gateway.reads import devices as reads
from gateway.store import placements
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.homes import InTheWay
from gateway.store.looks import looked
from gateway.store.register.lines import BASES
from gateway.store.versions import Stale, Versions

router = APIRouter(
    tags=["placements"], responses=ALWAYS | answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
)

DeviceRole = Literal[
    "call", "dispenser", "motion", "door", "contact", "bed", "thermometer", "climate", "other"
]


Basis = Literal["samtykke", "sel-128a", "sel-128b", "ældreloven", "sul-138"]
"""Consent, Serviceloven §128 a and b, Ældreloven, home nursing (SUL §138): the file's own words."""
_WORDS: Mapping[str, Basis] = {BASES[word]: word for word in get_args(Basis)}
_EDITED = answers(HTTPStatus.PRECONDITION_FAILED, HTTPStatus.PRECONDITION_REQUIRED)


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
    """The device speaks for this citizen in this role and room; `from` is now, or earlier.

    `legal_basis` is why it may; `to` is for a placement that has ended already.
    """

    citizen: UUID
    role: DeviceRole
    room: Word = ""
    legal_basis: Basis
    since: Time | None = Field(default=None, alias="from")
    until: Time | None = Field(default=None, alias="to")
    dose_plan: NewDosePlan | None = None


class PlacementChange(BaseModel):
    """The whole of what may be edited; another role is another placement."""

    room: Word
    legal_basis: Basis


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
    """From `from` (included) to `to` (excluded, null while it lasts).

    `legal_basis` is null where it was placed before that was asked for; `version` stands in the
    ETag too, and is another one with each new dose plan.
    """

    id: UUID
    device: UUID
    citizen: PlacedCitizen
    role: str
    room: str
    legal_basis: Basis | None
    since: datetime = Field(serialization_alias="from")
    until: datetime | None = Field(serialization_alias="to")
    dose_plan: DosePlanBody | None
    version: int


class SetAsideBody(BaseModel):
    """Frames that could not be read in the last 24 hours, or since the device got its key.

    `reason` is the last one's: `missing_key` (none is known, or it does not fit),
    `sealed_key` (what is kept of it does not open) or `unreadable`.
    """

    count: int
    last: datetime
    reason: str


class PlacedBody(PlacementBody):
    """A new placement. `readable` false warns: what the device says is not understood now."""

    readable: bool
    set_aside: SetAsideBody | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """A change of one placement: who asks, of which versions, and the answer for its ETag."""

    caller: Caller
    desk: Desk
    answer: Response
    versions: Versions

    async def done(self, public: UUID, changing: Awaitable[object]) -> PlacementBody:
        """The placement after the change, its refusals as problems."""
        try:
            await changing
            async with asking(self.desk.pool, self.caller) as db:
                found = await reads.placement(db, self.caller, public)
        except LookupError as error:
            raise NotFound from error
        except InTheWay as refused:
            raise Conflict("in-the-way", str(refused)) from refused
        except placements.NotYet as refused:
            raise _not_yet(refused) from refused
        except Stale as stale:
            raise stale_problem() from stale
        tag(self.answer, found.version)
        return placement_body(found)


def _edit(caller: Asking, desk: Here, answer: Response, versions: Matching) -> _Change:
    return _Change(caller=caller, desk=desk, answer=answer, versions=versions)


def _act(caller: Asking, desk: Here, answer: Response, versions: MatchingIfSent) -> _Change:
    return _Change(caller=caller, desk=desk, answer=answer, versions=versions)


Matched = Annotated[_Change, Depends(_edit)]
MatchedIfSent = Annotated[_Change, Depends(_act)]


@router.post("/devices/{public}/placements", status_code=HTTPStatus.CREATED)
async def place(
    public: UUID, caller: Asking, desk: Here, wanted: NewPlacement, answer: Response
) -> PlacedBody:
    """From now on, or since `from`, the device speaks for this citizen."""
    try:
        placed = await placements.place(
            desk.pool,
            caller,
            public,
            citizen=wanted.citizen,
            role=wanted.role,
            room=wanted.room.strip(),
            basis=BASES[wanted.legal_basis],
            since=wanted.since,
            until=wanted.until,
            plan=wanted.dose_plan and wanted.dose_plan.plan(),
            now=desk.clock.now(),
        )
        async with asking(desk.pool, caller) as db:
            device = await reads.device(db, caller, public, desk.clock.now())
            body = placement_body(await reads.placement(db, caller, placed))
        tag(answer, body.version)
        aside = set_aside_body(device.set_aside)
        return PlacedBody(**dict(body), readable=aside is None, set_aside=aside)
    except LookupError as error:
        raise NotFound from error
    except InTheWay as refused:
        raise Conflict("in-the-way", str(refused)) from refused
    except placements.NotYet as refused:
        raise _not_yet(refused) from refused


@router.get("/placements/{public}")
async def one_placement(
    public: UUID, caller: Asking, desk: Here, answer: Response
) -> PlacementBody:
    """A placement, present or past, and its ETag."""
    try:
        async with asking(desk.pool, caller) as db:
            found = await reads.placement(db, caller, public)
            await looked(db, caller, "placement.shown", [found.citizen], desk.clock.now())
    except LookupError as error:
        raise NotFound from error
    tag(answer, found.version)
    return placement_body(found)


@router.put("/placements/{public}", responses=_EDITED)
async def edit_placement(public: UUID, work: Matched, wanted: PlacementChange) -> PlacementBody:
    """Another room or legal basis, both anew."""
    return await work.done(
        public,
        placements.change_placement(
            work.desk.pool,
            work.caller,
            public,
            room=wanted.room.strip(),
            basis=BASES[wanted.legal_basis],
            versions=work.versions,
            now=work.desk.clock.now(),
        ),
    )


@router.post("/placements/{public}/end", responses=answers(HTTPStatus.PRECONDITION_FAILED))
async def end(public: UUID, work: MatchedIfSent, wanted: End | None = None) -> PlacementBody:
    """The device stops speaking for the citizen; its dose plan ends with it.

    409 when it called for help after `at`: a call that was heard stays the citizen's.
    """
    return await work.done(
        public,
        placements.end_placement(
            work.desk.pool,
            work.caller,
            public,
            at=wanted and wanted.at,
            versions=work.versions,
            now=work.desk.clock.now(),
        ),
    )


@router.put("/placements/{public}/dose-plan", responses=_EDITED)
async def plan_doses(public: UUID, work: Matched, wanted: NewDosePlan) -> PlacementBody:
    """A new version of the dose plan; the former one ends where this one begins."""
    return await work.done(
        public,
        placements.plan_doses(
            work.desk.pool,
            work.caller,
            public,
            wanted.plan(),
            versions=work.versions,
            now=work.desk.clock.now(),
        ),
    )


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
        legal_basis=_WORDS[placement.legal_basis] if placement.legal_basis else None,
        since=placement.since,
        until=placement.until,
        dose_plan=placement.plan and _plan(placement.plan),
        version=placement.version,
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
