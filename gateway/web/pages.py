"""Templates and the few static files, read once; both lie beside this file."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

ZONE = ZoneInfo("Europe/Copenhagen")
"""Of the screen's own times; an alert's are in its home's zone."""

_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Static:
    """A file as it is sent. `version` changes with its content, so browsers may keep it."""

    body: bytes
    media_type: str
    version: str


@cache
def statics() -> Mapping[str, Static]:
    """Every static file by name."""
    folder = Path(__file__).parent / "static"
    return {
        path.name: Static(body, _TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:12])
        for path in folder.iterdir()
        if path.suffix in _TYPES
        for body in (path.read_bytes(),)
    }


def add_static(router: APIRouter) -> None:
    """The files, open to everybody; what is not one of them does not exist."""

    @router.get("/static/{name}")
    async def static(name: str) -> Response:
        found = statics().get(name)
        if found is None:
            return Response(status_code=HTTPStatus.NOT_FOUND)
        return Response(
            found.body, media_type=found.media_type, headers={"Cache-Control": _FOR_EVER}
        )


def rendered(template: str, status: HTTPStatus = HTTPStatus.OK, **shown: Any) -> HTMLResponse:  # noqa: ANN401 - what a template shows
    """The template filled in; everything shown is escaped."""
    return HTMLResponse(_templates().get_template(template).render(**shown), status)


@cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("gateway.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["static"] = _address
    return made


def _address(name: str) -> str:
    return f"/static/{name}?v={statics()[name].version}"
