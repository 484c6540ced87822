"""When the faults are over: all is sent and judged, and the count is made."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg

from deploy.world.chaos.rounds import Say
from deploy.world.chaos.town import to_the_end
from deploy.world.chaos.world import World
from deploy.world.oracle_alerts import Night, night
from deploy.world.oracle_stored import (
    COUNTED_BACK,
    Count,
    Obligation,
    Stored,
    count,
    read_obligations,
    rounded,
)

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

DRAINED = 120.0
"""Seconds within which all that the spools keep has been sent, once nothing breaks any more."""
JUDGED = 90.0
_SABOTAGED = 15.0
"""As above where a part is sabotaged: what it has lost is not waited for."""
_LOOKS = 0.2
_CALM = 1.0

_ROWS = """
    SELECT d.address, o.kind, o.clock, (extract(epoch FROM o.occurred) * 1000)::bigint AS at,
           o.value, o.code, count(*) AS times
    FROM observation o JOIN device d ON d.id = o.device
    GROUP BY d.address, o.kind, o.clock, o.occurred, o.value, o.code
"""
_RANGES = "SELECT uuid::text, received, gone FROM stream"
_ALERTS = """
    SELECT c.public::text AS citizen, a.kind, count(*) AS times
    FROM alert a JOIN citizen c ON c.municipality = a.municipality AND c.id = a.citizen
    GROUP BY c.public, a.kind
"""
_FACTS = """
    SELECT c.public::text AS citizen, a.kind, f.rule, f.subject, f.state,
           (extract(epoch FROM f.since) * 1000)::bigint AS since
    FROM finding f JOIN citizen c ON c.municipality = f.municipality AND c.id = f.citizen
    JOIN alert a ON a.municipality = f.municipality AND a.id = f.alert
"""
_NOTICES = """
    SELECT c.public::text AS citizen, a.kind, n.type, n.public::text AS public, n.state
    FROM notice n JOIN alert a ON a.municipality = n.municipality AND a.id = n.alert
    JOIN citizen c ON c.municipality = a.municipality AND c.id = a.citizen
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of the night: the count of the frames, and the cases that are too few or many."""

    count: Count
    missing: Sequence[str]
    false: Sequence[str]
    complaints: Sequence[str]
    cases: Mapping[str, int]


async def settle(world: World, say: Say) -> list[str]:
    """Wait until all is sent, stored and judged; what did not happen in time."""
    keepers = [asyncio.create_task(part.look_after()) for part in world.programs]
    waits = _Waits(world)
    try:
        world.steps.clear()
        world.receiver.answers.clear()
        world.wish(hush=True)
        say("No more faults; what the spools keep is sent.")
        await waits.until(_is_drained, "the spools are empty", DRAINED)
        await waits.until(_is_judged, "all that is stored is judged", JUDGED)
        await waits.until(_in_contact, "every box is in contact", JUDGED)
        await world.silence()
        await waits.until(_is_silent, "the ended boxes are out of contact", JUDGED)
        say("The gateway's clock is put past the limits of the doses.")
        await world.step_gateway(to_the_end())
        await waits.until(_is_judged, "the deadlines are judged", JUDGED)
        await waits.until(_is_told, "every notice is delivered", JUDGED)
        await asyncio.sleep(_CALM)  # one too many would come now
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
    return waits.late


class _Waits:
    """Waits for one thing after the other; `late` tells what did not happen in its time."""

    def __init__(self, world: World) -> None:
        self.late: list[str] = []
        self._world = world

    async def until(
        self, happened: Callable[[World], Awaitable[bool]], what: str, seconds: float
    ) -> None:
        if self._world.saboteur is not None:
            seconds = _SABOTAGED
        end = time.monotonic() + seconds
        while not await self._asked(happened):
            if time.monotonic() > end:
                self.late.append(f"not within {seconds:.0f} s: {what}")
                return
            await asyncio.sleep(_LOOKS)

    async def _asked(self, happened: Callable[[World], Awaitable[bool]]) -> bool:
        try:
            return await happened(self._world)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False  # the database is not back yet


async def _is_drained(world: World) -> bool:
    houses = world.status().values()
    boxes = [box for house in houses for box in house["boxes"].values()]
    return all(house["hushed"] for house in houses) and not any(box["depth"] for box in boxes)


async def _is_judged(world: World) -> bool:
    moment = world.now()
    left = await world.ask(
        "SELECT (SELECT count(*) FROM pending) + (SELECT count(*) FROM deadline WHERE due <= $1)",
        moment,
    )
    return left == [0]


async def _in_contact(world: World) -> bool:
    return len(await _open_contacts(world)) == len(world.homes)


async def _is_silent(world: World) -> bool:
    return not world.town.silenced & set(await _open_contacts(world))


async def _open_contacts(world: World) -> list[str]:
    return await world.ask(
        'SELECT e.name FROM contact k JOIN edge e ON e.id = k.edge WHERE k."to" IS NULL'
    )


async def _is_told(world: World) -> bool:
    return await world.ask("SELECT count(*) FROM notice WHERE state = 'waiting'") == [0]


# ---------------------------------------------------------------- the count


async def verdict(world: World, late: Sequence[str]) -> Verdict:
    """Hold what is stored against the record of the boxes."""
    obligations = [
        each for one in world.settled for each in read_obligations(world.record(one.edge), one.edge)
    ]
    db = await asyncpg.connect(world.stack.owner)
    try:
        stepped = frozenset(world.settled[index].edge for index in world.ever_stepped)
        counted = count(
            obligations, await stored(db), may_give_up=world.card_edges, stepped=stepped
        )
        expected = night(obligations, world.town)
        missing, false = await _compared(db, expected, world)
    finally:
        await db.close()
    ended = [
        f"{part.name} ended by itself {part.ended} times: {part.log}"
        for part in world.programs
        if part.ended
    ]
    said = [_explained(one, counted.lost[one.place], world) for one in _lost(obligations, counted)]
    surplus = [f"stored {times} times too often: {row}" for row, times in counted.surplus.items()]
    return Verdict(
        count=counted,
        missing=missing,
        false=false,
        complaints=[*late, *ended, *said[:10], *surplus[:10]],
        cases=Counter(kind for _, kind in expected.cases.elements()),
    )


def _lost(obligations: Sequence[Obligation], counted: Count) -> list[Obligation]:
    return [one for one in obligations if one.place in counted.lost]


def _explained(one: Obligation, why: str, world: World) -> str:
    """A lost obligation, and where it was last seen."""
    stream, sequence = one.place
    return (
        f"lost: {one.lane} stream {stream} number {sequence} of {one.edge} ({one.device}"
        f" {one.meant[0][0]} at {one.at}): {why}; {world.seen_in_spool(one.edge, one.place)}"
    )


async def stored(db: Connection) -> Stored:
    rows: Counter[tuple[str, int, int | None, float | None, int | None]] = Counter()
    for row in await db.fetch(_ROWS):
        at = None if row["clock"] in COUNTED_BACK else row["at"]
        rows[row["address"], row["kind"], at, rounded(row["value"]), row["code"]] += row["times"]
    received: dict[str, list[tuple[int, int]]] = defaultdict(list)
    gone: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for stream in await db.fetch(_RANGES):
        received[stream["uuid"]] += [(r.lower, r.upper - 1) for r in stream["received"]]
        gone[stream["uuid"]] += [(r.lower, r.upper - 1) for r in stream["gone"]]
    payloads = [row["payload"] for row in await db.fetch("SELECT payload FROM message")]
    return Stored(received=received, gone=gone, rows=rows, payloads=payloads)


async def _compared(db: Connection, expected: Night, world: World) -> tuple[list[str], list[str]]:
    """The cases, facts and notices that are missing, and those that nothing asks for."""
    devices = {r["id"]: r["address"] for r in await db.fetch("SELECT id, address FROM device")}
    told = await db.fetch(_NOTICES)
    have = Counter[tuple[str, ...]]()
    for row in await db.fetch(_ALERTS):
        have["case", row["citizen"], row["kind"]] += row["times"]
    have.update(("fact", *_fact(row, devices)) for row in await db.fetch(_FACTS))
    have.update(("notice", row["citizen"], row["kind"], row["type"]) for row in told)
    have.update(("delivered", one) for one in {n.id for n in world.receiver.notices if n.valid})
    want = Counter[tuple[str, ...]]()
    want.update(("case", *one) for one in expected.cases.elements())
    want.update(("fact", *one) for one in expected.facts.elements())
    want.update(("notice", *one) for one in expected.notices.elements())
    want.update(("delivered", row["public"]) for row in told)
    return _in_lines(want - have), _in_lines(have - want)


def _in_lines(found: Counter[tuple[str, ...]]) -> list[str]:
    return [" ".join(one) for one in sorted(found.elements())]


def _fact(row: asyncpg.Record, devices: Mapping[int, str]) -> tuple[str, str, str]:
    """A finding of a case in the oracle's words."""
    subject, parts = row["subject"], row["subject"].split(":")
    match row["rule"]:
        case "call_pressed":
            subject = f"{devices[int(parts[0])]} {parts[1]} {row['since']}"
        case "night_door":
            subject = f"{subject} {row['since']}"
        case "dose_missed":
            subject = parts[1]
        case _:
            pass
    state = " withdrawn" if row["state"] == "withdrawn" else ""
    return row["citizen"], row["kind"], f"{subject}{state}"
