"""A box joins: it brings the one-time secret of its CODE and is told how to reach the broker."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, StringConstraints

from gateway.api.access import client_address, too_many
from gateway.api.desk import Here
from gateway.api.problems import Problem, answers
from gateway.api.texts import Word
from gateway.api.throttle import TooOften
from gateway.edges.joining import Account, Cannot, join
from gateway.store.boxes import WrongSecret

router = APIRouter(tags=["boxes"])


class Joining(BaseModel):
    """The id and the secret of CODE, and the version of the box's program."""

    edge: Annotated[str, StringConstraints(pattern="^[a-z0-9-]{4,40}$")]
    secret: Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_-]{16,100}$")]
    version: Word


class AccountBody(BaseModel):
    """Told this once. `ca` is PEM text, or null where the broker has a public certificate."""

    edge: str
    broker: str
    ca: str | None
    username: str
    password: str


@router.post(
    "/edges/join",
    responses=answers(
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
async def join_edge(request: Request, desk: Here, joining: Joining) -> AccountBody:
    """Exchanges the one-time secret for a broker account. Unknown, used, too old: all are 403."""
    now = desk.clock.now()
    try:
        desk.joins.check(client_address(request), now)
        desk.joins.count(client_address(request), now)
        account = await join(desk.pool, desk.settings, joining.edge, joining.secret, now)
    except TooOften as wait:
        raise too_many(wait) from wait
    except WrongSecret as refused:
        raise Problem(HTTPStatus.FORBIDDEN, str(refused), kind="cannot-join") from refused
    except Cannot as cannot:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE, str(cannot), kind="cannot-join-now"
        ) from cannot
    return _body(account)


def _body(account: Account) -> AccountBody:
    return AccountBody(
        edge=account.edge,
        broker=account.broker,
        ca=account.ca,
        username=account.edge,
        password=account.password,
    )
