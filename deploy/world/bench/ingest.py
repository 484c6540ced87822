"""`./deploy/bench ingest`: from MQTT to rows that are stored and judged, against bare COPY."""

import argparse
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any

from deploy.world.bench import counting, town
from deploy.world.bench.copying import USUAL, Rows, connected, copied_per_s, stored_rows, twin
from deploy.world.bench.figures import is_flat, settled
from deploy.world.bench.homes import ENCRYPTED_EVERY, MOST_HOMES
from deploy.world.bench.legs import Leg, Outcome, Say, one_after_another, ride, shape_for
from deploy.world.bench.load import PER_FRAME, Shape, equal_share
from deploy.world.bench.rig import MOST_PROCESSES, Rig, make_sure_of_room_for, rig
from deploy.world.numbers import from_one_to

_MOST = {1: 40_000, 25: 120_000, 200: 200_000}
"""Observations a second that batches are made for, by frames a message."""
_WARM_UP = 6
"""Messages of each box before anything is measured: caches fill, and rows come for COPY."""
_USUAL_FRAMES = 25
_LONGEST_WARM_UP, _SHORT = 120.0, 20.0
"""Seconds of the warm-up and of a further row, at most."""
_MOST_FRAMES = 250
"""Frames of a box's message at most (edge/sending/lanes.py): more would not fit a packet."""
_TIMES = 4.0
"""So many times what the warm-up stored is what batches are made for, at most."""
_A_MINUTE = 60_000
_ROWS = 300_000
"""Rows of the bare COPY."""
_PARTS = ("parse", "decode", "ledger", "copy")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    homes: int
    frames: int
    seconds: float
    batch: int
    processes: int
    more: bool
    rate: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be said after `ingest`."""
    parser.add_argument(
        *("--homes", "--boxes"),
        type=from_one_to(MOST_HOMES),
        default=1_000,
        help="boxes that send (%(default)s)",
    )
    parser.add_argument(
        "--frames",
        type=from_one_to(_MOST_FRAMES),
        default=25,
        help="frames a message (%(default)s)",
    )
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="seconds of the load (%(default)s)"
    )
    parser.add_argument(
        "--batch",
        type=from_one_to(_ROWS),
        default=2_000,
        help="rows a batch of the second bare COPY that the gateway is held against; the first "
        f"has {USUAL:,}. The gateway cuts its own batches (%(default)s)",
    )
    parser.add_argument(
        "--processes",
        type=from_one_to(MOST_PROCESSES),
        default=1,
        help="processes of ingest (%(default)s)",
    )
    parser.add_argument(
        "--rate", type=float, default=0.0, help="observations a second, not as many as go"
    )
    parser.add_argument(
        "--only", action="store_true", help="not also 1 and 200 frames a message, for less long"
    )


async def run(arguments: argparse.Namespace, say: Say) -> dict[str, Any]:
    """The figures of the whole run. Raises Stop when the disk is too short for it."""
    asked = _Asked(
        homes=arguments.homes,
        frames=arguments.frames,
        seconds=arguments.seconds,
        batch=arguments.batch,
        processes=arguments.processes,
        more=not arguments.only,
        rate=arguments.rate,
    )
    make_sure_of_room_for(sum(row.seconds * row.most for row in _rows(asked)))
    async with rig(tls=arguments.tls, say=say) as started:
        say(f"Settling {asked.homes} homes …")
        await town.settle(started.stack, asked.homes, now=datetime.now(UTC), say=say)
        await started.start_gateway(asked.processes)
        return await _measured(started, asked, say)


async def _measured(started: Rig, asked: _Asked, say: Say) -> dict[str, Any]:
    other = started.stack.database.create("bare")
    bare = await twin(other, other.dsn())
    warm = await ride(started, _warm_up(asked), say)
    first = await _bare(started, bare, asked, warm, say)
    legs = _legs(asked, warm.stored_per_s)
    default = await ride(started, legs[0], say)
    second = await _bare(started, bare, asked, default, say)
    rows = [await ride(started, leg, say) for leg in legs[1:]]
    say("Counting …")
    done = (warm, default, *rows)
    wanted = counting.expected((one.leg.shape, one.sent) for one in done)
    counted = await counting.count(started.stack.owner, wanted)
    copies = {batch: max(first[batch], second[batch]) for batch in first}
    return {
        **figures(default, copies),
        **_counts(counted),
        "message_shape": _shape(started, default),
        "rows": {one.leg.shape.frames_a_message: _row(one, copies) for one in rows},
        "complaints": started.complaints(say),
        "settings": await _durability(started, counted.stored),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A row of the table: frames a message, and batches for so many observations a second."""

    frames: int
    seconds: float
    most: float


def _rows(asked: _Asked) -> list[_Row]:
    """The load itself, and the further rows of the table for less long."""
    short = min(_SHORT, asked.seconds)
    wanted = [(asked.frames, asked.seconds)]
    wanted += [(frames, short) for frames in (1, 200) if asked.more and frames != asked.frames]
    return [
        _Row(frames=frames, seconds=seconds, most=asked.rate or _MOST.get(frames, _MOST[25]))
        for frames, seconds in wanted
    ]


def _legs(asked: _Asked, reached: float = inf) -> list[Leg]:
    """The rows, in times one after another up to now.

    Once so many observations a second were `reached`, batches are made for no more than a few
    times that, so that the load ends near now on a slow machine too.
    """
    shapes = [
        shape_for(
            homes=asked.homes,
            seconds=row.seconds,
            most=min(row.most, _TIMES * reached),
            frames_a_message=row.frames,
            run=f"{secrets.token_hex(4)} {row.frames}",
        )
        for row in _rows(asked)
    ]
    placed = one_after_another(shapes, end=time.time_ns() // 1_000_000)
    rates = [asked.rate, *(0.0 for _ in shapes[1:])]
    return [
        Leg(shape=shape, seconds=row.seconds, rate=rate)
        for shape, row, rate in zip(placed, _rows(asked), rates, strict=True)
    ]


def _warm_up(asked: _Asked) -> Leg:
    """A short load before all that may be measured."""
    before = _legs(asked)[0].shape
    shape = Shape(
        homes=asked.homes,
        frames=_WARM_UP * _USUAL_FRAMES,
        frames_a_message=_USUAL_FRAMES,
        until=before.until - before.span - _A_MINUTE,
        run=f"{secrets.token_hex(4)} warm-up",
    )
    return Leg(shape=shape, seconds=_LONGEST_WARM_UP)


async def _bare(
    started: Rig, bare: str, asked: _Asked, before: Outcome, say: Say
) -> dict[int, float]:
    """Rows a second of the bare COPY, by rows a batch."""
    say("Bare COPY of stored rows …")
    a_message = before.leg.shape.frames_a_message * PER_FRAME
    rows: Rows = await stored_rows(started.stack.owner, _ROWS, a_message=a_message)
    found = {size: await copied_per_s(bare, rows, batch=size) for size in (USUAL, asked.batch)}
    say("  " + ", ".join(f"{rate:,.0f}/s at {size} a batch" for size, rate in found.items()))
    return found


def figures(outcome: Outcome, copies: Mapping[int, float]) -> dict[str, Any]:
    """Rates, CPU and memory of the load; `copies` are bare rates by rows a batch."""
    ingest = [sum(looks) for looks in zip(*_of(outcome.memory, "ingest"), strict=False)]
    steady = settled(ingest) or [0.0]
    return {
        **_row(outcome, copies),
        "copy_per_s": round(copies[USUAL]),
        "copy_per_s_by_batch": {size: round(rate) for size, rate in copies.items()},
        "us": {**_parts(outcome), "watch": outcome.us(outcome.of("watch"))},
        "rss_mb": round(steady[-1], 1),
        "rss_min_mb": round(min(steady), 1),
        "rss_max_mb": round(max(steady), 1),
        "rss_flat": is_flat(ingest),
        "watch_rss_mb": round((_of(outcome.memory, "watch") or [[0.0]])[0][-1], 1),
        "sent_again": outcome.sent.again,
        "seconds": round(outcome.sent.seconds, 1),
        "observations": outcome.sent.receipted,
    }


def _row(outcome: Outcome, copies: Mapping[int, float]) -> dict[str, Any]:
    cpu = outcome.of("ingest") + outcome.of("watch")
    return {
        "observations_per_s": round(outcome.sustained),
        "stored_per_s": round(outcome.stored_per_s),
        "watched_per_s": round(outcome.watched_per_s),
        "ratio": round(outcome.sustained / copies[USUAL], 3),
        "gateway_cpu_us_per_observation": outcome.us(cpu),
        "sender_cpu_us": outcome.us(outcome.of("sender")),
        "broker_cpu_us": outcome.us(outcome.of("broker")),
        "database_cpu_us": outcome.us(outcome.of("database")),
    }


def _parts(outcome: Outcome) -> dict[str, float]:
    """Microseconds an observation by part; the rest is MQTT, the loop and all else."""
    parts = {
        part: outcome.us(outcome.counters.get(f"ingest_cpu_seconds{{part={part}}}", 0.0))
        for part in _PARTS
    }
    whole = outcome.us(outcome.of("ingest"))
    return {**parts, "ingest_rest": round(whole - sum(parts.values()), 2)}


def _of(memory: Mapping[str, Sequence[float]], word: str) -> list[Sequence[float]]:
    return [looks for name, looks in memory.items() if name.startswith(word)]


def _counts(counted: counting.Count) -> dict[str, int]:
    said = asdict(counted)
    return {"stored_all": said.pop("stored"), **said}


def _shape(started: Rig, outcome: Outcome) -> dict[str, Any]:
    shape, frames = outcome.leg.shape, sum(outcome.sent.frames.values())
    return {
        "boxes": shape.homes,
        "frames_a_message": shape.frames_a_message,
        "observations_a_frame": PER_FRAME,
        "encrypted": 1 / ENCRYPTED_EVERY,
        "equal_payloads": round(equal_share(frames), 3),
        "tls": started.tls,
    }


async def _durability(started: Rig, stored: int) -> dict[str, Any]:
    """What the database says of its own care, which must all be on, and what it takes."""
    async with connected(started.stack.owner) as db:
        said: dict[str, Any] = {
            name: await db.fetchval(f"SHOW {name}")
            for name in ("fsync", "synchronous_commit", "full_page_writes")
        }
        said["wal_streams"] = await db.fetchval("SELECT count(*) FROM pg_stat_replication")
        said["raw_messages"] = await db.fetchval("SELECT count(*) FROM message")
        size = await db.fetchval("SELECT pg_database_size(current_database())")
    return {**said, "bytes_an_observation": round(size / max(1, stored))}
