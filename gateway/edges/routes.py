"""The boxes' own HTTPS: whom to trust, joining with a code, and renewing, as JSON and problems."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, TypeVar

from pydantic import BaseModel, StringConstraints, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway import log
from gateway.clock import Clock, WallClock
from gateway.edges.authority import Authority, BadRequest
from gateway.edges.joining import join, renew
from gateway.health import Health
from gateway.store.certificates import Certificate, NotOurs, WrongCode
from gateway.store.pool import DatabaseDown, Pool
from gateway.throttle import Throttle, TooOften

FORMAT = 2
"""Of the answer to joining and renewing: 1 was an account with a password."""

LARGEST = 32 * 1024
"""Bytes of a body; an honest one has about 3,000."""

MOST_REFUSALS = 30
"""Of one address in a minute; what is granted is not counted: many homes may share an address."""

_Pem = Annotated[str, StringConstraints(min_length=100, max_length=8192)]
_Body = TypeVar("_Body", bound=BaseModel)
_log = log.get(__name__)


class Joining(BaseModel):
    """The secret of a code, a request for a certificate, and the version of the box's program."""

    secret: Annotated[str, StringConstraints(pattern="^[0-9A-Za-z-]{12,23}$")]
    request: _Pem
    version: Annotated[str, StringConstraints(max_length=60)] = ""


class Renewing(BaseModel):
    """`proof`: signature (ECDSA with SHA-256, base64) of the old key over the request (DER)."""

    certificate: _Pem
    request: _Pem
    proof: Annotated[str, StringConstraints(max_length=400)]


class Refusal(Exception):
    """What is not granted: the status, a word for programs and for the count, and why."""

    def __init__(self, status: HTTPStatus, kind: str, why: str, *, wait: int | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.kind = kind
        self.wait = wait


class Door:
    """What the routes stand on. `authority` is asked each time: it may have been renewed.

    `clock` is the gateway's; certificates hold by `wall`, the machine's own.
    """

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        health: Health,
        *,
        authority: Callable[[], Authority],
        broker: str,
        wall: Clock | None = None,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._wall = wall or WallClock()
        self._authority = authority
        self._broker = broker
        self._refusals = Throttle(MOST_REFUSALS, timedelta(minutes=1))
        self._count = health.counter(
            "edge_requests", "What boxes asked over HTTPS, and what came of it", ("what", "outcome")
        )

    async def root(self, _request: Request) -> Response:
        """The certificate of our authority, which the box holds against its code."""
        return Response(self._authority().root_pem, media_type="application/x-pem-file")

    async def join(self, request: Request) -> Response:
        return await self._answer(request, "join", self._join)

    async def renew(self, request: Request) -> Response:
        return await self._answer(request, "renew", self._renew)

    async def _join(self, body: bytes) -> Response:
        asked = _read(Joining, body)
        made = await join(
            self._pool,
            self._authority(),
            secret=asked.secret,
            request=asked.request,
            now=self._clock.now(),
            wall=self._wall.now(),
        )
        _log.info("a box joined", edge=made.edge, version=asked.version)
        return self._given(made, HTTPStatus.CREATED)

    async def _renew(self, body: bytes) -> Response:
        asked = _read(Renewing, body)
        made = await renew(
            self._pool,
            self._authority(),
            certificate=asked.certificate,
            request=asked.request,
            proof=_bytes(asked.proof),
            wall=self._wall.now(),
        )
        _log.info("a box renewed its certificate", edge=made.edge)
        return self._given(made, HTTPStatus.OK)

    def _given(self, made: Certificate, status: HTTPStatus) -> Response:
        told = {
            "format": FORMAT,
            "edge": made.edge,
            "broker": self._broker,
            "authority": self._authority().root_pem,
            "certificate": made.pem,
            "renew": int(made.renew.timestamp()),
            "expires": int(made.expires.timestamp()),
        }
        return JSONResponse(told, status)

    async def _answer(
        self, request: Request, what: str, grant: Callable[[bytes], Awaitable[Response]]
    ) -> Response:
        """Grants it, or counts the refusal, against the address too where it may be a guess."""
        asking = request.client.host if request.client else "-"
        try:
            self._refusals.check(asking, self._clock.now())
            answer = await grant(await _whole(request))
        except TooOften as wait:
            refused = Refusal(
                HTTPStatus.TOO_MANY_REQUESTS, "too-often", str(wait), wait=wait.seconds
            )
        except Refusal as why:
            refused = why
        except WrongCode as why:
            refused = Refusal(HTTPStatus.FORBIDDEN, "cannot-join", str(why))
        except NotOurs as why:
            refused = Refusal(HTTPStatus.FORBIDDEN, "cannot-renew", str(why))
        except BadRequest as why:
            refused = Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "bad-request", str(why))
        else:
            self._count.labels(what, "granted").inc()
            return answer
        self._count.labels(what, refused.kind).inc()
        if refused.status is not HTTPStatus.TOO_MANY_REQUESTS:
            self._refusals.count(asking, self._clock.now())
            _log.warning("a box was refused", what=what, why=refused.kind)
        return problem(refused.status, str(refused), refused.kind, wait=refused.wait)


def application(door: Door) -> Starlette:
    """The application of the boxes' listener; nothing else is served there."""
    return Starlette(
        routes=[
            Route("/authority", door.root, methods=["GET"]),
            Route("/edges/join", door.join, methods=["POST"]),
            Route("/edges/renew", door.renew, methods=["POST"]),
            Route("/healthz", _well, methods=["GET"]),
        ],
        exception_handlers={
            HTTPException: _http,
            ClientDisconnect: _gone,
            DatabaseDown: _database_down,
            Exception: _unforeseen,
        },
    )


def problem(status: int, detail: str, kind: str = "", *, wait: int | None = None) -> Response:
    """A problem document, RFC 9457."""
    told = {
        "type": f"/problems/{kind}" if kind else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
    }
    headers: Mapping[str, str] = {} if wait is None else {"Retry-After": str(wait)}
    return JSONResponse(told, status, headers, media_type="application/problem+json")


async def _whole(request: Request) -> bytes:
    """The body. Raises Refusal before more of it is kept than any honest one has."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "too-large",
                f"A body may have at most {LARGEST} bytes.",
            )
    return bytes(body)


def _read(kind: type[_Body], body: bytes) -> _Body:
    """Raises Refusal. What was sent is not repeated: it may be a secret."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as bad:
        first = bad.errors(include_url=False, include_input=False, include_context=False)[0]
        place = "/".join(str(step) for step in first["loc"])
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"#/{place}: {first['msg']}"[:300]
        ) from bad


def _bytes(proof: str) -> bytes:
    try:
        return base64.b64decode(proof, validate=True)
    except (binascii.Error, ValueError) as bad:
        raise BadRequest("the proof is not base64") from bad


async def _well(_request: Request) -> Response:
    return PlainTextResponse("ok")


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    return problem(error.status_code, error.detail)


async def _gone(_request: Request, _error: Exception) -> Response:
    """Nobody reads this answer: who asked has hung up."""
    return problem(HTTPStatus.BAD_REQUEST, "the body ended early")


async def _database_down(_request: Request, _error: Exception) -> Response:
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The database does not answer; try again.",
        "database-down",
        wait=5,
    )


async def _unforeseen(_request: Request, _error: Exception) -> Response:
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong here; it is logged.")
