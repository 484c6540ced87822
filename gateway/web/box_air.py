"""The page of what a box heard in the air when a technician asked; for who asked, for an hour."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import RedirectResponse

from gateway.reads import commands as reads
from gateway.reads.box_events import citizens
from gateway.store import commands
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.looks import changed, looked
from gateway.web.door import Door
from gateway.web.menu import menu
from gateway.web.pages import rendered

PATH = "/bokse/{name}/luften"
SECONDS = 30
"""How long a box that is asked from the page listens."""

_ERROR: Mapping[str, str] = {
    "busy": "Boksen er i gang med at svare en anden. Vent et minut, og spørg igen.",
    "no_radio": "Boksens radio er slået fra.",
    "unknown_command": "Boksens program er for gammelt til at svare.",
}
_TYPE: Mapping[str | None, str] = {"public": "fast adresse", "random": "skiftende adresse"}
_Name = Annotated[str, Path(pattern="^[a-z0-9-]{4,40}$")]


def add_air(router: APIRouter, door: Door) -> None:
    """The form's target and the answer's page."""
    asking_ = Depends(door.caller)

    @router.post(PATH)
    async def ask(caller: Annotated[Caller, asking_], name: _Name) -> Response:
        now = door.now()
        try:
            async with asking(door.pool, caller) as db:
                public = await commands.add(
                    db, caller, name, what="discover", seconds=SECONDS, now=now
                )
                for citizen in await citizens(db, caller, name) or [None]:
                    await changed(db, caller, "box.discovered", citizen, now)
        except LookupError:
            return RedirectResponse(f"/bokse/{name}", HTTPStatus.SEE_OTHER)
        return RedirectResponse(f"/bokse/{name}/luften/{public}", HTTPStatus.SEE_OTHER)

    @router.get(PATH + "/{command}")
    async def answer(
        request: Request, caller: Annotated[Caller, asking_], name: _Name, command: UUID
    ) -> Response:
        now = door.now()
        async with asking(door.pool, caller) as db:
            asked = await reads.command(db, caller, name, command, now)
            if asked is not None:
                seen = await citizens(db, caller, name)
                await looked(db, caller, "box.discovery_seen", seen, now)
        found = (asked and asked.found) or ()
        return rendered(
            "box_air.html",
            HTTPStatus.OK if asked else HTTPStatus.NOT_FOUND,
            menu=menu(door, request, caller),
            name=name,
            waits=asked is not None and asked.state(now) == "waiting",
            said=_said(asked, now),
            found=[(one["address"], _told(one)) for one in found],
        )


def _said(asked: reads.Command | None, now: datetime) -> str:
    if asked is None:
        return "Der er intet svar at vise dig her. Et svar kan kun ses i en time."
    match asked.state(now):
        case "waiting":
            return "Boksen er spurgt. Siden henter selv svaret; det tager op til et par minutter."
        case "no_answer":
            return "Boksen svarede ikke. Har den kontakt, så spørg igen."
        case "refused":
            return _ERROR.get(asked.error or "", f"Boksen vil ikke: {asked.error}.")
        case "answered":
            return "Boksen hørte disse, de stærkeste først." if asked.found else _NOTHING


_NOTHING = "Boksen hørte ingenting."


def _told(one: Mapping[str, Any]) -> str:
    """What is known of a device: how strong, which kind of address, whose and which data."""
    rssi = one["rssi"]
    kind = one["address_type"]
    parts = [
        "styrke ukendt" if rssi is None else f"styrke {rssi} dBm",
        f"hørt {one['times']} gange" if one["times"] > 1 else "hørt 1 gang",
        _TYPE.get(kind, str(kind or "")),
        "firma " + ", ".join(f"{company:04X}" for company in one["companies"]),
        "tjenester " + ", ".join(one["services"]),
    ]
    return ", ".join(part for part in parts if part and part not in {"firma ", "tjenester "})
