"""Whether the gateway lives, whether it is ready, and its figures."""

import asyncio
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from gateway.api.access import may_know_the_works
from gateway.api.desk import Here
from gateway.api.problems import ALWAYS
from gateway.store.pool import DatabaseDown

router = APIRouter(tags=["operation"])


class Readiness(BaseModel):
    """`parts`: each with `ok` or the reason why it is not.

    Told to this machine itself and to an administrator's or a robot's key; others get `ready`.
    """

    ready: bool
    parts: dict[str, str] | None = None


@router.get("/healthz", operation_id="alive")
async def healthz() -> dict[str, str]:
    """The process lives and its loop turns."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    operation_id="ready",
    response_model_exclude_none=True,
    responses={503: {"description": "Not ready; `parts` says what is missing"}},
)
async def readyz(request: Request, desk: Here, response: Response) -> Readiness:
    """Ready for work: every stage of this process says so, and the database answers."""
    parts = dict(desk.health.parts)
    try:
        await desk.pool.fetchval("SELECT 1")
        parts["database"] = None
        parts["live"] = None if desk.live.hearing else "the database's announcements are not heard"
    except DatabaseDown:
        parts["database"] = "it does not answer"
    ready = desk.health.ready and not any(parts.values())
    if not ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    if not await may_know_the_works(request):
        return Readiness(ready=ready)
    return Readiness(ready=ready, parts={name: why or "ok" for name, why in parts.items()})


@router.get("/metrics", responses=ALWAYS, response_class=Response)
async def metrics(desk: Here) -> Response:
    """Figures for Prometheus; for this machine itself over plain HTTP, or with a robot's key."""
    desk.health.gauge("live_streams", "Open live streams").set(desk.live.listeners)
    figures = await asyncio.to_thread(generate_latest, desk.health.registry)
    return Response(figures, media_type=CONTENT_TYPE_LATEST)
