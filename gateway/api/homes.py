"""Homes over HTTP: who lives where, and which box listens there."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from gateway.api.access import Asking
from gateway.api.desk import Here
from gateway.api.problems import ALWAYS, NotFound, answers
from gateway.api.texts import Limit, Name, Text, Word, Zone
from gateway.reads import homes as reads
from gateway.store.asking import asking
from gateway.store.homes import NewCitizen, add_home
from gateway.store.looks import looked

router = APIRouter(tags=["homes"], responses=ALWAYS)


class CitizenBody(BaseModel):
    """Name, address and phone are null for callers who work with ids."""

    id: UUID
    name: str | None
    address: str | None
    phone: str | None


class HomeBody(BaseModel):
    """A home; `edges` are its boxes by name, `zone` its IANA time zone."""

    id: UUID
    district: str
    zone: str
    edges: list[str]
    citizens: list[CitizenBody]


class HomesBody(BaseModel):
    """`next` is what to give as `after` for the following ones; null at the end."""

    homes: list[HomeBody]
    next: UUID | None


class NewCitizenBody(BaseModel):
    """Who moves in; `entry` tells staff how to get in."""

    name: Name
    address: Word = ""
    phone: Word = ""
    entry: Text = ""


class NewHomeBody(BaseModel):
    """`district` is a district's name in the caller's municipality."""

    district: Name
    zone: Zone = "Europe/Copenhagen"
    citizens: Annotated[list[NewCitizenBody], Field(min_length=1, max_length=10)]


@router.get("/homes")
async def list_homes(
    caller: Asking,
    desk: Here,
    after: Annotated[UUID | None, Query(description="the `next` of the answer before")] = None,
    limit: Limit = 50,
) -> HomesBody:
    """The homes of the caller's districts."""
    async with asking(desk.pool, caller) as db:
        found = await reads.homes(db, caller, after=after, limit=limit + 1)
        shown = found[:limit]
        seen = [citizen.id for home in shown for citizen in home.citizens]
        await looked(db, caller, "homes.listed", seen, desk.clock.now())
    return HomesBody(
        homes=[_home(home) for home in shown],
        next=shown[-1].public if len(found) > limit else None,
    )


@router.post("/homes", status_code=HTTPStatus.CREATED, responses=answers(HTTPStatus.NOT_FOUND))
async def new_home(caller: Asking, desk: Here, home: NewHomeBody) -> HomeBody:
    """A home and who lives there. A district that is not the caller's is not found."""
    try:
        public = await add_home(
            desk.pool,
            caller,
            district=home.district,
            zone=home.zone,
            citizens=[NewCitizen(**citizen.model_dump()) for citizen in home.citizens],
            now=desk.clock.now(),
        )
    except LookupError as error:
        raise NotFound from error
    async with asking(desk.pool, caller) as db:
        return _home(await reads.home(db, caller, public))


def _home(home: reads.Home) -> HomeBody:
    return HomeBody(
        id=home.public,
        district=home.district,
        zone=home.zone,
        edges=list(home.edges),
        citizens=[
            CitizenBody(id=one.public, name=one.name, address=one.address, phone=one.phone)
            for one in home.citizens
        ],
    )
