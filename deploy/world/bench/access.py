"""What sign-in, rights and log add to a request: the API against the same queries without them."""

import argparse
import asyncio
import statistics
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from adapters.observation import Kind
from deploy.runtime.services import Guarded, free_port, scratch_folder
from deploy.world.bench.asking import Asked, ask
from deploy.world.bench.figures import cpu
from deploy.world.stack import Stack
from gateway.store.pool import connect_to

_HOMES = 60
_OBSERVATIONS = 288
"""Of the device's day: one in five minutes."""
_WARM = 40
_SETTINGS = {"log": "WARNING", "requests_a_minute": "100000000"}
_WHERE = ("--municipality", "Bænken", "--district", "Nord", "--create")


class Unlike(Exception):
    """The two servers do not answer alike, so their costs say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One of the two servers, and what its requests cost."""

    port: int
    process: Guarded
    asked: list[Asked]
    cpu_ms: list[float]
    own_ms: list[float]
    client_ms: list[float]
    """Of whoever asks, who shares the machine and is in none of the others."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be changed of the run."""
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3, help="of each of the two, by turns")
    parser.add_argument("--callers", type=int, default=4, help="how many ask at once")


async def run(arguments: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Both by turns; requests a second, and the CPU of server and database for a request."""
    async with _opened(arguments.callers, say) as (stack, whole, bare, paths, keys):
        for _ in range(arguments.rounds):
            for side in (whole, bare):
                await _round(stack, side, paths, keys, arguments.seconds)
                say(_line("bare" if side is bare else "whole", side))
    added = [one - other for one, other in zip(whole.cpu_ms, bare.cpu_ms, strict=True)]
    return {
        "requests_per_s": round(max(one.per_s for one in whole.asked)),
        "p95_ms": round(min(one.p95 for one in whole.asked), 1),
        "requests_per_s_without": round(max(one.per_s for one in bare.asked)),
        "p95_ms_without": round(min(one.p95 for one in bare.asked), 1),
        "added_cpu_ms": round(statistics.median(added), 2),
        "cpu_ms": round(statistics.median(whole.cpu_ms), 2),
        "cpu_ms_without": round(statistics.median(bare.cpu_ms), 2),
        "server_cpu_ms": round(statistics.median(whole.own_ms), 2),
        "server_cpu_ms_without": round(statistics.median(bare.own_ms), 2),
        "database_cpu_ms": round(_database(whole), 2),
        "database_cpu_ms_without": round(_database(bare), 2),
        "client_cpu_ms": round(statistics.median([*whole.client_ms, *bare.client_ms]), 2),
    }


def _database(side: _Side) -> float:
    """Milliseconds of the database's CPU for a request: what is not the server's own."""
    pairs = zip(side.cpu_ms, side.own_ms, strict=True)
    return statistics.median(whole - own for whole, own in pairs)


def _line(name: str, side: _Side) -> str:
    last = side.asked[-1]
    return (
        f"{name}: {last.per_s:.0f} requests/s, p95 {last.p95:.0f} ms, "
        f"{side.cpu_ms[-1]:.2f} ms of CPU a request ({side.own_ms[-1]:.2f} of it the server's)"
    )


@asynccontextmanager
async def _opened(
    callers: int, say: Callable[[str], None]
) -> AsyncGenerator[tuple[Stack, _Side, _Side, Sequence[str], Sequence[str]]]:
    with scratch_folder() as folder:
        say("Starting the database and both servers …")
        stack = await asyncio.to_thread(Stack.start, folder, settings=_SETTINGS)
        try:
            keys = [
                await asyncio.to_thread(
                    stack.command,
                    *("people", "add", *_WHERE, "--role", "staff", "--key"),
                    *("--login", f"staff{number}"),
                )
                for number in range(callers)
            ]
            whole = await asyncio.to_thread(stack.start_gateway, "api", only="api")
            device = await _fill(stack)
            port = free_port()
            bare = await asyncio.to_thread(
                stack.start_program,
                "bare",
                "deploy.world.bench.bare",
                *(stack.owner, str(port), "staff0"),
            )
            paths = [f"/alerts?limit={_HOMES - 10}", f"/devices/{device}/observations"]
            sides = [
                _side(stack.http_port, whole),
                _side(port, bare),
            ]
            for side in sides:
                await _warm(side, paths, keys)
            await _must_be_alike(sides, paths, keys[0])
            yield stack, sides[0], sides[1], paths, keys
        finally:
            await asyncio.to_thread(stack.stop)


def _side(port: int, process: Guarded) -> _Side:
    return _Side(port=port, process=process, asked=[], cpu_ms=[], own_ms=[], client_ms=[])


async def _warm(side: _Side, paths: Sequence[str], keys: Sequence[str]) -> None:
    """Waits for the server, and lets it make its connections, plans and first rows of the log."""
    async with asyncio.timeout(30):
        while True:
            try:
                await ask(side.port, paths, keys, seconds=30, most=_WARM)
            except* OSError:
                await asyncio.sleep(0.2)
            else:
                return


async def _must_be_alike(sides: Sequence[_Side], paths: Sequence[str], key: str) -> None:
    """Raises Unlike: what answers less is not to be compared with."""
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as client:
        for path in paths:
            whole, bare = [
                (await client.get(f"http://127.0.0.1:{side.port}{path}")).json() for side in sides
            ]
            whole["next"] = bare["next"] = None
            if whole != bare:
                raise Unlike(path)


async def _round(
    stack: Stack, side: _Side, paths: Sequence[str], keys: Sequence[str], seconds: float
) -> None:
    def used() -> tuple[float, float, float]:
        mine = time.process_time()
        return cpu(side.process.pid), cpu(stack.database.pid, children=True), mine

    before = used()
    asked = await ask(side.port, paths, keys, seconds=seconds)
    own, database, mine = (now - then for now, then in zip(used(), before, strict=True))
    side.asked.append(asked)
    side.cpu_ms.append((own + database) * 1_000 / len(asked.ms))
    side.own_ms.append(own * 1_000 / len(asked.ms))
    side.client_ms.append(mine * 1_000 / len(asked.ms))


async def _fill(stack: Stack) -> str:
    """A district with open alerts, and a device with a day of observations: its id."""
    key = await asyncio.to_thread(
        stack.command, "people", "add", *_WHERE, "--role", "planner", "--key", "--login", "plan"
    )
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=stack.address, headers=headers) as planner:
        for number in range(_HOMES):
            home = {"district": "Nord", "citizens": [{"name": f"Borger {number}"}]}
            (await planner.post("/homes", json=home)).raise_for_status()
        first = (await planner.get("/homes?limit=1")).json()["homes"][0]
        citizen = first["citizens"][0]["id"]
        device = {"address": "A4:C1:38:00:00:01", "model": "bthome"}
        public = (await planner.post("/devices", json=device)).raise_for_status().json()["id"]
        placed = {"citizen": citizen, "role": "door", "room": "Hoveddør", "legal_basis": "samtykke"}
        answer = await planner.post(f"/devices/{public}/placements", json=placed)
        answer.raise_for_status()
    await _history(stack, public)
    return public


async def _history(stack: Stack, device: str) -> None:
    now = datetime.now(UTC)
    async with connect_to(stack.owner) as db:
        await db.execute('UPDATE placement SET "from" = $1', now - timedelta(days=2))
        await db.execute(
            """
            WITH raised AS (
                INSERT INTO alert (municipality, district, citizen, kind, since, raised, reason)
                SELECT municipality, district, id, 'night_door', $1, $1, 'Døren gik kl. 02.14'
                FROM citizen RETURNING municipality, id, citizen)
            INSERT INTO finding (municipality, citizen, rule, rule_version, subject, since, state,
                                 reason, alert)
            SELECT municipality, citizen, 'night_door', 1, '1', $1, 'holds', 'Døren gik', id
            FROM raised
            """,
            now - timedelta(minutes=5),
        )
        await db.execute(
            """
            INSERT INTO observation
            SELECT d.id, $2, $3::timestamptz - n * interval '290 s', $3, 0, n % 2, NULL, 0, 1
            FROM device d, generate_series(1, $4::integer) AS n WHERE d.public = $1
            """,
            device,
            int(Kind.DOOR),
            now,
            _OBSERVATIONS,
        )
        await db.execute("ANALYZE")
