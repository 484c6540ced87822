"""What the register's routes share: a transaction as the caller, ETags, and the access log."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Response
from pydantic import BaseModel

from gateway.api.access import Asking
from gateway.api.desk import Desk, Here
from gateway.api.etags import Matching, stale_problem, tag
from gateway.api.problems import Conflict, NotFound, Problem
from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.homes import InTheWay
from gateway.store.looks import changed, looked
from gateway.store.pool import Connection
from gateway.store.register import things
from gateway.store.register.taking import Taken, take_away
from gateway.store.register.things import Item, LikeCpr
from gateway.store.versions import Stale, Versions

_PATHS: Mapping[things.Name, str] = {
    "district": "districts",
    "team": "teams",
    "home": "homes",
    "citizen": "citizens",
    "person": "people",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One request: who asks, with what, and the answer that gets the ETag."""

    caller: Caller
    desk: Desk
    answer: Response

    async def list(
        self, name: things.Name, after: UUID | None, limit: int
    ) -> tuple[list[Item], UUID | None]:
        """The things, and what to give as `after` for the following ones."""
        async with self.asking() as db:
            found = await things.listed(
                db, self.caller, self.desk.seal, name, after=after, limit=limit + 1
            )
            shown = found[:limit]
            if name == "citizen":
                seen = [one.number for one in shown]
                await looked(db, self.caller, "citizens.listed", seen, self.desk.clock.now())
        return shown, shown[-1].public if len(found) > limit else None

    async def show(self, name: things.Name, public: UUID) -> dict[str, Any]:
        """One thing, with its ETag. Raises NotFound."""
        async with self.asking() as db:
            item = await things.one(db, self.caller, self.desk.seal, name, public)
            if name in {"citizen", "home"}:
                seen = await things.citizens_of(db, self.caller, name, item.number)
                await looked(db, self.caller, f"{name}.shown", seen, self.desk.clock.now())
        return self._tagged(item)

    async def add(self, name: things.Name, wanted: BaseModel) -> dict[str, Any]:
        """A new thing, with its address and its ETag. Raises NotFound, Conflict and Problem 422."""
        async with self.asking() as db:
            public = await things.add(db, self.caller, self.desk.seal, name, wanted.model_dump())
            item = await self._written(db, name, public, "added")
        self.answer.headers["Location"] = f"/{_PATHS[name]}/{public}"
        return self._tagged(item)

    async def _written(self, db: Connection, name: things.Name, public: UUID, how: str) -> Item:
        """The thing as it is now; logged for each citizen concerned, and once where none is."""
        item = await things.one(db, self.caller, self.desk.seal, name, public)
        concerned = await things.citizens_of(db, self.caller, name, item.number)
        for citizen in concerned or [None]:
            await changed(db, self.caller, f"{name}.{how}", citizen, self.desk.clock.now())
        return item

    @asynccontextmanager
    async def asking(self) -> AsyncGenerator[Connection]:
        """A transaction as the caller, its refusals as problems."""
        try:
            async with asking(self.desk.pool, self.caller) as db:
                yield db
        except LookupError as error:
            raise NotFound from error
        except InTheWay as refused:
            raise Conflict("in-the-way", str(refused)) from refused
        except Stale as stale:
            raise stale_problem() from stale
        except LikeCpr as refused:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"{refused}: it looks like a CPR number, which may not be kept here.",
                kind="like-cpr",
            ) from refused

    def _tagged(self, item: Item) -> dict[str, Any]:
        tag(self.answer, item.version)
        return told(item)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit(Work):
    """A change of what was read: `versions` are those that it may have now, None for any."""

    versions: Versions

    async def change(self, name: things.Name, public: UUID, wanted: BaseModel) -> dict[str, Any]:
        """The thing as it is wanted. Raises NotFound, Conflict and Problem 412 and 422."""
        async with self.asking() as db:
            await things.change(
                db,
                self.caller,
                self.desk.seal,
                name,
                public,
                versions=self.versions,
                values=wanted.model_dump(),
            )
            item = await self._written(db, name, public, "changed")
        return self._tagged(item)

    async def take_away(self, name: Taken, public: UUID) -> None:
        """Take away what was made by mistake. Raises NotFound, Conflict and Problem 412."""
        async with self.asking() as db:
            number = await take_away(db, self.caller, name, public, self.versions)
            whose = number if name == "citizen" else None
            now = self.desk.clock.now()
            await changed(db, self.caller, f"{name}.taken_away {public}", whose, now)


def told(item: Item) -> dict[str, Any]:
    """The thing as JSON tells it."""
    return {"id": item.public, "version": item.version, **item.values}


def work(caller: Asking, desk: Here, answer: Response) -> Work:
    return Work(caller=caller, desk=desk, answer=answer)


def edit(caller: Asking, desk: Here, answer: Response, matching: Matching) -> Edit:
    return Edit(caller=caller, desk=desk, answer=answer, versions=matching)


Working = Annotated[Work, Depends(work)]
Editing = Annotated[Edit, Depends(edit)]
