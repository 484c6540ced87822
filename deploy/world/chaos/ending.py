"""When the faults are over: all is sent and judged, and the count is made."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from deploy.world.chaos.parts import Program
from deploy.world.chaos.rounds import Say
from deploy.world.chaos.world import AFTER, BEGINS, World
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

DRAINED = 120.0
"""Seconds within which all that the spools keep has been sent, once nothing breaks any more."""
JUDGED = 90.0
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
    keepers = [
        asyncio.create_task(part.look_after())
        for part in world.parts.values()
        if isinstance(part, Program)
    ]
    late: list[str] = []
    try:
        world.steps.clear()
        world.wish(hush=True)
        say("No more faults; what the spools keep is sent.")
        await _until(lambda: _is_drained(world), "the spools are empty", DRAINED, late)
        await _until(lambda: _is_judged(world), "all that is stored is judged", JUDGED, late)
        await _until(lambda: _in_contact(world), "every box is in contact", JUDGED, late)
        await world.silence()
        await _until(lambda: _is_silent(world), "the ended boxes are out of contact", JUDGED, late)
        say("The gateway's clock is put past the limits of the doses.")
        await world.step_gateway(_to_the_end())
        await _until(lambda: _is_judged(world), "the deadlines are judged", JUDGED, late)
        await _until(lambda: _is_told(world), "every notice is delivered", JUDGED, late)
        await asyncio.sleep(_CALM)  # one too many would come now
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
    return late


def _to_the_end() -> float:
    """Seconds from the world's beginning to after the last limit of a dose."""
    end = BEGINS.replace(hour=0, minute=0) + timedelta(minutes=AFTER)
    return (end - BEGINS).total_seconds()


async def _until(
    happened: Callable[[], Awaitable[bool]], what: str, seconds: float, late: list[str]
) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if await happened():
                return
        except (OSError, asyncpg.PostgresError, TimeoutError):
            pass  # the database is not back yet
        if time.monotonic() > end:
            late.append(f"not within {seconds:.0f} s: {what}")
            return
        await asyncio.sleep(_LOOKS)


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
            obligations, await _stored(db), may_give_up=world.card_edges, stepped=stepped
        )
        expected = night(obligations, world.town)
        missing, false = await _compared(db, expected, world)
    finally:
        await db.close()
    ended = [
        f"{part.name} ended by itself {part.ended} times: {part.log}"
        for part in world.parts.values()
        if isinstance(part, Program) and part.ended
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


async def _stored(db: "asyncpg.Connection[asyncpg.Record]") -> Stored:
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


async def _compared(
    db: "asyncpg.Connection[asyncpg.Record]", expected: Night, world: World
) -> tuple[list[str], list[str]]:
    """The cases, facts and notices that are missing, and those that nothing asks for."""
    missing: list[str] = []
    false: list[str] = []
    cases = Counter({(r["citizen"], r["kind"]): r["times"] for r in await db.fetch(_ALERTS)})
    devices = {r["id"]: r["address"] for r in await db.fetch("SELECT id, address FROM device")}
    facts = Counter(_fact(row, devices) for row in await db.fetch(_FACTS))
    told = await db.fetch(_NOTICES)
    notices = Counter((row["citizen"], row["kind"], row["type"]) for row in told)
    for name, want, have in (
        ("case", expected.cases, cases),
        ("fact", expected.facts, facts),
        ("notice", expected.notices, notices),
    ):
        missing += [f"{name} {' '.join(one)}" for one in (want - have).elements()]
        false += [f"{name} {' '.join(one)}" for one in (have - want).elements()]
    delivered = {one.id for one in world.receiver.notices if one.valid}
    made = {row["public"] for row in told}
    missing += [f"notice {one} was never delivered" for one in sorted(made - delivered)]
    false += [f"a notice came that nobody made: {one}" for one in sorted(delivered - made)]
    return missing, false


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
