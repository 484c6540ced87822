"""The page "Nødåbning": a citizen outside one's districts, for an hour; a leader follows it up."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from gateway.alerts.alert import OPEN
from gateway.reads import alerts as alerts_
from gateway.reads.homes import Resident, residents
from gateway.store import emergencies as store
from gateway.store import sought
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.looks import looked
from gateway.store.pool import Connection
from gateway.web.beginning import text_error
from gateway.web.cards import Card, card
from gateway.web.door import Door
from gateway.web.menu import menu
from gateway.web.pages import ZONE, rendered
from gateway.web.words import BY_LEVEL, ROLE, moment

PATH = "/noedaabning"
_MOST, _MOST_ALERTS = 100, 200
_LONGEST_REASON = 1000
_TOO_SHORT = f"Skriv mindst {store.SHORTEST_REASON} tegn: lederen læser det bagefter."
NOBODY = (
    "Der er ikke netop én borger i kommunen med det navn på den adresse. Skriv hele navnet, og "
    "spørg igen om stavning og husnummer. Søgningen er noteret."
)
TOO_OFTEN = (
    f"Du har søgt {sought.MOST} gange på en time. Vent, eller lad en kollega i borgerens distrikt "
    "eller en leder se efter."
)
SEEN = "Borgeren kan du allerede se: alarmerne står på tavlen."
FOLLOWED = "Der er allerede fulgt op på den åbning."
NOT_THERE = "Åbningen findes ikke, eller den er din egen."


class Wanted(BaseModel):
    """The form as it was sent."""

    name: Annotated[str, Field(max_length=1000)] = ""
    address: Annotated[str, Field(max_length=1000)] = ""
    reason: Annotated[str, Field(max_length=5000)] = ""

    def errors(self) -> dict[str, str]:
        """What is wrong, by field."""
        found = {
            "name": text_error(self.name, needed="Skriv borgerens navn, helst hele navnet."),
            "address": _address_error(self.address),
            "reason": reason_error(self.reason),
        }
        return {field: error for field, error in found.items() if error}


def reason_error(text: str) -> str:
    """What is wrong with a reason or a follow-up."""
    lines = text_error(" ".join(text.split()), needed=_TOO_SHORT, longest=_LONGEST_REASON)
    return lines or ("" if len(text.strip()) >= store.SHORTEST_REASON else _TOO_SHORT)


def _address_error(text: str) -> str:
    error = text_error(text, needed="Skriv vej og husnummer.", longest=200)
    return error or ("" if any(letter.isdigit() for letter in text) else "Skriv også husnummeret.")


def add_emergencies(router: APIRouter, door: Door) -> None:
    """The page, for who may open a citizen and for the leaders who follow it up."""
    asking_ = Depends(door.caller)
    page = _Emergencies(door)

    @router.get(PATH)
    async def show(request: Request, caller: Annotated[Caller, asking_]) -> Response:
        return await page.page(request, caller)

    @router.post(PATH)
    async def open_(
        request: Request, caller: Annotated[Caller, asking_], wanted: Annotated[Wanted, Form()]
    ) -> Response:
        return await page.open(request, caller, wanted)

    @router.post(PATH + "/{public}/follow-up")
    async def follow_up(
        request: Request,
        caller: Annotated[Caller, asking_],
        public: UUID,
        text: Annotated[str, Form(max_length=5000)] = "",
    ) -> Response:
        return await page.follow_up(request, caller, public, text)


class _Emergencies:
    """Draws the page and does what it asks for."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def page(
        self,
        request: Request,
        caller: Caller,
        *,
        wanted: Wanted | None = None,
        errors: Mapping[str, str] | None = None,
        message: str = "",
        status: HTTPStatus = HTTPStatus.OK,
    ) -> Response:
        """Those that are open now, with their alerts; for a leader what to follow up."""
        now = self._door.now()
        found = await store.emergencies(self._door.pool, caller, after=None, limit=_MOST)
        seen = await self._seen(caller, found, now)
        return rendered(
            "emergencies.html",
            status,
            menu=menu(self._door, request, caller),
            token=self._door.token(request),
            **seen,
            opens=caller.may("emergency", "all"),
            leads=caller.may("log", "reading"),
            everywhere=caller.districts is None,
            wanted=wanted or Wanted(),
            errors=errors or {},
            message=message,
            minutes=store.OPEN_FOR // timedelta(minutes=1),
            shortest=store.SHORTEST_REASON,
            longest=_LONGEST_REASON,
        )

    async def open(self, request: Request, caller: Caller, wanted: Wanted) -> Response:
        """Find whom the caller means, and open them at once."""
        if errors := wanted.errors():
            status = HTTPStatus.UNPROCESSABLE_ENTITY
            return await self.page(request, caller, wanted=wanted, errors=errors, status=status)
        try:
            await sought.open_sought(
                self._door.pool, caller, wanted.name, wanted.address, wanted.reason.strip()
            )
        except sought.NobodyMeant:
            message, status = NOBODY, HTTPStatus.NOT_FOUND
        except sought.SoughtTooOften:
            message, status = TOO_OFTEN, HTTPStatus.TOO_MANY_REQUESTS
        except sought.SeenAnyway:
            message, status, wanted = SEEN, HTTPStatus.OK, Wanted()
        else:
            return RedirectResponse(PATH, HTTPStatus.SEE_OTHER)
        return await self.page(request, caller, wanted=wanted, message=message, status=status)

    async def follow_up(
        self, request: Request, caller: Caller, public: UUID, text: str
    ) -> Response:
        """A leader has looked at it, and says what came of it."""
        if error := reason_error(text):
            status = HTTPStatus.UNPROCESSABLE_ENTITY
            return await self.page(request, caller, errors={f"f-{public}": error}, status=status)
        try:
            await store.follow_up(self._door.pool, caller, public, text.strip())
        except LookupError:
            status = HTTPStatus.NOT_FOUND
            return await self.page(request, caller, message=NOT_THERE, status=status)
        except store.FollowedUp:
            status = HTTPStatus.CONFLICT
            return await self.page(request, caller, message=FOLLOWED, status=status)
        return RedirectResponse(PATH, HTTPStatus.SEE_OTHER)

    async def _seen(
        self, caller: Caller, found: Sequence[store.Emergency], now: datetime
    ) -> Mapping[str, Any]:
        """Those that are open for the caller with their alerts, and those of others.

        That the citizens are listed was logged by `store.emergencies`.
        """
        async with asking(self._door.pool, caller) as db:
            own = await sought.own(db, caller)
            mine = [one for one in found if one.public in own and one.until > now]
            people = await residents(db, caller, [one.number for one in found])
            cards = await _cards(db, caller, {one.number for one in mine}, now)
        return {
            "open": [
                {**_line(one, people, now), "cards": cards.get(one.number, [])} for one in mine
            ],
            "led": [_line(one, people, now) for one in found if one.public not in own],
        }


async def _cards(
    db: Connection, caller: Caller, opened: Collection[int], now: datetime
) -> Mapping[int, list[Card]]:
    """The open alerts of these citizens, calls before warnings."""
    cards: dict[int, list[Card]] = {}
    for kinds in BY_LEVEL if opened else ():
        shown = await alerts_.alerts(db, caller, states=OPEN, kinds=kinds, limit=_MOST_ALERTS)
        for alert in shown:
            if alert.citizen.id in opened:
                cards.setdefault(alert.citizen.id, []).append(card(alert, caller, now))
    await looked(db, caller, "alerts.listed", opened, now)
    return cards


def _line(one: store.Emergency, people: Mapping[int, Resident], now: datetime) -> dict[str, Any]:
    """An opening in words."""
    who = people.get(one.number)
    left = max(1, -(-(one.until - now) // timedelta(minutes=1))) if one.until > now else 0
    return {
        "public": one.public,
        "name": (who and who.name) or "Borger",
        "address": (who and who.address) or "",
        "phone": (who and who.phone) or "",
        "person": one.person,
        "role": next((name for role, name in ROLE.items() if role == one.role), one.role),
        "reason": one.reason,
        "opened": moment(one.opened, now, ZONE.key),
        "until": moment(one.until, now, ZONE.key),
        "left": left,
        "followed": one.followed and moment(one.followed, now, ZONE.key),
        "followed_by": one.followed_by,
        "followed_text": one.followed_text,
    }
