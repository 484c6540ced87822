"""Whether the stage is ready and its figures, on the boxes' HTTPS for this machine itself alone."""

import asyncio
from http import HTTPStatus
from ipaddress import ip_address

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.health import Health


def routes(health: Health) -> list[Route]:
    """`/readyz` and `/metrics`, as the stage `api` has them; to others they are not there."""

    async def readyz(request: Request) -> Response:
        if not _is_here(request):
            return _nothing()
        parts = {name: why or "ok" for name, why in health.parts.items()}
        status = HTTPStatus.OK if health.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse({"ready": health.ready, "parts": parts}, status)

    async def metrics(request: Request) -> Response:
        if not _is_here(request):
            return _nothing()
        figures = await asyncio.to_thread(generate_latest, health.registry)
        return Response(figures, media_type=CONTENT_TYPE_LATEST)

    return [Route("/readyz", readyz), Route("/metrics", metrics)]


def _is_here(request: Request) -> bool:
    return request.client is not None and ip_address(request.client.host).is_loopback


def _nothing() -> Response:
    return PlainTextResponse("Not Found", HTTPStatus.NOT_FOUND)
