"""The live stream: which alerts changed, ids only, as server-sent events."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.types import Send

from gateway.api.access import Asking, who
from gateway.api.desk import Desk, Here
from gateway.api.problems import ALWAYS, Problem
from gateway.reads.live import Listener, Missed, Told
from gateway.store.asking import asking
from gateway.store.looks import changed
from gateway.store.pool import DatabaseDown

router = APIRouter(tags=["alerts"], responses=ALWAYS)

BEAT = 15.0
"""Seconds of quiet after which the stream says that it lives."""

_EVENT_SCHEMA = {
    "type": "object",
    "description": "One of the events; `data` is JSON",
    "required": ["event", "data"],
    "properties": {
        "event": {"type": "string", "enum": ["alert", "reload", "beat"]},
        "data": {"type": "string"},
    },
}
_AGAIN = "retry: 3000\n\n"


@router.get(
    "/stream",
    operation_id="follow_alerts",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": _EVENT_SCHEMA}}}},
)
async def stream(request: Request, caller: Asking, desk: Here) -> StreamingResponse:
    """Server-sent events, only about alerts that the caller may see.

    `alert`: `{"alert": id, "state": …, "kind": …}`: this alert is new or has moved.
    `reload`: from now on changes are heard; before, some may have been missed: ask for the list.
    `beat`: every 15 s while the gateway itself hears its database; 30 s without any event means
    that nothing would be heard. The stream ends when the caller's session or key does.
    """
    async with asking(desk.pool, caller) as db:
        await changed(db, caller, "alerts.followed", None, desk.clock.now())
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

    async def events() -> AsyncGenerator[str]:
        with desk.live.listener(caller) as listener:
            yield _AGAIN
            if desk.live.hearing:  # else it is told as soon as anything would be heard
                yield _event(Missed())
            async with aclosing(_told(request, desk, listener)) as all_told:
                async for told in all_told:
                    yield told

    return _Events(events(), media_type="text/event-stream", headers=headers)


class _Events(StreamingResponse):
    """Closes its events when the browser leaves, not when the collector comes by."""

    async def stream_response(self, send: Send) -> None:
        async with aclosing(cast("AsyncGenerator[str]", self.body_iterator)):
            await super().stream_response(send)


async def _told(request: Request, desk: Desk, listener: Listener) -> AsyncGenerator[str]:
    while True:
        told = await listener.next(BEAT)
        if desk.live.closing.is_set() or not await _may_stay(request, listener):
            return
        if told is not None:
            yield _event(told)
        elif desk.live.hearing:
            yield f'event: beat\ndata: {{"at": {desk.clock.now_ms()}}}\n\n'


async def _may_stay(request: Request, listener: Listener) -> bool:
    """Whether the session or key that opened the stream still holds, with the same rights.

    While the database is away nobody can tell, and nothing is told to anybody.
    """
    try:
        return await who(request, seen=False) == listener.caller
    except DatabaseDown:
        return True
    except Problem:
        return False


def _event(told: Told) -> str:
    if isinstance(told, Missed):
        return "event: reload\ndata: {}\n\n"
    data = {"alert": str(told.alert), "state": told.state, "kind": told.kind}
    return f"event: alert\ndata: {json.dumps(data)}\n\n"
