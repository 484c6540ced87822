"""Brings colleagues, their phones, roles and teams into the register, each row whole or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asyncpg.exceptions import InsufficientPrivilegeError

from gateway.home import when
from gateway.store.homes import InTheWay
from gateway.store.pool import Row
from gateway.store.register.book import Book, By, Change
from gateway.store.register.lines import ZONE, Refused
from gateway.store.register.people_lines import Colleague, colleague
from gateway.store.register.rows import Claim, Outcome, Rows, State, read_line
from gateway.store.register.staff import refuse_last
from gateway.store.register.table import Line

_DISTRICTS = """
    SELECT name, id FROM district
    WHERE municipality = $1 AND ($2::integer[] IS NULL OR id = ANY ($2)) ORDER BY name
"""
_TEAMS = """
    SELECT name, id, district FROM team
    WHERE municipality = $1 AND ($2::integer[] IS NULL OR district = ANY ($2)) ORDER BY name, id
"""
_PERSON = """
    SELECT id, left_on, issuer FROM person WHERE municipality = $1 AND login = $2 FOR UPDATE
"""
_ACCESS = """
    SELECT id, person, role, districts, until FROM access
    WHERE municipality = $1 AND person = $2 ORDER BY id
"""
_MEMBER = "SELECT team FROM team_member WHERE municipality = $1 AND person = $2"


async def bring_people(
    book: Book, by: By, lines: Sequence[Line], now: datetime
) -> tuple[Rows[Any], Sequence[Outcome]]:
    """Every row tried or brought in; belongs in the transaction of the import."""
    districts = await book.db.fetch(_DISTRICTS, by.municipality, by.within)
    run = _People(
        book=book,
        by=by,
        now=now,
        districts={row["name"]: row["id"] for row in districts},
        teams=await book.db.fetch(_TEAMS, by.municipality, by.within),
    )
    return run, await run.all([(line.number, read_line(colleague, line)) for line in lines])


@dataclass(slots=True, kw_only=True)
class _People(Rows[Colleague]):
    """The rows of colleagues; districts and teams are those that who brings them in may give."""

    districts: dict[str, int]
    teams: Sequence[Row]

    def claims(self, want: Colleague) -> Sequence[Claim]:
        who = f"login {want.login}"
        claims = [(_COLUMN[name], who, value) for name, value in want.identity.items()]
        if want.leaves is not None:
            claims.append(("fratrådt", who, want.leaves.at.isoformat()))
        if want.role is not None:  # a role stands in one row only
            claims.append(("rolle", f"rollen for {who}: {want.role}", str(want.line)))
        return claims

    def state(self, made: Sequence[Change]) -> State:
        """A colleague who belongs to one team more is no new one."""
        if any(one.before is None and one.thing in {"person", "access"} for one in made):
            return "new"
        return "changed" if made else "same"

    async def bring(self, want: Colleague) -> None:
        person, left = await self._person(want)
        roles = await self._given(want, person, left)
        await self._join(want, person, left)
        if want.leaves is not None:
            await self._leave(want, person, left, roles)

    async def _person(self, want: Colleague) -> tuple[int, datetime | None]:
        found = await self.book.db.fetchrow(_PERSON, self.by.municipality, want.login)
        if found is None:
            if "name" not in want.identity:
                raise Refused("navn", "feltet er tomt, og kollegaen er ny")
            row = await self.book.add(want.line, "person", {"login": want.login})
            await self.book.add(want.line, "person_identity", want.identity, row=row)
            return row, None
        if found["issuer"] is not None:
            await self._refuse_provided(want, found["id"])
        if want.identity:
            await self._named(want, found["id"])
        return found["id"], found["left_on"]

    async def _named(self, want: Colleague, person: int) -> None:
        """Whoever was made without a name gets one, sealed as the others."""
        if await self.book.read("person_identity", person) is None:
            name = {"name": want.login} | dict(want.identity)
            await self.book.add(want.line, "person_identity", name, row=person)
            return
        try:
            await self.book.change(want.line, "person_identity", person, want.identity)
        except InsufficientPrivilegeError as wider:  # the database knows which roles are elsewhere
            raise Refused(_COLUMN[next(iter(want.identity))], _ELSEWHERE) from wider

    async def _refuse_provided(self, want: Colleague, person: int) -> None:
        """At the next sign-in the provider's word would hold again."""
        if want.role is not None:
            raise Refused("rolle", "kollegaen logger ind med kommunens login, som giver rollerne")
        known = await self.book.read("person_identity", person)
        name = want.identity.get("name")
        if known is not None and name is not None:
            plain = self.book.plain("person_identity", person, known)
            if plain["name"] != name:
                raise Refused("navn", "kollegaen logger ind med kommunens login, som giver navnet")

    async def _given(self, want: Colleague, person: int, left: datetime | None) -> Sequence[Row]:
        """The roles that the person has after this row."""
        roles = await self.book.db.fetch(_ACCESS, self.by.municipality, person)
        if want.role is None:
            return roles
        had = next((one for one in roles if one["role"] == want.role), None)
        numbers = sorted(self._district(name) for name in want.districts) or None
        if had is not None and had["until"] is None and numbers in (None, _sorted(had)):
            return roles
        self._refuse_left("rolle", left)
        await self._give(want, person, had, numbers or self.by.within)
        return await self.book.db.fetch(_ACCESS, self.by.municipality, person)

    async def _give(
        self, want: Colleague, person: int, had: Row | None, numbers: list[int] | None
    ) -> None:
        if had is None:
            values = {"person": person, "role": str(want.role), "districts": numbers}
            await self.book.add(want.line, "access", values)
            return
        self._refuse_wider("rolle", had)
        if numbers is not None:
            await self._refuse_last("distrikt", person, had)
        changed = {"districts": numbers, "until": None}
        await self.book.change(want.line, "access", had["id"], changed)

    async def _join(self, want: Colleague, person: int, left: datetime | None) -> None:
        """Into the teams that are named; out of none, for a file may know of some only."""
        if not want.teams:
            return
        rows = await self.book.db.fetch(_MEMBER, self.by.municipality, person)
        known = {row["team"] for row in rows}
        for name in want.teams:
            if (team := self._team(want, name)) not in known:
                self._refuse_left("team", left)
                await self.book.add(want.line, "member", {"team": team, "person": person})

    async def _leave(
        self, want: Colleague, person: int, left: datetime | None, roles: Sequence[Row]
    ) -> None:
        assert want.leaves is not None  # noqa: S101 - asked before
        if left is not None and want.leaves.means(left):
            return
        if left is not None and left <= self.now:
            raise Refused("fratrådt", f"kollegaen fratrådte {when(left, ZONE)}")
        for had in roles:
            if had["until"] is None:
                self._refuse_wider("fratrådt", had)
                await self._refuse_last("fratrådt", person, had)
        await self.book.change(want.line, "person", person, {"left_on": want.leaves.at})

    def _district(self, name: str) -> int:
        if name not in self.districts:
            known = ", ".join(self.districts) or "ingen"
            raise Refused("distrikt", f"»{name}« findes ikke; kendte distrikter: {known}")
        return self.districts[name]

    def _team(self, want: Colleague, name: str) -> int:
        """Two districts may each have a team of that name: then the row's district tells."""
        found = [one for one in self.teams if one["name"] == name]
        if len(found) > 1 and want.districts:
            within = {self._district(one) for one in want.districts}
            found = [one for one in found if one["district"] in within]
        if len(found) > 1:
            raise Refused("team", f"flere hold hedder »{name}«; skriv holdets distrikt i rækken")
        if not found:
            known = ", ".join(dict.fromkeys(one["name"] for one in self.teams)) or "ingen"
            raise Refused("team", f"»{name}« findes ikke; kendte hold: {known}")
        return found[0]["id"]

    @staticmethod
    def _refuse_left(column: str, left: datetime | None) -> None:
        if left is not None:
            raise Refused(column, f"kollegaen fratræder eller fratrådte {when(left, ZONE)}")

    def _refuse_wider(self, column: str, had: Row) -> None:
        """The database refuses it too (0009, 0015); this says it in a sentence."""
        within = self.by.within
        if within is not None and (
            had["districts"] is None or not set(had["districts"]) <= set(within)
        ):
            raise Refused(column, _ELSEWHERE)

    async def _refuse_last(self, column: str, person: int, had: Row) -> None:
        try:
            await refuse_last(self.book.db, self.by.municipality, person, had)
        except InTheWay as last:
            reason = "kollegaen er den sidste administrator for hele kommunen"
            raise Refused(column, reason) from last


def _sorted(had: Row) -> list[int] | None:
    return None if had["districts"] is None else sorted(had["districts"])


_COLUMN = {"name": "navn", "phone": "telefon"}
_ELSEWHERE = "kollegaen har rollen uden for dine distrikter"
