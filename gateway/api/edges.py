"""The boxes over HTTP: listed with what is wrong with them."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from gateway.api.access import Asking
from gateway.api.desk import Desk, Here
from gateway.api.problems import ALWAYS, NotFound, answers
from gateway.api.texts import Limit
from gateway.reads import edges as reads
from gateway.reads.edges import Fault
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.pool import Connection

router = APIRouter(tags=["boxes"])

EdgeName = Annotated[str, Path(pattern="^[a-z0-9-]{4,40}$")]
_NAMED = {**ALWAYS, **answers(HTTPStatus.NOT_FOUND)}


class CardBody(BaseModel):
    """What a box said of its memory card: frames that a full one let go of, and when it was full.

    `early` had their receipt and should have stayed `keep_days`; `given_up` were never sent.
    """

    keep_days: float | None
    early: int
    given_up: int
    full: datetime | None


class EdgeBody(BaseModel):
    """A box. `contact` says since when it is in contact; else `lost` since when it is not.

    `missing` frames in `holes` have not come although later ones have, and are asked for again;
    `given_up` will never come. `card` is null while there is nothing to say of it.
    `faults`: *missing*; *keeps_too_short*, *let_go_early*: a restored gateway could not be filled;
    *gave_up*: a full card has cost frames; *trouble*: what `trouble` says; *deaf*: its radio hears
    nothing; *second_path*: it sends by its second way; *little_room*: see `room_days`;
    *config_refused*: it could not use its newest configuration and follows the one before.

    `reader` (hearing, silent, off, starting) and `mode` (active, passive) are of its radio;
    `room_days`: whole days for which it can keep frames while it is away, 60 at most; `path` 2 is
    its second way to the gateway; `trouble` a word of what keeps it from its duty
    (storage_failed, card_full); `refused` why it does not follow its newest configuration: the
    place in it and what is wrong there. All are as it said last, null where it did not say, and
    may be words that a newer box has.

    `sticker` is what stands on its carton. `code_until` says until when its code may be used, null
    when none may; `certificate` until when its newest certificate lasts. `shut_out` is since when
    it may not connect, and `broker_told` since when the broker knows.
    """

    edge: str
    sticker: str | None
    home: UUID | None
    code_until: datetime | None
    joined: datetime | None
    certificate: datetime | None
    shut_out: datetime | None
    broker_told: datetime | None
    contact: datetime | None
    lost: datetime | None
    lost_by: str | None
    config: int
    config_published: int
    missing: int
    holes: int
    given_up: int
    card: CardBody | None
    reader: str | None
    mode: str | None
    room_days: int | None
    path: int | None
    trouble: str | None
    refused: str | None
    faults: list[Fault]


class EdgesBody(BaseModel):
    """`next` is what to give as `after` for the following ones; null at the end."""

    edges: list[EdgeBody]
    next: str | None


@router.get("/edges", responses=ALWAYS)
async def list_edges(
    caller: Asking,
    desk: Here,
    after: Annotated[str | None, Query(pattern="^[a-z0-9-]{4,40}$")] = None,
    limit: Limit = 50,
) -> EdgesBody:
    """The boxes, with their contact; those that have no home yet are seen by every district."""
    async with asking(desk.pool, caller) as db:
        found = await reads.edges(db, caller, after=after, limit=limit + 1)
    shown = found[:limit]
    return EdgesBody(
        edges=[_edge(edge, desk) for edge in shown],
        next=shown[-1].name if len(found) > limit else None,
    )


@router.get("/edges/{edge}", responses=_NAMED)
async def get_edge(caller: Asking, desk: Here, edge: EdgeName) -> EdgeBody:
    """One box."""
    async with asking(desk.pool, caller) as db:
        return _edge(await the_edge(db, caller, edge), desk)


async def the_edge(db: Connection, caller: Caller, name: str) -> reads.Edge:
    """The box of that name. Raises NotFound, also for a box that is not the caller's to see."""
    edge = await reads.edge(db, caller, name)
    if edge is None:
        raise NotFound
    return edge


def _edge(edge: reads.Edge, desk: Desk) -> EdgeBody:
    told = edge.keep_days is not None or edge.card_full is not None
    card = CardBody(
        keep_days=edge.keep_days,
        early=edge.card_early,
        given_up=edge.card_given_up,
        full=edge.card_full,
    )
    return EdgeBody(
        edge=edge.name,
        sticker=edge.sticker,
        home=edge.home,
        code_until=edge.code_until,
        joined=edge.joined,
        certificate=edge.certificate,
        shut_out=edge.shut_out,
        broker_told=edge.broker_told,
        contact=edge.contact,
        lost=edge.lost,
        lost_by=edge.lost_by,
        config=edge.config,
        config_published=edge.config_published,
        missing=edge.missing,
        holes=edge.holes,
        given_up=edge.given_up,
        card=card if told else None,
        reader=edge.reader,
        mode=edge.mode,
        room_days=edge.room_days,
        path=edge.path,
        trouble=edge.trouble,
        refused=edge.refused,
        faults=edge.faults(desk.clock.now(), days_to_keep=desk.settings.days_to_keep),
    )
