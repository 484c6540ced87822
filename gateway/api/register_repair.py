"""The wrong citizen was placed: the repair over HTTP."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, StringConstraints

from gateway.api.etags import tag
from gateway.api.placements import PlacementBody, placement_body
from gateway.api.problems import ALWAYS, answers
from gateway.api.register_work import Editing
from gateway.api.texts import Text
from gateway.reads import devices as reads
from gateway.store.register.repair import repair as move

router = APIRouter(tags=["placements"], responses=ALWAYS)


class Repair(BaseModel):
    """Whose it was all the time, and how it is known; the reason is kept."""

    citizen: UUID
    reason: Annotated[Text, StringConstraints(strip_whitespace=True, min_length=10)]


@router.post(
    "/placements/{public}/repair",
    operation_id="repair_placement",
    responses=answers(
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.PRECONDITION_FAILED,
        HTTPStatus.PRECONDITION_REQUIRED,
    ),
)
async def repair(public: UUID, work: Editing, wanted: Repair) -> PlacementBody:
    """The placement was this citizen's from its beginning, and so is all that was observed.

    Findings and alerts of both citizens are judged anew; the move is kept with its reason.
    """
    async with work.asking() as db:
        await move(
            db,
            work.caller,
            public,
            citizen=wanted.citizen,
            reason=wanted.reason,
            versions=work.versions,
            now=work.desk.clock.now(),
        )
        repaired = await reads.placement(db, work.caller, public)
    tag(work.answer, repaired.version)
    return placement_body(repaired)
