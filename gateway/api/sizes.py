"""Refuses bodies larger than anything that we are ever sent, before they are read."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.problems import document

LARGEST = 64 * 1024
"""Bytes; the largest honest body is a home with ten citizens, some 30 kB."""

LARGEST_AT: Mapping[str, int] = {
    "/imports": 2 * 1024 * 1024,
    "/edges/import": 2 * 1024 * 1024,
    "/opsaetning/fil": 2 * 1024 * 1024,
}
"""Bytes, where more is honest: a municipality's register as one file."""


class Sizes:
    """Wraps the application; a length that is told is believed, one that is not is counted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "0")
        most = LARGEST_AT.get(scope["path"], LARGEST)
        too_large = f"A body may have at most {most} bytes."
        if not told.isdecimal() or int(told) > most:
            refusal = document(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large, kind="too-large")
            await refusal(scope, receive, send)
            return
        got = 0

        async def counted() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > most:  # inside the application, which makes a problem document of it
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large)
            return message

        await self._app(scope, counted, send)
