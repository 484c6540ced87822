"""API keys over HTTP: made for a program, within bounds, renewed without a gap, ended."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from gateway.api.access import Asking
from gateway.api.desk import Here
from gateway.api.problems import ALWAYS, NotFound, Problem, answers
from gateway.api.texts import Name, Word
from gateway.store import keys
from gateway.store.people import UnknownName
from gateway.store.purposes import KeyPurpose
from gateway.store.rights import DataClass, Role

router = APIRouter(tags=["keys"], responses=ALWAYS)

Days = Annotated[int, Field(ge=1, le=keys.MOST_DAYS)]


class NewKeyBody(BaseModel):
    """What the key is for. Null: every district of the caller's, every class of the role robot's.

    `purpose` stands beside each look in the access log; without it each request says its own
    (`X-Purpose`). `note` is for people, such as a case's number. `days` is how long it holds.
    """

    name: Name
    districts: Annotated[list[Name], Field(min_length=1, max_length=100)] | None = None
    classes: Annotated[list[DataClass], Field(min_length=1, max_length=20)] | None = None
    purpose: KeyPurpose = ""
    note: Word = ""
    days: Days = keys.USUAL_DAYS


class RotationBody(BaseModel):
    """How long the new secret holds."""

    days: Days = keys.USUAL_DAYS


class SecretBody(BaseModel):
    """`secret` is told in this answer and never again."""

    id: UUID
    secret: str


class KeyBody(BaseModel):
    """A key without its secret. `old_until`: until then the one before the last rotation opens."""

    id: UUID
    name: str
    login: str
    role: Role
    districts: list[str] | None
    classes: list[str] | None
    purpose: KeyPurpose
    note: str
    created: datetime | None
    expires: datetime
    ended: datetime | None
    last_used: datetime | None
    old_until: datetime | None


class KeysBody(BaseModel):
    """The municipality's keys, the newest first; at most 1000."""

    keys: list[KeyBody]


@router.get("/keys")
async def list_keys(caller: Asking, desk: Here) -> KeysBody:
    """Every key of the municipality, with when it was last used."""
    return KeysBody(keys=[_told(one) for one in await keys.keys(desk.pool, caller)])


@router.post("/keys", status_code=HTTPStatus.CREATED)
async def add_key(wanted: NewKeyBody, caller: Asking, desk: Here) -> SecretBody:
    """A key for a program, which is a robot of its own."""
    scope = keys.Scope(
        name=wanted.name, classes=wanted.classes, purpose=wanted.purpose, note=wanted.note
    )
    try:
        made = await keys.add_robot(
            desk.pool, caller, scope, wanted.districts, desk.clock.now(), days=wanted.days
        )
    except UnknownName as unknown:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, str(unknown), kind="unknown-district"
        ) from unknown
    return SecretBody(id=made.public, secret=made.secret)


@router.post(
    "/keys/{public}/rotate",
    status_code=HTTPStatus.CREATED,
    responses=answers(HTTPStatus.NOT_FOUND),
)
async def rotate_key(
    public: UUID, caller: Asking, desk: Here, wanted: RotationBody | None = None
) -> SecretBody:
    """A second secret that opens at once; the first one opens for a week more at most."""
    days = (wanted or RotationBody()).days
    made = await keys.rotate(desk.pool, caller, public, desk.clock.now(), days=days)
    if made is None:
        raise NotFound
    return SecretBody(id=made.public, secret=made.secret)


@router.delete(
    "/keys/{public}", status_code=HTTPStatus.NO_CONTENT, responses=answers(HTTPStatus.NOT_FOUND)
)
async def end_key(public: UUID, caller: Asking, desk: Here) -> None:
    """Neither of the key's secrets opens anything from now on."""
    if not await keys.end_key(desk.pool, caller, public, desk.clock.now()):
        raise NotFound


def _told(one: keys.Kept) -> KeyBody:
    return KeyBody(
        id=one.public,
        name=one.name,
        login=one.login,
        role=one.role,
        districts=None if one.districts is None else [*one.districts],
        classes=None if one.classes is None else [*one.classes],
        purpose=one.purpose,
        note=one.note,
        created=one.created,
        expires=one.expires,
        ended=one.ended,
        last_used=one.last_used,
        old_until=one.old_until,
    )
