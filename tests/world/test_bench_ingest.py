"""The benchmark of ingest counts to the last observation, and sees one too few or too many."""

import asyncio
import json
import re
from array import array
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.runtime.exits import Exit
from deploy.runtime.paths import PYTHON, ROOT
from deploy.runtime.services import OneDatabase
from deploy.world.bench import counting
from deploy.world.bench.counting import Count, Expected
from deploy.world.bench.figures import Meter, is_flat
from deploy.world.bench.homes import CALL, address, edge_name
from deploy.world.bench.load import COLUMNS, Shape, stream_of
from deploy.world.bench.main import BENCHES
from deploy.world.bench.sending import Sent
from deploy.world.stack import clean_environment

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SHAPE = Shape(homes=1, frames=3, frames_a_message=3, until=0, run="count")
HOME = 0
_STORED = """
    INSERT INTO municipality (name) VALUES ('Prøvekommune');
    INSERT INTO district (municipality, name) VALUES (1, 'Nord');
    INSERT INTO home (municipality, district) VALUES (1, 1);
    INSERT INTO citizen (municipality, district, home) VALUES (1, 1, 1);
    INSERT INTO edge (municipality, name, home) VALUES (1, '{1}', 1);
    INSERT INTO observation (device, kind, occurred, received, clock, quality, batch)
    SELECT device, kind, '{0}', '{0}', 0, 0, 1
    FROM (VALUES (1, 1), (1, 9), (2, 6)) AS w (device, kind);
    INSERT INTO stream (municipality, uuid, edge, lane, received)
    VALUES (1, '{2}', 1, 'bulk', '{{[1,4)}}');
    INSERT INTO finding (municipality, citizen, rule, rule_version, subject, since, state, reason)
    VALUES (1, 1, 'call_pressed', 0, '2:1', '{0}', 'ended', 'Trykket');
"""
_TWICE = """
    INSERT INTO finding (municipality, citizen, rule, rule_version, subject, since, state, reason)
    SELECT municipality, citizen, rule, rule_version, 'again', since, state, reason FROM finding
"""
GOOD = Count(stored=3, lost=0, duplicated=0, findings=1, findings_missing=0, findings_surplus=0)


@pytest.mark.slow
async def test_a_short_run_of_two_ingests_loses_and_doubles_nothing_and_finds_every_press() -> None:
    figures = await bench(
        *("ingest", "--homes", "40", "--seconds", "2", "--batch", "500", "--processes", "2")
    )

    assert figures["observations"] > 0
    assert figures["complaints"] == 0
    assert (figures["lost"], figures["duplicated"]) == (0, 0)
    assert (figures["findings_missing"], figures["findings_surplus"]) == (0, 0)
    assert figures["findings"] > 0
    assert figures["us"].keys() >= {"parse", "decode", "ledger", "copy", "watch"}
    assert figures["message_shape"]["frames_a_message"] == 25
    assert figures["rows"].keys() == {"1", "200"}
    assert figures["copy_per_s_by_batch"].keys() == {"1000", "500"}
    assert figures["settings"]["raw_messages"] > 0
    assert figures["settings"]["fsync"] == figures["settings"]["synchronous_commit"] == "on"
    assert figures["settings"]["wal_streams"] == 1


async def test_alone_it_lists_the_benchmarks() -> None:
    code, said, _ = await run()

    assert code == 0
    assert all(name in said for name in BENCHES)


@pytest.mark.parametrize(
    "words",
    [
        ("ingest", "--seconds", "1e9"),
        ("outage", "--homes", "1000000"),
        ("growth", "--rows", "1000000000000"),
    ],
)
async def test_what_the_disk_is_too_short_for_is_refused_with_the_reason(
    words: tuple[str, ...],
) -> None:
    code, said, complaints = await run(*words)

    assert (code, said) == (Exit.NO_DISK, "")
    assert re.fullmatch(
        r"Too little room on the disk of .*: [0-9.]+ GB are needed, [0-9.]+ GB are free\.\n",
        complaints,
    )


async def test_all_that_was_sent_is_there(fresh_database: OneDatabase) -> None:
    await stored(fresh_database)

    assert await counting.count(fresh_database.dsn(), sent()) == GOOD


@pytest.mark.parametrize(
    ("statement", "lost", "duplicated"),
    [
        ("DELETE FROM observation WHERE kind = 9", 1, 0),
        ("INSERT INTO observation SELECT * FROM observation WHERE kind = 9", 0, 1),
        ("UPDATE stream SET received = '{[1,3)}'", 1, 0),
        ("UPDATE stream SET received = '{[1,6)}'", 0, 2),
        ("DELETE FROM stream", 3, 0),
    ],
)
async def test_one_too_few_or_too_many_is_seen(
    fresh_database: OneDatabase, statement: str, lost: int, duplicated: int
) -> None:
    await stored(fresh_database, statement)

    found = await counting.count(fresh_database.dsn(), sent())

    assert (found.lost, found.duplicated) == (lost, duplicated)


@pytest.mark.parametrize(
    ("statement", "missing", "surplus"),
    [
        ("DELETE FROM finding", 1, 0),
        ("UPDATE finding SET state = 'withdrawn'", 1, 0),
        (_TWICE, 0, 1),
    ],
)
async def test_a_press_that_was_not_found_or_twice_is_seen(
    fresh_database: OneDatabase, statement: str, missing: int, surplus: int
) -> None:
    await stored(fresh_database, statement)

    found = await counting.count(fresh_database.dsn(), sent())

    assert (found.findings_missing, found.findings_surplus) == (missing, surplus)


def test_memory_is_flat_within_a_tenth_up_and_down() -> None:
    assert is_flat([50, *[100.0] * 10, 110, 91])
    assert not is_flat([100.0] * 20 + [130])
    assert not is_flat([])


async def test_a_meter_sees_what_a_process_and_its_children_use() -> None:
    script = "import time\nwhile time.process_time() < 0.3: pass\nprint('x', flush=True); input()"
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-c", f'"{PYTHON}" -c "{script}"; true'),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    meter = Meter({"alone": [shell.pid], "all": [shell.pid]}, forking=("all",))
    assert shell.stdout is not None
    await shell.stdout.readline()

    meter.start()
    used = {name: meter.before[name] for name in ("alone", "all")}
    await shell.communicate(b"\n")

    assert used["alone"] < 0.2
    assert used["all"] >= 0.28


def sent() -> Expected:
    tally = array("I", [0] * COLUMNS)
    tally[0], tally[1], tally[CALL * 4] = 1, 1, 1
    what = Sent(
        sent=3,
        receipted=3,
        messages=1,
        again=0,
        refused=0,
        seconds=1,
        cpu=0,
        makers_cpu=0,
        frames={HOME: 3},
        tallies={HOME: tally},
    )
    wanted = counting.expected([(SHAPE, what)])
    assert wanted.observations == Counter(
        {(address(0, 0), 1): 1, (address(0, 0), 9): 1, (address(0, CALL), 6): 1}
    )
    return wanted


async def stored(database: OneDatabase, then: str = "SELECT 1") -> None:
    """A motion sensor's two observations and one press, each once; then what goes wrong."""
    db = await asyncpg.connect(database.dsn())
    try:
        await db.execute(_STORED.format(NOW, edge_name(HOME), stream_of(SHAPE, HOME)))
        await db.executemany(
            "INSERT INTO device (municipality, address) VALUES (1, $1)",
            [(address(HOME, 0),), (address(HOME, CALL),)],
        )
        await db.execute(then)
    finally:
        await db.close()


async def bench(*words: str) -> dict[str, Any]:
    code, said, complaints = await run(*words)

    assert code == 0, complaints
    return json.loads(said.splitlines()[-1])


async def run(*words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(PYTHON, "-P", "-m", "deploy.world.bench.main", *words),
        cwd=Path(ROOT),
        env={**clean_environment(), "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaints = await process.communicate()
    return process.returncode or 0, said.decode(), complaints.decode()
