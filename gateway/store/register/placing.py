"""Places a device as a row says: the same placement again changes nothing."""

from collections.abc import Sequence
from datetime import datetime

from adapters.observation import Kind
from gateway.home import when
from gateway.store.pool import Row
from gateway.store.register.book import Book, Values
from gateway.store.register.lines import ZONE, Moment, Refused, Wanted

_CALLS = (Kind.CALL_PRESSED, Kind.BUTTON)


async def place(book: Book, want: Wanted, citizen: int, now: datetime, *, new: bool) -> None:
    """The device, a `new` one or not, speaks for the citizen as the row says. Raises Refused."""
    for column, moment in (("fra", want.since), ("til", want.until)):
        if moment is not None and moment.at > now:
            raise Refused(column, "tidspunktet er ikke kommet endnu")
    if new:
        values: Values = {"address": want.device, "model": want.model}
        device = await book.add(want.line, "device", values)
        await _new(book, want, device, citizen, stays=(), now=now, fresh=True)
        return
    device = await _device(book, want)
    stays = await book.db.fetch(
        'SELECT id, citizen, role, "from", "to" FROM placement '
        'WHERE municipality = $1 AND device = $2 ORDER BY "from" DESC FOR UPDATE',
        book.municipality,
        device,
    )
    stay = same(stays, want, citizen)
    if stay is None:
        await _new(book, want, device, citizen, stays=stays, now=now)
    else:
        await _renew(book, want, stay)


async def _device(book: Book, want: Wanted) -> int:
    row: int | None = await book.db.fetchval(
        "SELECT id FROM device WHERE municipality = $1 AND address = $2 FOR UPDATE",
        book.municipality,
        want.device,
    )
    if row is None:
        values: Values = {"address": want.device, "model": want.model}
        return await book.add(want.line, "device", values)
    if want.model:
        await book.change(want.line, "device", row, {"model": want.model})
    return row


def same(stays: Sequence[Row], want: Wanted, citizen: int) -> Row | None:
    """The placement that the row speaks of: the one that lasts, or the one that began then."""
    for stay in stays:
        lasts = stay["to"] is None and want.since is None
        if stay["citizen"] == citizen and (lasts or _means(want.since, stay["from"])):
            return stay
    return None


def _means(moment: Moment | None, at: datetime) -> bool:
    return moment is not None and moment.means(at)


async def _new(
    book: Book,
    want: Wanted,
    device: int,
    citizen: int,
    *,
    stays: Sequence[Row],
    now: datetime,
    fresh: bool = False,
) -> None:
    since = want.since.at if want.since else now
    until = want.until.at if want.until else None
    if until is not None and until <= since:
        raise Refused("til", "slutningen ligger før begyndelsen")
    for stay in stays:
        if stay["to"] is None:
            whose = "borgeren" if stay["citizen"] == citizen else "en anden borger"
            began = when(stay["from"], ZONE)
            raise Refused("enhed", f"enheden er placeret hos {whose} siden {began}")
        if stay["to"] > since:
            ended = when(stay["to"], ZONE)
            raise Refused("fra", f"enheden var placeret hos en anden til {ended}")
    # also where this caller does not see it; a device that was just made stands nowhere
    if not fresh and await book.db.fetch("SELECT placed_until($1, $2)", device, since):
        raise Refused("enhed", "enheden er placeret et andet sted")
    await book.add(
        want.line,
        "placement",
        {
            "device": device,
            "citizen": citizen,
            "role": want.role,
            "room": want.room,
            "legal_basis": want.basis,
            "from": since,
            "to": until,
        },
    )


async def _renew(book: Book, want: Wanted, stay: Row) -> None:
    if stay["role"] != want.role:
        raise Refused("rolle", "enheden har en anden rolle her; afslut placeringen først")
    values: dict[str, str | int | datetime | None] = {"legal_basis": want.basis}
    if want.room:
        values["room"] = want.room
    if want.until is not None:
        values |= await _end(book, want.until, stay)
    await book.change(want.line, "placement", stay["id"], values)


async def _end(book: Book, until: Moment, stay: Row) -> dict[str, datetime]:
    """A call that was heard stays the citizen's: no end may be put before it afterwards."""
    if stay["to"] is not None:
        if until.means(stay["to"]):
            return {}
        raise Refused("til", f"placeringen sluttede {when(stay['to'], ZONE)}")
    if until.at <= stay["from"]:
        raise Refused("til", f"placeringen begyndte først {when(stay['from'], ZONE)}")
    called = await last_call(book, stay["id"])
    if called is not None and until.at <= called:
        raise Refused("til", f"enheden kaldte senere, {when(called, ZONE)}")
    await book.db.execute(
        "UPDATE dose_plan SET valid_to = GREATEST(valid_from, $3) "
        "WHERE municipality = $1 AND placement = $2 AND (valid_to IS NULL OR valid_to > $3)",
        book.municipality,
        stay["id"],
        until.at,
    )
    return {"to": until.at}


async def last_call(book: Book, placement: int) -> datetime | None:
    """When the device last asked for help in this placement."""
    return await book.db.fetchval("SELECT last_call($1, $2)", placement, _CALLS)
