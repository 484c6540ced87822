"""What a box can be asked from its page besides the air, and the answer's page; see box_air.py."""

from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Path, Request, Response
from fastapi.responses import RedirectResponse

from gateway.reads import commands as reads
from gateway.reads.box_events import citizens
from gateway.store import commands
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.commands import TERMS
from gateway.store.looks import changed, looked
from gateway.web.door import Door
from gateway.web.menu import menu
from gateway.web.pages import rendered

PATH = "/bokse/{name}/spoerg"
ANSWER = "/bokse/{name}/svar/{command}"

_Word = Literal["rescan", "identify", "send_log", "restart"]
_Name = Annotated[str, Path(pattern="^[a-z0-9-]{4,40}$")]
_HEADING: Mapping[str, str] = {
    "rescan": "Start lytning forfra",
    "identify": "Blink med lampen",
    "send_log": "Hent loggen",
    "restart": "Genstart boksen",
}
ERROR: Mapping[str, str] = {
    "busy": "Boksen er i gang med noget andet. Vent et minut, og prøv igen.",
    "no_radio": "Boksens radio er slået fra.",
    "no_lamp": (
        "Boksen har ingen lampe, som den må tænde."
        " Find den på mærkaten, eller træk stikket og se, hvilken boks der mister kontakten."
    ),
    "unknown_command": "Boksens program er for gammelt til det.",
    "bad_command": "Boksen kunne ikke bruge det, den blev bedt om.",
    "too_late": "Boksen blev ikke færdig i tide. Prøv igen.",
    "failed": "Det lykkedes ikke for boksen. Se, hvad der er sket, på boksens side.",
}
_NO_ANSWER = "Boksen svarede ikke. Har den kontakt, så prøv igen."


def add_asks(router: APIRouter, door: Door) -> None:
    """The forms' target and the answer's page."""
    asking_ = Depends(door.caller)

    @router.post(PATH)
    async def ask(
        caller: Annotated[Caller, asking_], name: _Name, do: Annotated[_Word, Form()]
    ) -> Response:
        now, terms = door.now(), TERMS[do]
        try:
            async with asking(door.pool, caller) as db:
                public = await commands.add(db, caller, name, what=do, seconds=terms.usual, now=now)
                for citizen in await citizens(db, caller, name) or [None]:
                    await changed(db, caller, terms.asked, citizen, now)
        except LookupError:
            return RedirectResponse(f"/bokse/{name}", HTTPStatus.SEE_OTHER)
        return RedirectResponse(f"/bokse/{name}/svar/{public}", HTTPStatus.SEE_OTHER)

    @router.get(ANSWER)
    async def answer(
        request: Request, caller: Annotated[Caller, asking_], name: _Name, command: UUID
    ) -> Response:
        now = door.now()
        async with asking(door.pool, caller) as db:
            asked = await reads.command(db, caller, name, command, now)
            if asked is not None:
                await looked(db, caller, asked.seen_as, await citizens(db, caller, name), now)
        return rendered(
            "box_answer.html",
            HTTPStatus.OK if asked else HTTPStatus.NOT_FOUND,
            menu=menu(door, request, caller),
            name=name,
            heading=_HEADING.get(asked.what, "Svar fra boksen") if asked else "Svar fra boksen",
            waits=asked is not None and asked.state(now) == "waiting",
            said=said(asked, now),
            log=(asked and asked.log) or "",
        )


def said(asked: reads.Command | None, now: datetime) -> str:
    """How far it has come, in a sentence."""
    if asked is None:
        return "Der er intet svar at vise dig her. Et svar kan kun ses i en time."
    match asked.state(now):
        case "waiting":
            return "Boksen er spurgt. Siden henter selv svaret; det tager op til et par minutter."
        case "no_answer":
            return _NO_ANSWER
        case "refused":
            return ERROR.get(asked.error or "", f"Boksen vil ikke: {asked.error}.")
        case "answered":
            return DONE.get(asked.what, lambda _: "Boksen har svaret.")(asked.did or {})


def _rescanned(did: Mapping[str, Any]) -> str:
    if did.get("heard") is True:
        after = did.get("after_seconds")
        sure = isinstance(after, int | float) and not isinstance(after, bool)
        return f"Boksen lyttede forfra og hører{f' efter {after:.0f} s' if sure else ''}."
    return (
        "Boksen lyttede forfra, men har ikke hørt noget endnu. Er der en enhed lige ved boksen,"
        " så se efter, om radioen er slået til, og genstart boksen."
    )


def _restarted(did: Mapping[str, Any]) -> str:
    away = did.get("away_seconds")
    sure = isinstance(away, int | float) and not isinstance(away, bool)
    took = f" Det tog {away:.0f} s." if sure else ""
    return f"Boksens program er startet igen, og intet er gået tabt.{took}"


DONE: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "rescan": _rescanned,
    "identify": lambda _: "Boksen har blinket med sin lampe.",
    "send_log": lambda _: "Det seneste, som boksens program skrev, det nyeste nederst:",
    "restart": _restarted,
}
"""What came of each, in Danish; `tests/gateway/test_pages_commands.py` looks for missing ones."""
