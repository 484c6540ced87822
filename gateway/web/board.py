"""The board: every open alert, moved with a thumb; rendered here, live in the browser."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field, StringConstraints

from gateway.alerts import words
from gateway.alerts.alert import OPEN, Move, Outcome, OutcomeMissing, RefusedMove, TextMissing
from gateway.reads import alerts as reads
from gateway.reads import walk as walks
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.looks import looked
from gateway.store.moves import make_move
from gateway.web.audit import add_audit
from gateway.web.beginning import add_beginning
from gateway.web.beginning_file import add_file
from gateway.web.beginning_setup import add_setup
from gateway.web.box import add_box
from gateway.web.box_walk import tried_text
from gateway.web.cards import card, grouped
from gateway.web.door import Door
from gateway.web.emergencies import add_emergencies
from gateway.web.keys import add_keys
from gateway.web.login import add_login
from gateway.web.mapping import add_mapping
from gateway.web.menu import BOARD, menu, start
from gateway.web.pages import ZONE, add_static, rendered
from gateway.web.refused import refused
from gateway.web.rights import add_rights
from gateway.web.things import add_things
from gateway.web.words import BY_LEVEL, NOT_HERE, refusal

_MOST_OPEN, _MOST_CLOSED = 200, 20
_LONGEST_TEXT = 1000
_LATELY = timedelta(hours=24)


class Wanted(BaseModel):
    """What the closing form brings; the other moves bring nothing."""

    version: int | None = Field(default=None, ge=1, le=2**31 - 1)
    outcome: Outcome | Literal[""] = ""
    text: Annotated[str, StringConstraints(max_length=_LONGEST_TEXT, pattern=r"^[^\x00]*$")] = ""


_OTHERS = (
    add_login,
    add_beginning,
    add_setup,
    add_file,
    add_audit,
    add_rights,
    add_emergencies,
    add_things,
    add_box,
    add_keys,
    add_mapping,
)
"""The other screens, each of a room of its own."""


def pages(door: Door) -> APIRouter:
    """Every screen, behind this door. They are for people: no part of the API's document."""
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    board = Board(door)
    asking = Depends(door.caller)

    @router.get("/")
    async def whole(request: Request, caller: Annotated[Caller, asking]) -> Response:
        if not door.may(caller, BOARD):
            return RedirectResponse(start(door, caller), HTTPStatus.SEE_OTHER)
        return await board.page(request, caller)

    @router.get("/board/alerts")
    async def part(request: Request, caller: Annotated[Caller, asking]) -> Response:
        return await board.part(request, caller)

    @router.get("/board/alerts/{public}/close")
    async def closing(
        request: Request, public: UUID, caller: Annotated[Caller, asking]
    ) -> Response:
        return await board.closing(request, caller, public)

    @router.post("/board/alerts/{public}/{move}")
    async def move(
        request: Request,
        public: UUID,
        move: Move,
        caller: Annotated[Caller, asking],
        wanted: Annotated[Wanted, Form()],
    ) -> Response:
        return await board.move(request, caller, public, move, wanted)

    for add in _OTHERS:
        add(router, door)
    door.refused = partial(refused, door)
    add_static(router)
    return router


class Board:
    """Draws the board for whoever asks."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def page(
        self,
        request: Request,
        caller: Caller,
        message: str = "",
        status: HTTPStatus = HTTPStatus.OK,
    ) -> Response:
        """The whole page."""
        shown = await self._shown(request, caller)
        return rendered("board.html", status, **shown, message=message)

    async def part(
        self,
        request: Request,
        caller: Caller,
        message: str = "",
        status: HTTPStatus = HTTPStatus.OK,
    ) -> Response:
        """Only the alerts, for the page that is open already."""
        shown = await self._shown(request, caller)
        return rendered("alerts.html", status, **shown, message=message)

    async def closing(
        self, request: Request, caller: Caller, public: UUID, message: str = ""
    ) -> Response:
        """The form that closes one alert; the open page shows it in a dialog."""
        now = self._door.now()
        try:
            async with asking(self._door.pool, caller) as db:
                alert = await reads.alert(db, caller, public)
                await looked(db, caller, "alert.seen", [alert.citizen.id], now)
        except LookupError:
            return await self.page(request, caller, NOT_HERE, HTTPStatus.NOT_FOUND)
        return rendered(
            "close.html",
            HTTPStatus.CONFLICT if message else HTTPStatus.OK,
            card=card(alert, caller, now),
            outcomes=words.OUTCOME,
            token=self._door.token(request),
            message=message,
            longest=_LONGEST_TEXT,
        )

    async def move(
        self, request: Request, caller: Caller, public: UUID, move: Move, wanted: Wanted
    ) -> Response:
        """Makes the move; a page without script goes back to the board, one with it gets a part."""
        in_part = request.headers.get("x-part") == "1"
        answer = self.part if in_part else self.page
        try:
            await make_move(
                self._door.pool,
                caller,
                public,
                move,
                now=self._door.now(),
                version=wanted.version,
                outcome=wanted.outcome or None,
                text=wanted.text,
            )
        except LookupError:
            return await answer(request, caller, NOT_HERE, HTTPStatus.NOT_FOUND)
        except (OutcomeMissing, TextMissing) as refused:
            return await self.closing(request, caller, public, refusal(refused))
        except RefusedMove as refused:
            return await answer(request, caller, refusal(refused), HTTPStatus.CONFLICT)
        if in_part:
            return await self.part(request, caller)
        return RedirectResponse(f"/#alarm-{public}", HTTPStatus.SEE_OTHER)

    async def _shown(self, request: Request, caller: Caller) -> Mapping[str, Any]:
        now = self._door.now()
        async with asking(self._door.pool, caller) as db:
            open_ = [
                alert
                for kinds in BY_LEVEL  # a storm of warnings must not push a call off the board
                for alert in await reads.alerts(
                    db, caller, states=OPEN, kinds=kinds, limit=_MOST_OPEN
                )
            ]
            closed = await reads.alerts(db, caller, states=["closed"], limit=_MOST_CLOSED)
            lately = [alert for alert in closed if alert.raised > now - _LATELY]
            tried = await walks.running(db, caller, now)
            seen = [alert.citizen.id for alert in (*open_, *lately)]
            seen += [citizen for one in tried for citizen in one.citizens]
            await looked(db, caller, "alerts.listed", seen, now)
        return {
            "groups": grouped(open_, caller, now),
            "closed": [card(alert, caller, now) for alert in lately],
            "tried": [tried_text(one, now) for one in tried],
            "count": len(open_),
            "more": len(open_) >= _MOST_OPEN,
            "menu": menu(self._door, request, caller),
            "token": self._door.token(request),
            "now": now,
            "checked": f"{now.astimezone(ZONE):%H:%M:%S}",
        }
