"""The page "Kom i gang": what a municipality still lacks, and the form to do it right there."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from gateway.reads.homes import Home, homes
from gateway.store.asking import NotAllowed, asking
from gateway.store.bases import baseless
from gateway.store.beginning import STEPS, Progress, progress, waiting_boxes
from gateway.store.caller import Caller
from gateway.store.homes import InTheWay
from gateway.store.looks import looked
from gateway.store.register.things import LikeCpr, listed
from gateway.web.beginning_basis import MOST_SHOWN, basis
from gateway.web.beginning_basis import told as baseless_told
from gateway.web.beginning_doing import Given, Wrong, add_districts, add_team, colleague
from gateway.web.beginning_placing import box, citizen, device
from gateway.web.beginning_words import (
    BASIS,
    DEVICE_ROLES,
    GIVEN_ROLES,
    MODELS,
    TITLE,
    lacking,
    state,
)
from gateway.web.door import Door
from gateway.web.menu import menu
from gateway.web.pages import rendered

PATH = "/opsaetning"
_MOST_HOMES, _MOST_DISTRICTS = 200, 200
_LONG = 1000

Do = Callable[[Door, Caller, "Fields"], Awaitable[Given | None]]
"""Does what a form asks for. Raises Wrong, and nothing is changed."""


class Fields(BaseModel):
    """What the forms of the page bring; each brings some."""

    districts: str = Field(default="", max_length=10_000)
    district: str = Field(default="", max_length=_LONG)
    name: str = Field(default="", max_length=_LONG)
    login: str = Field(default="", max_length=_LONG)
    role: str = Field(default="", max_length=_LONG)
    address: str = Field(default="", max_length=_LONG)
    phone: str = Field(default="", max_length=_LONG)
    entry: str = Field(default="", max_length=_LONG)
    home: str = Field(default="", max_length=_LONG)
    citizen: str = Field(default="", max_length=_LONG)
    device: str = Field(default="", max_length=_LONG)
    model: str = Field(default="", max_length=_LONG)
    room: str = Field(default="", max_length=_LONG)
    placement: str = Field(default="", max_length=_LONG)
    basis: str = Field(default="", max_length=_LONG)
    key: str = Field(default="", max_length=_LONG)


@dataclass(frozen=True, slots=True)
class Told:
    """What the page says besides where things stand: of the form `of` that was sent."""

    of: str = ""
    sent: Fields = field(default_factory=Fields)
    errors: Mapping[str, str] = field(default_factory=dict[str, str])
    given: Given | None = None
    rows: Mapping[str, Any] | None = None


NOTHING_TOLD = Told()

_DO: Mapping[str, Do] = {
    "distrikter": add_districts,
    "hold": add_team,
    "kollega": colleague,
    "borger": citizen,
    "boks": box,
    "enhed": device,
    "hjemmel": basis,
}
"""Each form by the last word of its address."""


def add_setup(router: APIRouter, door: Door) -> None:
    """The page and its forms."""
    asks = Depends(door.caller)

    @router.get(PATH)
    async def page(request: Request, caller: Annotated[Caller, asks]) -> Response:
        return await show(request, door, caller)

    def form(word: str, do: Do) -> None:
        @router.post(f"{PATH}/{word}")
        async def made(
            request: Request, caller: Annotated[Caller, asks], sent: Annotated[Fields, Form()]
        ) -> Response:
            return await _did(request, door, caller, word, sent, do)

    for word, do in _DO.items():
        form(word, do)


async def _did(  # noqa: PLR0917 - all that one request is about
    request: Request, door: Door, caller: Caller, word: str, sent: Fields, do: Do
) -> Response:
    try:
        given = await do(door, caller, sent)
    except (Wrong, InTheWay, LikeCpr, LookupError, NotAllowed) as refused:
        told = Told(of=word, sent=sent, errors=_errors(refused))
        return await show(request, door, caller, told, HTTPStatus.UNPROCESSABLE_ENTITY)
    if given is None:
        return RedirectResponse(f"{PATH}#{word}", HTTPStatus.SEE_OTHER)
    return await show(request, door, caller, Told(of=word, given=given))


def _errors(refused: Exception) -> Mapping[str, str]:
    match refused:
        case Wrong():
            return refused.errors
        case InTheWay():
            return {"name": "Der er allerede en med det navn."}
        case LikeCpr():
            return {"": "Et felt ligner et CPR-nummer, og det må ikke stå her."}
        case NotAllowed():
            return {"": "Din rolle eller dit distrikt giver ikke lov til det."}
        case _:
            return {"": "Det valgte findes ikke længere. Se siden igen."}


async def show(
    request: Request,
    door: Door,
    caller: Caller,
    told: Told = NOTHING_TOLD,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    """The whole page as things stand now."""
    async with asking(door.pool, caller) as db:
        at = await progress(db)
        found = await homes(db, caller, after=None, limit=_MOST_HOMES)
        districts = await listed(
            db, caller, caller.seal, "district", after=None, limit=_MOST_DISTRICTS
        )
        lacking_basis, shown = await baseless(db, caller.municipality, most=MOST_SHOWN)
        waiting = await waiting_boxes(db, caller.municipality)
        seen = [one.id for home in found for one in home.citizens]
        await looked(db, caller, "homes.listed", seen, door.now())
    return rendered(
        "beginning_setup.html",
        status,
        menu=menu(door, request, caller),
        token=door.token(request),
        told=told,
        steps=_steps(at),
        done=sum(at.done(step) for step in STEPS),
        missing=at.missing,
        gives=caller.may("access", "all"),
        by_provider=door.by_provider,
        waiting=waiting,
        lacking_basis=lacking_basis,
        baseless=baseless_told(shown, found),
        **_choices(found, sorted((str(one.values["name"]), one.public) for one in districts)),
    )


def _steps(at: Progress) -> list[Mapping[str, Any]]:
    return [
        {
            "key": step,
            "title": TITLE[step],
            "done": at.done(step),
            "next": step == at.missing,
            "state": state(at, step),
            "lacking": lacking(at, step),
        }
        for step in STEPS
    ]


def _choices(found: list[Home], districts: Sequence[tuple[str, UUID]]) -> Mapping[str, Any]:
    return {
        "districts": [(public, name) for name, public in districts],
        "roles": list(GIVEN_ROLES.items()),
        "homes": [(home.public, _of_home(home)) for home in found if not home.edges],
        "citizens": [
            (one.public, f"{one.name or 'uden navn'}, {one.address or home.district}")
            for home in found
            for one in home.citizens
        ],
        "device_roles": DEVICE_ROLES,
        "models": MODELS,
        "bases": BASIS,
    }


def _of_home(home: Home) -> str:
    who = " og ".join(one.name or "uden navn" for one in home.citizens)
    where = next((one.address for one in home.citizens if one.address), home.district)
    return f"{who}, {where}" if who else where
