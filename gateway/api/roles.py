"""The table of rights over HTTP: which role may do what with which class of data."""

from collections.abc import Mapping

from fastapi import APIRouter
from pydantic import BaseModel

from gateway.api.access import Asking
from gateway.api.problems import ALWAYS
from gateway.store.rights import CLASSES, LEVELS, ROLES, DataClass, Level, Role

router = APIRouter(tags=["rights"], responses=ALWAYS)


class RightsBody(BaseModel):
    """By role and class of data: *nothing*, *pseudonym* (ids), *reading*, *all* (also written).

    The database's policies and the door of every route go by this table and by no other.
    """

    role: Role
    rights: Mapping[Role, Mapping[DataClass, Level]]


@router.get("/rights", operation_id="show_rights")
async def rights(caller: Asking) -> RightsBody:
    """The whole table, and the role that the caller acts in."""
    return RightsBody(
        role=caller.role,
        rights={role: {kind: LEVELS[role, kind] for kind in CLASSES} for role in ROLES},
    )
