"""The page "Nøgler": API keys for programs, made and told once, renewed without a gap, ended."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from gateway.reads.districts import district_names
from gateway.store import keys as store
from gateway.store.caller import Caller
from gateway.store.people import UnknownName
from gateway.store.purposes import PURPOSES
from gateway.store.rights import CLASSES, DataClass, may
from gateway.web.audit import PURPOSE
from gateway.web.beginning import text_error
from gateway.web.door import Door
from gateway.web.menu import menu
from gateway.web.pages import ZONE, rendered
from gateway.web.rights import CLASS
from gateway.web.words import ROLE, moment

PATH = "/noegler"
NOT_THERE = "Nøglen findes ikke, eller den er afsluttet eller udløbet."
_OF_PROGRAMS: tuple[DataClass, ...] = tuple(
    kind for kind in CLASSES if may("robot", kind, "pseudonym")
)
_PURPOSES = {code: PURPOSE[code] for code in ("", *PURPOSES)}


class Wanted(BaseModel):
    """The form as it was sent. Nothing chosen: one's own districts, all that programs may."""

    name: Annotated[str, Field(max_length=1000)] = ""
    districts: Annotated[list[str], Field(max_length=100)] = Field(default_factory=list[str])
    classes: Annotated[list[str], Field(max_length=100)] = Field(default_factory=list[str])
    purpose: Annotated[str, Field(max_length=100)] = ""
    note: Annotated[str, Field(max_length=1000)] = ""
    days: Annotated[str, Field(max_length=20)] = str(store.USUAL_DAYS)

    def errors(self) -> dict[str, str]:
        """What is wrong, by field."""
        found = {
            "name": text_error(self.name, needed="Skriv, hvad nøglen skal bruges til."),
            "note": text_error(self.note),
            "classes": "" if set(self.classes) <= set(_OF_PROGRAMS) else "Vælg fra listen.",
            "purpose": "" if self.purpose in _PURPOSES else "Vælg fra listen.",
            "days": "" if _is_days(self.days) else f"Skriv et tal fra 1 til {store.MOST_DAYS}.",
        }
        return {field: error for field, error in found.items() if error}


def add_keys(router: APIRouter, door: Door) -> None:
    """The page and what its buttons do."""
    asking = Depends(door.caller)
    shelf = _Shelf(door)

    @router.get(PATH)
    async def page(request: Request, caller: Annotated[Caller, asking]) -> Response:
        return await shelf.page(request, caller)

    @router.post(PATH)
    async def make(
        request: Request, caller: Annotated[Caller, asking], wanted: Annotated[Wanted, Form()]
    ) -> Response:
        return await shelf.make(request, caller, wanted)

    @router.post(PATH + "/{public}/rotate")
    async def rotate(request: Request, caller: Annotated[Caller, asking], public: UUID) -> Response:
        return await shelf.rotate(request, caller, public)

    @router.post(PATH + "/{public}/end")
    async def end(request: Request, caller: Annotated[Caller, asking], public: UUID) -> Response:
        if await store.end_key(door.pool, caller, public, door.now()):
            return RedirectResponse(PATH, HTTPStatus.SEE_OTHER)
        return await shelf.page(request, caller, message=NOT_THERE, status=HTTPStatus.NOT_FOUND)


class _Shelf:
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
        secret: str = "",
        message: str = "",
        status: HTTPStatus = HTTPStatus.OK,
    ) -> Response:
        now = self._door.now()
        kept = await store.keys(self._door.pool, caller)
        lines = [_line(one, now) for one in kept]
        return rendered(
            "keys.html",
            status,
            menu=menu(self._door, request, caller),
            token=self._door.token(request),
            open=[line for line in lines if line["opens"]],
            over=[line for line in lines if not line["opens"]],
            wanted=wanted or Wanted(),
            errors=errors or {},
            districts=[(name, name) for name in await district_names(self._door.pool, caller)],
            classes=[(kind, CLASS[kind]) for kind in _OF_PROGRAMS],
            purposes=list(_PURPOSES.items()),
            secret=secret,
            message=message,
            most=store.MOST_DAYS,
            overlap=store.OVERLAP.days,
        )

    async def make(self, request: Request, caller: Caller, wanted: Wanted) -> Response:
        """A key for a program; its secret stands on this one page and nowhere else."""
        errors = wanted.errors()
        scope = store.Scope(
            name=wanted.name.strip(),
            classes=wanted.classes or None,
            purpose=wanted.purpose,
            note=wanted.note.strip(),
        )
        if not errors:
            try:
                made = await store.add_robot(
                    self._door.pool,
                    caller,
                    scope,
                    wanted.districts or None,
                    self._door.now(),
                    days=int(wanted.days),
                )
            except UnknownName:
                errors = {"districts": "Vælg fra listen."}
            else:
                status = HTTPStatus.CREATED
                return await self.page(request, caller, secret=made.secret, status=status)
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return await self.page(request, caller, wanted=wanted, errors=errors, status=status)

    async def rotate(self, request: Request, caller: Caller, public: UUID) -> Response:
        """A second secret for the same key."""
        now, days = self._door.now(), store.USUAL_DAYS
        made = await store.rotate(self._door.pool, caller, public, now, days=days)
        if made is None:
            status = HTTPStatus.NOT_FOUND
            return await self.page(request, caller, message=NOT_THERE, status=status)
        return await self.page(request, caller, secret=made.secret, status=HTTPStatus.CREATED)


def _is_days(text: str) -> bool:
    plain = text.strip()
    return plain.isascii() and plain.isdecimal() and 1 <= int(plain) <= store.MOST_DAYS


def _line(one: store.Kept, now: datetime) -> dict[str, object]:
    """A key in words."""
    still = one.old_until is not None and one.old_until > now
    return {
        "public": one.public,
        "name": one.name or one.login,
        "opens": one.ended is None and one.expires > now,
        "role": ROLE[one.role],
        "districts": _all(one.districts, "hele kommunen"),
        "classes": _all(one.classes and [_class(kind) for kind in one.classes], "alt, rollen må"),
        "purpose": PURPOSE.get(one.purpose, one.purpose) + (one.note and f" ({one.note})"),
        "expires": _day(one.expires),
        "ended": one.ended and _day(one.ended),
        "last_used": moment(one.last_used, now, ZONE.key) if one.last_used else "aldrig",
        "old_until": _day(one.old_until) if still and one.old_until else "",
    }


def _class(kind: str) -> str:
    return next((text for known, text in CLASS.items() if known == kind), kind)


def _all(names: Sequence[str] | None, otherwise: str) -> str:
    return otherwise if names is None else ", ".join(names) or "intet"


def _day(at: datetime) -> str:
    return f"{at.astimezone(ZONE):%d.%m.%Y}"
