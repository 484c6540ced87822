"""Finds whom an emergency opening means, by what is said on a telephone: a name and an address.

Who is found is opened in the same breath, and each search is a row in the access log: nobody can
ask who is a citizen here without having opened them. See deploy/decisions/rights.md.
"""

import asyncio
import re
import unicodedata
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from gateway.store.asking import asking
from gateway.store.caller import Caller
from gateway.store.emergencies import Emergency, open_citizen
from gateway.store.pool import Connection, Pool, Row

MOST, PERIOD = 10, timedelta(hours=1)
"""Searches of one person; `seek_citizens` (0017_sought) keeps the same limit."""


class NobodyMeant(Exception):
    """No citizen of the municipality has that name at that address, or more than one.

    One answer for both: else a family's name would be told without anybody being opened.
    """


class SoughtTooOften(Exception):
    """The caller has used up their searches for now."""


class SeenAnyway(Exception):
    """The caller sees this citizen without opening them; `public` is the citizen's id."""

    def __init__(self, public: UUID) -> None:
        super().__init__(str(public))
        self.public = public


async def open_sought(
    pool: Pool, caller: Caller, name: str, address: str, reason: str
) -> Emergency:
    """Open the one citizen of that name at that address, for an hour, with this reason.

    Raises NobodyMeant, SoughtTooOften, SeenAnyway; LookupError for who may open none.
    """
    found = await asyncio.to_thread(_meant, caller, await _all(pool, caller), name, address)
    if len(found) != 1:
        raise NobodyMeant
    (row,) = found
    async with asking(pool, caller) as db:
        seen = await db.fetchval(
            "SELECT EXISTS (SELECT FROM citizen WHERE municipality = $1 AND id = $2)",
            caller.municipality,
            row["id"],
        )
    if seen:
        raise SeenAnyway(row["public"])
    return await open_citizen(pool, caller, row["public"], reason)


async def own(db: Connection, caller: Caller) -> Sequence[UUID]:
    """The emergencies that the caller opened themselves, over or not."""
    rows = await db.fetch(
        "SELECT public FROM emergency WHERE municipality = $1 AND person = $2",
        caller.municipality,
        caller.person,
    )
    return [row["public"] for row in rows]


async def _all(pool: Pool, caller: Caller) -> Sequence[Row]:
    """Every citizen of the municipality, sealed; the search is logged before anything is opened."""
    if caller.asked is None:
        raise LookupError("whoever did not sign in opens nothing")
    async with asking(pool, caller) as db:
        sought = await db.fetchval(
            "SELECT count(*) FROM access_log WHERE municipality = $1 AND person = $2 "
            "AND what = 'emergency.sought' AND at > $3",
            caller.municipality,
            caller.person,
            caller.asked - PERIOD,
        )
        if sought >= MOST:
            raise SoughtTooOften
        return await db.fetch("SELECT * FROM seek_citizens()")


def _meant(caller: Caller, rows: Sequence[Row], name: str, address: str) -> list[Row]:
    """Takes some 20 us a citizen, so it has a thread of its own."""
    return [
        row
        for row in rows
        if lives_at(caller.opens(row["address"], "citizen", row["id"], "address") or "", address)
        and is_called(caller.opens(row["name"], "citizen", row["id"], "name") or "", name)
    ]


def is_called(kept: str, said: str) -> bool:
    """Whether every word of what was said stands in the name: one name is enough, a part is not."""
    words = _words(said)
    return any(len(word) > 1 for word in words) and set(words) <= set(_words(kept))


def lives_at(kept: str, said: str) -> bool:
    """Whether street and number are the same; floor, postcode and town only if they were said.

    The street ends at the first comma, or before a postcode of four digits.
    """
    street = _words(re.split(r",|\b\d{4}\b", kept, maxsplit=1)[0])
    whole, words = _words(kept), _words(said)
    if not any(word.isdecimal() for word in street):
        return bool(words) and words == whole
    rest = words[len(street) :]
    return words[: len(street)] == street and set(rest) <= set(whole[len(street) :])


def _words(text: str) -> list[str]:
    """Letters and numbers apart, so that 4B and 4 b are the same; case and accents are nothing."""
    plain = unicodedata.normalize("NFD", text.casefold()).replace("\u0301", "")
    plain = unicodedata.normalize("NFC", plain).replace("aa", "å")
    return re.findall(r"\d+|[^\W\d_]+", plain)
