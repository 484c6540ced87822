"""Districts, teams, people, citizens and homes over HTTP: two who edit one thing are told."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from gateway.api.problems import ALWAYS, answers
from gateway.api.register_work import Editing, Working, told
from gateway.api.texts import Limit, Name, Text, Word, Zone

router = APIRouter(tags=["register"], responses=ALWAYS)

_SHOWN = answers(HTTPStatus.NOT_FOUND)
_ADDED = answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
_CHANGED = answers(
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.PRECONDITION_REQUIRED,
)

After = Annotated[UUID | None, Query(description="the `next` of the answer before")]


class ThingBody(BaseModel):
    """`version` stands in the ETag too."""

    id: UUID
    version: int


class NewDistrict(BaseModel):
    """A part of the municipality, with a name of its own."""

    name: Name


class DistrictBody(ThingBody):
    """A district."""

    name: str


class NewTeam(BaseModel):
    """A team of a district (its id)."""

    name: Name
    district: UUID


class TeamBody(ThingBody):
    """A team; `district` is the district's id."""

    name: str
    district: UUID | None


class PersonChange(BaseModel):
    """A colleague's name and phone."""

    name: Name
    phone: Word = ""


class NewPerson(PersonChange):
    """A colleague. Roles, password and keys are given elsewhere."""

    login: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[a-z0-9@._-]+$")]


class PersonBody(ThingBody):
    """A colleague. Name and phone are null for callers who work with ids."""

    login: str
    name: str | None
    phone: str | None


class CitizenChange(BaseModel):
    """A citizen; never a CPR number. `reference` is the municipality's own id."""

    home: UUID
    reference: Annotated[Name, Field(max_length=40)] | None = None
    name: Name
    address: Word = ""
    phone: Word = ""
    entry: Text = ""
    relatives: Text = ""


class OneCitizenBody(ThingBody):
    """A citizen. What tells who it is is null for callers who work with ids."""

    home: UUID | None
    reference: str | None
    name: str | None
    address: str | None
    phone: str | None
    entry: str | None
    relatives: str | None


class HomeChange(BaseModel):
    """A home: `district` is the district's id, `reference` the municipality's own id."""

    district: UUID
    zone: Zone = "Europe/Copenhagen"
    reference: Annotated[Name, Field(max_length=40)] | None = None


class OneHomeBody(ThingBody):
    """A home without who lives there."""

    district: UUID | None
    zone: str
    reference: str | None


class DistrictsBody(BaseModel):
    districts: list[DistrictBody]
    next: UUID | None


class TeamsBody(BaseModel):
    teams: list[TeamBody]
    next: UUID | None


class PeopleBody(BaseModel):
    people: list[PersonBody]
    next: UUID | None


class CitizensBody(BaseModel):
    citizens: list[OneCitizenBody]
    next: UUID | None


@router.get("/districts")
async def list_districts(work: Working, after: After = None, limit: Limit = 50) -> DistrictsBody:
    """The caller's districts."""
    found, more = await work.list("district", after, limit)
    return DistrictsBody(districts=[DistrictBody(**told(one)) for one in found], next=more)


@router.post("/districts", status_code=HTTPStatus.CREATED, responses=_ADDED)
async def add_district(work: Working, wanted: NewDistrict) -> DistrictBody:
    """A new district."""
    return DistrictBody(**await work.add("district", wanted))


@router.get("/districts/{public}", responses=_SHOWN)
async def show_district(public: UUID, work: Working) -> DistrictBody:
    """A district, and its ETag."""
    return DistrictBody(**await work.show("district", public))


@router.put("/districts/{public}", responses=_CHANGED)
async def change_district(public: UUID, edit: Editing, wanted: NewDistrict) -> DistrictBody:
    """Another name for the district."""
    return DistrictBody(**await edit.change("district", public, wanted))


@router.get("/teams")
async def list_teams(work: Working, after: After = None, limit: Limit = 50) -> TeamsBody:
    """The teams of the caller's districts."""
    found, more = await work.list("team", after, limit)
    return TeamsBody(teams=[TeamBody(**told(one)) for one in found], next=more)


@router.post("/teams", status_code=HTTPStatus.CREATED, responses=_ADDED)
async def add_team(work: Working, wanted: NewTeam) -> TeamBody:
    """A new team."""
    return TeamBody(**await work.add("team", wanted))


@router.get("/teams/{public}", responses=_SHOWN)
async def show_team(public: UUID, work: Working) -> TeamBody:
    """A team, and its ETag."""
    return TeamBody(**await work.show("team", public))


@router.put("/teams/{public}", responses=_CHANGED)
async def change_team(public: UUID, edit: Editing, wanted: NewTeam) -> TeamBody:
    """Another name or district for the team."""
    return TeamBody(**await edit.change("team", public, wanted))


@router.get("/people")
async def list_people(work: Working, after: After = None, limit: Limit = 50) -> PeopleBody:
    """Everybody of the municipality who may sign in, or did."""
    found, more = await work.list("person", after, limit)
    return PeopleBody(people=[PersonBody(**told(one)) for one in found], next=more)


@router.post("/people", status_code=HTTPStatus.CREATED, responses=_ADDED)
async def add_person(work: Working, wanted: NewPerson) -> PersonBody:
    """A new colleague, who may do nothing until a role is given."""
    return PersonBody(**await work.add("person", wanted))


@router.get("/people/{public}", responses=_SHOWN)
async def show_person(public: UUID, work: Working) -> PersonBody:
    """A colleague, and the ETag."""
    return PersonBody(**await work.show("person", public))


@router.put("/people/{public}", responses=_CHANGED)
async def change_person(public: UUID, edit: Editing, wanted: PersonChange) -> PersonBody:
    """Another name or phone."""
    return PersonBody(**await edit.change("person", public, wanted))


@router.get("/citizens")
async def list_citizens(work: Working, after: After = None, limit: Limit = 50) -> CitizensBody:
    """The citizens of the caller's districts."""
    found, more = await work.list("citizen", after, limit)
    return CitizensBody(citizens=[OneCitizenBody(**told(one)) for one in found], next=more)


@router.post("/citizens", status_code=HTTPStatus.CREATED, responses=_ADDED)
async def add_citizen(work: Working, wanted: CitizenChange) -> OneCitizenBody:
    """A new citizen in a home that is there."""
    return OneCitizenBody(**await work.add("citizen", wanted))


@router.get("/citizens/{public}", responses=_SHOWN)
async def show_citizen(public: UUID, work: Working) -> OneCitizenBody:
    """A citizen, and the ETag."""
    return OneCitizenBody(**await work.show("citizen", public))


@router.put("/citizens/{public}", responses=_CHANGED)
async def change_citizen(public: UUID, edit: Editing, wanted: CitizenChange) -> OneCitizenBody:
    """The whole citizen anew: what is not said is empty."""
    return OneCitizenBody(**await edit.change("citizen", public, wanted))


@router.get("/homes/{public}", responses=_SHOWN)
async def show_home(public: UUID, work: Working) -> OneHomeBody:
    """A home, and its ETag; who lives there is told by GET /homes."""
    return OneHomeBody(**await work.show("home", public))


@router.put("/homes/{public}", responses=_CHANGED)
async def change_home(public: UUID, edit: Editing, wanted: HomeChange) -> OneHomeBody:
    """Another district, zone or reference; who lives there goes with the home."""
    return OneHomeBody(**await edit.change("home", public, wanted))


@router.delete("/districts/{public}", status_code=HTTPStatus.NO_CONTENT, responses=_CHANGED)
async def take_away_district(public: UUID, edit: Editing) -> None:
    """A district made by mistake goes; 409 when anything stands in it, or a role is for it."""
    await edit.take_away("district", public)


@router.delete("/teams/{public}", status_code=HTTPStatus.NO_CONTENT, responses=_CHANGED)
async def take_away_team(public: UUID, edit: Editing) -> None:
    """A team made by mistake goes; 409 when anybody belongs to it."""
    await edit.take_away("team", public)


@router.delete("/people/{public}", status_code=HTTPStatus.NO_CONTENT, responses=_CHANGED)
async def take_away_person(public: UUID, edit: Editing) -> None:
    """A colleague entered by mistake goes; 409 for who had a role: they leave instead."""
    await edit.take_away("person", public)


@router.delete("/citizens/{public}", status_code=HTTPStatus.NO_CONTENT, responses=_CHANGED)
async def take_away_citizen(public: UUID, edit: Editing) -> None:
    """A citizen entered by mistake goes; 409 for who had devices or alerts. The log stays."""
    await edit.take_away("citizen", public)


@router.delete("/homes/{public}", status_code=HTTPStatus.NO_CONTENT, responses=_CHANGED)
async def take_away_home(public: UUID, edit: Editing) -> None:
    """A home entered by mistake goes; 409 while anybody or a box is in it."""
    await edit.take_away("home", public)


@router.delete(
    "/devices/{public}", status_code=HTTPStatus.NO_CONTENT, responses=_CHANGED, tags=["devices"]
)
async def take_away_device(public: UUID, edit: Editing) -> None:
    """A device registered by mistake goes, with its key; 409 when it was placed or has spoken."""
    await edit.take_away("device", public)
