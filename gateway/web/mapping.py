"""The page "Login-roller": which claim of the municipality's provider gives which role."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from gateway.reads.districts import district_names
from gateway.store import arrivals
from gateway.store.asking import NotAllowed, asking
from gateway.store.caller import Caller
from gateway.store.keys import districts_by_name
from gateway.store.people import UnknownName
from gateway.store.rights import Role
from gateway.web.beginning import text_error
from gateway.web.door import Door
from gateway.web.menu import menu
from gateway.web.pages import rendered
from gateway.web.words import ROLE

PATH = "/login-roller"
_LONGEST_VALUE = 400
NOT_THERE = "Linjen findes ikke længere."
NOT_YOURS = "Kun en administrator af hele kommunen ændrer, hvem der kommer ind."
_GIVEN: dict[str, Role] = {role: role for role in ROLE if role != "robot"}
"""The roles that a provider can give: a program has a key."""


class Wanted(BaseModel):
    """The form as it was sent. No district chosen: all of them."""

    claim: Annotated[str, Field(max_length=1000)] = ""
    value: Annotated[str, Field(max_length=1000)] = ""
    role: Annotated[str, Field(max_length=40)] = ""
    districts: Annotated[list[str], Field(max_length=100)] = Field(default_factory=list[str])

    def errors(self) -> dict[str, str]:
        """What is wrong, by field."""
        found = {
            "claim": text_error(self.claim, needed="Skriv oplysningens navn."),
            "value": text_error(self.value, needed="Skriv værdien.", longest=_LONGEST_VALUE),
            "role": "" if self.role in _GIVEN else "Vælg en rolle.",
        }
        return {field: error for field, error in found.items() if error}


def add_mapping(router: APIRouter, door: Door) -> None:
    """The page and what its buttons do."""
    asking_ = Depends(door.caller)
    table = _Table(door)

    @router.get(PATH)
    async def page(request: Request, caller: Annotated[Caller, asking_]) -> Response:
        return await table.page(request, caller)

    @router.post(PATH)
    async def add(
        request: Request, caller: Annotated[Caller, asking_], wanted: Annotated[Wanted, Form()]
    ) -> Response:
        return await table.add(request, caller, wanted)

    @router.post(PATH + "/{public}/remove")
    async def remove(
        request: Request, caller: Annotated[Caller, asking_], public: UUID
    ) -> Response:
        return await table.remove(request, caller, public)


class _Table:
    """Draws the page and does what it asks for."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def page(
        self,
        request: Request,
        caller: Caller,
        *,
        wanted: Wanted | None = None,
        errors: dict[str, str] | None = None,
        message: str = "",
        status: HTTPStatus = HTTPStatus.OK,
    ) -> Response:
        lines = await arrivals.lines(self._door.pool, caller)
        administering = [line.public for line in lines if line.role == "administrator"]
        return rendered(
            "mapping.html",
            status,
            menu=menu(self._door, request, caller),
            token=self._door.token(request),
            lines=[
                {
                    "public": line.public,
                    "claim": line.claim,
                    "value": line.value,
                    "role": ROLE[line.role],
                    "where": "hele kommunen"
                    if line.districts is None
                    else ", ".join(line.districts),
                    "last": [line.public] == administering,
                }
                for line in lines
            ],
            wanted=wanted or Wanted(),
            errors=errors or {},
            roles=[("", "Vælg"), *((role, ROLE[role].capitalize()) for role in _GIVEN.values())],
            districts=[(name, name) for name in await district_names(self._door.pool, caller)],
            changes=caller.districts is None,
            by_provider=self._door.by_provider,
            message=message,
            not_yours=NOT_YOURS,
        )

    async def add(self, request: Request, caller: Caller, wanted: Wanted) -> Response:
        """One more line; the same claim, value and role again gives it other districts."""
        if caller.districts is not None:
            return await self._refused(request, caller)
        errors = wanted.errors()
        if not errors:
            try:
                await self._put(caller, wanted)
            except UnknownName:
                errors = {"districts": "Vælg fra listen."}
            else:
                return RedirectResponse(PATH, HTTPStatus.SEE_OTHER)
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return await self.page(request, caller, wanted=wanted, errors=errors, status=status)

    async def remove(self, request: Request, caller: Caller, public: UUID) -> Response:
        """The line gives no role any more, from each person's next sign-in."""
        try:
            async with asking(self._door.pool, caller) as db:
                gone = await arrivals.remove_line(db, caller.municipality, public)
        except NotAllowed:
            return await self._refused(request, caller)
        if gone:
            return RedirectResponse(PATH, HTTPStatus.SEE_OTHER)
        status = HTTPStatus.NOT_FOUND
        return await self.page(request, caller, message=NOT_THERE, status=status)

    async def _put(self, caller: Caller, wanted: Wanted) -> None:
        async with asking(self._door.pool, caller) as db:
            numbers = (
                await districts_by_name(db, caller, wanted.districts) if wanted.districts else None
            )
            await arrivals.add_line(
                db,
                caller.municipality,
                claim=wanted.claim.strip(),
                value=wanted.value.strip(),
                role=_GIVEN[wanted.role],
                districts=numbers,
            )

    async def _refused(self, request: Request, caller: Caller) -> Response:
        status = HTTPStatus.FORBIDDEN
        return await self.page(request, caller, message=NOT_YOURS, status=status)
