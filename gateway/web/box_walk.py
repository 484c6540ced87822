"""The walk test on a phone: begun from the box's page, followed as it goes, signed off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Path, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, StringConstraints

from gateway.reads import walk as reads
from gateway.reads.box_events import citizens
from gateway.reads.walk import Signal, Test, Tried
from gateway.store import walk
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.looks import looked
from gateway.store.walk import By
from gateway.web.door import Door
from gateway.web.menu import menu
from gateway.web.pages import ZONE, rendered
from gateway.web.words import moment

PATH = "/bokse/{name}/proeve"

SIGNAL: Mapping[Signal | None, str] = {
    "strong": "stærkt signal",
    "good": "godt signal",
    "weak": "svagt signal: flyt boksen nærmere",
    "poor": "for svagt signal: flyt boksen nærmere",
    None: "signal ukendt",
}
PLACED: Mapping[str, str] = {
    "call": "Nødkald",
    "door": "Dør",
    "contact": "Skab eller skuffe",
    "dispenser": "Medicindispenser",
    "motion": "Bevægelse",
    "bed": "Seng",
    "thermometer": "Termometer",
    "climate": "Indeklima",
    "other": "Andet",
}
_DO: Mapping[str, str] = {
    "call": "Tryk på knappen",
    "motion": "Gå forbi sensoren",
    "door": "Åbn døren",
    "contact": "Åbn den",
}
_UNSURE = "Hørt, men boksens ur er ikke sikkert: kaldet er alarmeret. Vent, og prøv igen"
_ANY = "Vent, til den selv melder sig, eller brug den"
_Name = Annotated[str, Path(pattern="^[a-z0-9-]{4,40}$")]


class Signed(BaseModel):
    """What the form brings."""

    bemaerkning: Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A device as the page shows it; `weak` marks a signal that somebody should do something at."""

    name: str
    heard: bool
    state: str
    told: str
    weak: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A test in the list on the box's page."""

    address: str
    time: str
    told: str
    runs: bool


def add_walk(router: APIRouter, door: Door) -> None:
    """The test's page, and the two forms."""
    asking_ = Depends(door.caller)

    @router.post(PATH)
    async def begin(caller: Annotated[Caller, asking_], name: _Name) -> Response:
        try:
            async with asking(door.pool, caller) as db:
                public = await walk.begin(db, By.caller(caller), name, now=door.now())
        except (LookupError, walk.CannotTry) as cannot:
            return RedirectResponse(f"/bokse/{name}?proeve={_why(cannot)}", HTTPStatus.SEE_OTHER)
        return RedirectResponse(f"/bokse/{name}/proeve/{public}", HTTPStatus.SEE_OTHER)

    @router.get(PATH + "/{test}")
    async def follow(
        request: Request, caller: Annotated[Caller, asking_], name: _Name, test: UUID
    ) -> Response:
        return await _page(door, request, caller, name, test)

    @router.post(PATH + "/{test}/afslut")
    async def end(
        request: Request,
        caller: Annotated[Caller, asking_],
        name: _Name,
        test: UUID,
        signed: Annotated[Signed, Form()],
    ) -> Response:
        message = ""
        try:
            async with asking(door.pool, caller) as db:
                found = await reads.walk_test(db, caller, name, test)
                await walk.end(
                    *(db, By.caller(caller), name, test),
                    now=door.now(),
                    remark=signed.bemaerkning,
                    missing=bool(found and found.missing),
                )
        except walk.RemarkMissing:
            message = "Ikke alt er hørt. Skriv i bemærkningen hvorfor, før du skriver under."
        except (LookupError, walk.Over):
            pass  # the page says how it ended
        if message:
            return await _page(door, request, caller, name, test, message=message)
        return RedirectResponse(f"/bokse/{name}/proeve/{test}", HTTPStatus.SEE_OTHER)


async def _page(
    door: Door, request: Request, caller: Caller, name: str, test: UUID, *, message: str = ""
) -> Response:
    """The whole page, or for the open one only what changes."""
    now = door.now()
    async with asking(door.pool, caller) as db:
        found = await reads.walk_test(db, caller, name, test)
        if found is not None:
            await looked(db, caller, "walk.seen", await citizens(db, caller, name), now)
    status = HTTPStatus.NOT_FOUND if found is None else HTTPStatus.OK
    lines = [] if found is None else [line(one, now) for one in found.devices]
    return rendered(
        "walk_part.html" if request.headers.get("x-part") == "1" else "walk.html",
        HTTPStatus.CONFLICT if message else status,
        menu=menu(door, request, caller),
        name=name,
        test=test,
        runs=found is not None and found.runs(now),
        said=_said(found, now),
        count=sum(one.heard for one in lines),
        lines=sorted(lines, key=lambda one: one.heard),
        missing=[one.name for one in lines if not one.heard],
        remark="" if found is None else found.remark,
        token=door.token(request),
        message=message,
    )


def line(one: Tried, now: datetime) -> Line:
    """What is not heard yet says what to do; what is heard says how strong and how soon."""
    name = f"{PLACED.get(one.role, one.role)}, {one.room or 'rum ikke angivet'}"
    if one.occurred is None:
        told = _DO.get(one.role, _ANY)
        if one.unsure:
            told = _UNSURE
        elif one.alive:
            told = f"Enheden er i live. {told}"
        return Line(name=name, heard=False, state="IKKE HØRT", told=f"{told}.", weak=False)
    strength = SIGNAL[one.signal] if one.rssi is None else f"{SIGNAL[one.signal]} ({one.rssi} dBm)"
    times = "" if one.times == 1 else f", hørt {one.times} gange"
    at = moment(one.occurred, now, ZONE.key)
    return Line(
        name=name,
        heard=True,
        state="HØRT",
        told=f"{strength}, nået frem på {one.milliseconds} ms, {at}{times}.",
        weak=one.signal in {"weak", "poor"},
    )


def past(name: str, tests: Sequence[Test], now: datetime) -> list[Past]:
    """The tests of a box, in a line each."""
    return [
        Past(
            address=f"/bokse/{name}/proeve/{one.public}",
            time=moment(one.started, now, ZONE.key),
            told=_how(one, now),
            runs=one.runs(now),
        )
        for one in tests
    ]


def why_not(word: str) -> str:
    """Why a test did not begin, in words."""
    return _WHY.get(word, "")


_WHY: Mapping[str, str] = {
    "NoHome": "Boksen står ikke i en bolig endnu.",
    "NothingPlaced": "Der er ingen enheder placeret i boligen endnu.",
    "Runs": "En afprøvning er allerede i gang i boligen.",
    "TooSoon": (
        "Boligen har været afprøvet i en halv time. Kald alarmerer nu som altid; "
        "vent 10 minutter, og prøv igen."
    ),
}


def _why(cannot: Exception) -> str:
    return type(cannot).__name__ if isinstance(cannot, walk.CannotTry) else ""


def _how(one: Test, now: datetime) -> str:
    heard = len(one.devices) - len(one.missing)
    count = f"{heard} af {len(one.devices)} hørt"
    if one.runs(now):
        return f"I gang til {moment(one.until, now, ZONE.key)}: {count}"
    if one.ended_by == "box":
        return f"{count}; afbrudt, fordi boksen forlod boligen"
    return f"{count}; sluttede af sig selv" if one.by_itself(now) else f"{count}; afsluttet"


def _said(found: Test | None, now: datetime) -> str:
    if found is None:
        return "Der er ingen afprøvning at vise dig her."
    until = moment(found.ended, now, ZONE.key)
    if found.runs(now):
        return (
            f"Prøvekald til {until}: kald fra enhederne her bliver vist og ikke sendt til vagten. "
            "Alle andre enheder alarmerer som altid."
        )
    by = "på gatewayen" if found.command else f"af {found.by or 'en kollega'}"
    begun = f"Begyndt {by} {moment(found.started, now, ZONE.key)}."
    if found.by_itself(now):
        return f"{begun} Afprøvningen sluttede af sig selv {until}. Kald alarmerer nu som altid."
    if found.ended_by == "box":
        left = f"Afprøvningen blev afbrudt {until}, fordi boksen forlod boligen."
        return f"{begun} {left} Kald alarmerer nu som altid."
    colleague = "" if found.command else " af en kollega"
    signed = f" af {found.ender}" if found.ender else colleague
    return f"{begun} Afsluttet{signed} {until}. Kald alarmerer nu som altid."


def tried_text(one: reads.UnderTest, now: datetime) -> str:
    """What the board says while a home is under test."""
    names = " og ".join(name for name in one.names if name) or "en bolig"
    return f"Prøvekald i gang hos {names} til {moment(one.until, now, ZONE.key)}"
