"""The live stream: which alerts changed, ids only, as server-sent events."""

import json
from collections.abc import AsyncGenerator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from gateway.api.access import Asking, who
from gateway.api.desk import Desk, Here
from gateway.api.problems import ALWAYS, Problem
from gateway.reads.live import Listener, Missed, Told

router = APIRouter(tags=["alerts"], responses=ALWAYS)

BEAT = 15.0
"""Seconds of quiet after which the stream says that it lives."""

_AGAIN = "retry: 3000\n\n"


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def stream(request: Request, caller: Asking, desk: Here) -> StreamingResponse:
    """Server-sent events, only about alerts that the caller may see.

    `alert`: `{"alert": id, "state": …, "kind": …}`: this alert is new or has moved.
    `reload`: from now on changes are heard; before, some may have been missed: ask for the list.
    `beat`: every 15 s while the gateway itself hears its database; 30 s without any event means
    that nothing would be heard. The stream ends when the caller's session or key does.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

    async def events() -> AsyncGenerator[str]:
        with desk.live.listener(caller) as listener:
            yield _AGAIN
            if desk.live.hearing:  # else it is told as soon as anything would be heard
                yield _event(Missed())
            async for told in _told(request, desk, listener):
                yield told

    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


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
    """Whether the session or key that opened the stream still holds, with the same rights."""
    try:
        return await who(request, seen=False) == listener.caller
    except Problem:
        return False


def _event(told: Told) -> str:
    if isinstance(told, Missed):
        return "event: reload\ndata: {}\n\n"
    data = {"alert": str(told.alert), "state": told.state, "kind": told.kind}
    return f"event: alert\ndata: {json.dumps(data)}\n\n"
