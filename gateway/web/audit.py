"""The page "Hvem har set?": who saw a citizen, whom a person saw, and one's own looks."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from gateway.reads import log as reads
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.looks import looked
from gateway.store.pool import Connection
from gateway.web.deeds import WHAT
from gateway.web.door import Door
from gateway.web.menu import menu
from gateway.web.pages import ZONE, rendered
from gateway.web.words import ROLE as ROLE_WORDS

PATH = "/hvem-har-set"
_MOST = 200
_LONGEST = 200
NONE = "-"
NOBODY = "Der er intet at vise dig her."

ROLE: Mapping[str, str] = {role: word.capitalize() for role, word in ROLE_WORDS.items()}

PURPOSE: Mapping[str, str] = {
    "care": "Pleje og omsorg",
    "planning": "Planlægning",
    "operation": "Drift og teknik",
    "follow_up": "Ledelsens opfølgning",
    "audit": "Revision og tilsyn",
    "access_request": "Borgerens indsigt",
    "unstated": "Ikke oplyst",
    "": "Ikke oplyst",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the table, as it is read."""

    time: str
    who: str
    role: str
    what: str
    purpose: str
    citizen: str


def add_audit(router: APIRouter, door: Door) -> None:
    """The page, for everybody who has signed in."""
    asking_ = Depends(door.caller)

    @router.get(PATH)
    async def page(
        request: Request,
        caller: Annotated[Caller, asking_],
        citizen: Annotated[str, Query(max_length=_LONGEST)] = "",
        login: Annotated[str, Query(max_length=_LONGEST, pattern=r"^[^\x00]*$")] = "",
    ) -> Response:
        citizen, login = citizen.strip(), login.strip().lower()
        try:
            async with asking(door.pool, caller) as db:
                found = await _found(db, caller, citizen, login)
                await looked(db, caller, "log.seen", found.of, door.now())
        except LookupError:
            found = None
        return rendered(
            "audit.html",
            HTTPStatus.OK if found else HTTPStatus.NOT_FOUND,
            lines=[line(look) for look in found.looks] if found else [],
            message="" if found else NOBODY,
            own=not (citizen or login),
            watches=caller.may("log", "reading"),
            more=found is not None and len(found.looks) >= _MOST,
            most=_MOST,
            citizen=citizen,
            login=login,
            caller=caller,
            menu=menu(door, request, caller),
        )


async def _found(db: Connection, caller: Caller, citizen: str, login: str) -> reads.Shown:
    """What was asked for; one's own looks when nothing was. Raises LookupError."""
    if citizen:
        return await reads.for_citizen(db, caller, _id(citizen), limit=_MOST)
    person = await reads.person_by_login(db, login) if login else caller.public
    if person is None:
        raise LookupError(login)
    return await reads.for_person(db, caller, person, limit=_MOST)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise LookupError(text) from error


def line(look: reads.Look) -> Line:
    """The look in words."""
    code, _, rest = look.what.partition(" ")
    return Line(
        time=f"{look.at.astimezone(ZONE):%d.%m.%Y %H:%M:%S}",
        who=look.login or NONE,
        role=ROLE.get(look.role or "", look.role or NONE),
        what=f"{WHAT.get(code, code)} {_more(rest)}".strip(),
        purpose=PURPOSE.get(look.purpose, look.purpose),
        citizen=str(look.citizen or NONE),
    )


def _more(rest: str) -> str:
    """What the code was about: ids as they are, a role in its word."""
    return " ".join(ROLE.get(word, word) for word in rest.split())
