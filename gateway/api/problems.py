"""Every error as a problem document, RFC 9457."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Route

from gateway.api.rights import RIGHTS
from gateway.store.asking import NotAllowed
from gateway.store.pool import DatabaseDown
from gateway.store.seal import Unsealable

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An answer that is not what was asked for; `kind` names it for programs, `detail` for people.

    `more` is added to the document; `headers` to the answer. Nothing of either is a secret.
    """

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        kind: str | None = None,
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.more = more or {}
        self.headers = headers


class NotSignedIn(Problem):
    """No session and no key, or one that has ended."""

    def __init__(self) -> None:
        super().__init__(
            HTTPStatus.UNAUTHORIZED,
            "Sign in, or send an API key as 'Authorization: Bearer …'.",
            kind="not-signed-in",
            headers={"WWW-Authenticate": "Bearer"},
        )


class NotFound(Problem):
    """It does not exist, or the caller may not know that it does: the same answer for both."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.NOT_FOUND, "There is nothing here for you.", kind="not-found")


class Conflict(Problem):
    """The request was right, but things have moved on, or something stands in its way."""

    def __init__(self, kind: str, detail: str, **more: object) -> None:
        super().__init__(HTTPStatus.CONFLICT, detail, kind=kind, more=more)


class Fault(BaseModel):
    """What is wrong with one field; `pointer` is a JSON pointer (RFC 6901) into the body."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class Document(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(examples=["/problems/not-found", "about:blank"])
    title: str
    status: int = Field(ge=400, le=599)
    detail: str = ""
    errors: list[Fault] | None = None


_HEADERS: Mapping[int, Mapping[str, Any]] = {
    HTTPStatus.UNAUTHORIZED: {
        "WWW-Authenticate": {"description": "`Bearer`", "schema": {"type": "string"}}
    },
    HTTPStatus.TOO_MANY_REQUESTS: {
        "Retry-After": {
            "description": "Seconds to wait",
            "schema": {"type": "integer", "minimum": 0},
        }
    },
}


def answers(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: its error answers, as OpenAPI wants them told."""
    schema = {"$ref": "#/components/schemas/Document"}
    return {
        int(status): {
            "description": status.phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
            **({"headers": _HEADERS[status]} if status in _HEADERS else {}),
        }
        for status in statuses
    }


def schemas() -> dict[str, Any]:
    """The schemas that `answers` refers to."""
    whole = Document.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**whole.pop("$defs", {}), "Document": whole}


ALWAYS = answers(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""What any route behind the door may answer."""


def document(
    status: int,
    detail: str,
    *,
    kind: str | None = None,
    more: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer itself."""
    body = {
        "type": f"/problems/{kind}" if kind else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
    }
    return JSONResponse(
        {**body, **(more or {})}, status, headers=dict(headers or {}), media_type=MEDIA_TYPE
    )


Refused = Callable[[Request, int, str | None, str | None], Response]
"""Draws a refusal for a person: of request, status, the problem's kind and seconds to wait."""

Handler = Callable[[Request, Exception], Response]


def install(app: FastAPI) -> None:
    """Every error of the application becomes a problem document, and for a person a page."""
    handlers: Mapping[type[Exception], Handler] = {
        Problem: _problem,
        NotSignedIn: _not_signed_in,
        RequestValidationError: _invalid,
        HTTPException: _http,  # Starlette's own: the router's 404 too
        DatabaseDown: _database_down,
        NotAllowed: _not_allowed,
        Unsealable: _unsealable,
        Exception: _unforeseen,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, _to_people(handler))


def _to_people(handler: Handler) -> Handler:
    """The same answer, drawn by the screens, if any, where a browser asks for a page."""

    def answer(request: Request, error: Exception) -> Response:
        told = handler(request, error)
        draw: Refused | None = getattr(request.app.state, "refused", None)
        if draw is None or not isinstance(told, JSONResponse) or not _asks_for_a_page(request):
            return told
        kind = getattr(error, "kind", None)
        page = draw(request, told.status_code, kind, told.headers.get("retry-after"))
        for name in ("retry-after", "allow", "www-authenticate"):
            if name in told.headers:
                page.headers[name] = told.headers[name]
        return page

    return answer


def _asks_for_a_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _problem(_request: Request, error: Exception) -> Response:
    problem = cast("Problem", error)
    return document(
        problem.status,
        problem.detail,
        kind=problem.kind,
        more=problem.more,
        headers=problem.headers,
    )


def _not_signed_in(request: Request, error: Exception) -> Response:
    """A person at a page is shown the door, and told what became of a form; a program is told."""
    if _asks_for_a_page(request):
        place = "/login" if request.method in {"GET", "HEAD"} else "/login?unsaved=true"
        return RedirectResponse(place, HTTPStatus.SEE_OTHER)
    return _problem(request, error)


def _invalid(_request: Request, error: Exception) -> Response:
    faults = [_fault(fault) for fault in cast("RequestValidationError", error).errors()]
    return document(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "; ".join(f"{fault.pointer or fault.parameter}: {fault.detail}" for fault in faults)[:500],
        kind="invalid",
        more={"errors": [fault.model_dump(exclude_none=True) for fault in faults]},
    )


def _fault(fault: Mapping[str, Any]) -> Fault:
    """One of pydantic's errors. What was sent is not repeated: it may be a password."""
    place, *path = cast("Sequence[str | int]", fault["loc"])
    if place == "body":
        steps = [str(step).replace("~", "~0").replace("/", "~1") for step in path]
        return Fault(detail=fault["msg"], pointer="#/" + "/".join(steps))
    return Fault(detail=fault["msg"], parameter=str(path[0]) if path else str(place))


def _http(request: Request, error: Exception) -> Response:
    known = cast("HTTPException", error)
    headers = dict(known.headers or {})
    if known.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request) or headers.get("Allow", "")
    return document(known.status_code, known.detail, headers=headers)


def _allowed(request: Request) -> str:
    """Every method of the address: a route knows one, and an address may have several routes."""
    route = request.scope.get("route")
    path = route.path if isinstance(route, Route) else ""
    ways = [way.split(" ") for way in RIGHTS]
    return ", ".join(sorted({method for method, place in ways if place == path}))


def _database_down(_request: Request, _error: Exception) -> Response:
    return document(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The database does not answer; try again.",
        kind="database-down",
        headers={"Retry-After": "2"},
    )


def _not_allowed(_request: Request, _error: Exception) -> Response:
    return document(HTTPStatus.FORBIDDEN, "This is not yours to change.", kind="forbidden")


def _unsealable(_request: Request, _error: Exception) -> Response:
    return document(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "A name does not open with the keys that are here (GATEWAY_IDENTITY_KEY).",
        kind="unsealable",
    )


def _unforeseen(_request: Request, _error: Exception) -> Response:
    return document(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here; it is logged.")
