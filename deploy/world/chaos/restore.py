"""The drill `deploy/chaos restore`: a database is destroyed and restored, and all is counted.

Homes live, people take alerts; in the middle of it a base backup is made, and a while later the
database is gone. It is restored (a) from the backup and the streamed write-ahead log, or (b) from
the backup alone; the boxes fill what is missing. Saboteurs: no new epoch, boxes that forget at
once, no stream: each must be seen to lose.
"""

import argparse
import asyncio
import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deploy.runtime.database import Database
from deploy.runtime.services import scratch_folder
from deploy.runtime.wal import restore
from deploy.world.chaos.drilled import Count, counted
from deploy.world.chaos.village import Village
from deploy.world.numbers import above_zero, at_least_one
from deploy.world.stack import Stack

SABOTEURS = ("no-epoch", "forget", "no-stream")
STAGES: Mapping[str, str] = {"ingest": "ingest", "watch": "watch", "api": "api"}
"""The gateway's processes of the drill, and the stage that each runs."""

_BEFORE = 5.0
"""Seconds of life before the backup begins."""
_AFTER = 2.0
"""Seconds of life after the gateway has come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """What is to be done: the variant, the seconds from backup to destruction, who sabotages.

    `running`: the gateway is left running while the database is restored under it.
    """

    variant: Literal["a", "b"]
    seconds: float
    homes: int = 4
    minute: float = 60.0
    seed: int = 1
    running: bool = False
    saboteur: str | None = None

    @property
    def streams(self) -> bool:
        return self.variant == "a" and self.saboteur != "no-stream"


def main(words: Sequence[str]) -> int:
    """Run the drill; 0 only when nothing is lost that must not be. The result is the last line."""
    asked = _parser().parse_args(words)
    drill = Drill(
        variant=asked.variant,
        seconds=asked.seconds or {"a": 75.0, "b": 20.0}[asked.variant],
        homes=asked.homes,
        minute=asked.minute,
        seed=asked.seed,
        running=asked.running,
        saboteur=asked.saboteur,
    )
    with nullcontext(asked.keep) if asked.keep else scratch_folder() as folder:
        folder.mkdir(parents=True, exist_ok=True)
        found, result = asyncio.run(run(drill, folder.resolve()))
    for line in found.complaints:
        _say(f"  {line}")
    print(json.dumps(result), flush=True)  # noqa: T201 - the command's answer
    return 0 if is_right(drill, result) else 1


def is_right(drill: Drill, result: Mapping[str, Any]) -> bool:
    """Whether all is there that the promise speaks of."""
    never = ("lost", "duplicated", "alerts_missing", "alerts_twice", "alerts_unmarked")
    kept = not result["moves_before_backup_lost"] and result["moves_made"] > 0
    if drill.variant == "a":
        kept = kept and not result["moves_older_than_a_minute_lost"]
    else:
        kept = kept and result["alerts_remade"] > 0
    return kept and result["stored"] > 0 and not any(result[name] for name in never)


async def run(drill: Drill, folder: Path) -> tuple[Count, dict[str, Any]]:
    """The drill in a folder of its own; what was found, and the figures."""
    started = time.monotonic()
    stack = await asyncio.to_thread(_centre, drill, folder / "centre")
    try:
        for name, stages in STAGES.items():
            await asyncio.to_thread(stack.start_gateway, name, only=stages)
        async with Village(
            stack,
            folder / "village",
            homes=drill.homes,
            seed=drill.seed,
            forgets=drill.saboteur == "forget",
        ) as village:
            backed_up, destroyed = await _disaster(drill, village, folder / "backup")
            back = time.monotonic()
            await village.settle()
            found = await counted(village)
    finally:
        await asyncio.to_thread(stack.stop)
    old = destroyed - drill.minute
    lost = found.moves_lost
    return found, {
        "variant": drill.variant,
        "sent": found.sent,
        "stored": found.stored,
        "lost": found.lost,
        "duplicated": found.duplicated,
        "moves_made": found.moves_made,
        "moves_lost": len(lost),
        "moves_older_than_a_minute_lost": sum(move.at < old for move in lost),
        "moves_before_backup_lost": sum(move.at < backed_up for move in lost),
        "alerts_remade": found.alerts_remade,
        "alerts_missing": found.alerts_missing,
        "alerts_twice": found.alerts_twice,
        "alerts_unmarked": found.alerts_unmarked,
        "filled_in_seconds": round(time.monotonic() - back, 1),
        "seconds": round(time.monotonic() - started, 1),
    }


async def _disaster(drill: Drill, village: Village, backup: Path) -> tuple[float, float]:
    """Life, backup, life, the end of the database, and its coming back.

    When the backup began, and when the database was destroyed, as time.monotonic() has it.
    """
    stack, database = village.stack, village.stack.database
    async with village.living():
        async with village.working():
            await asyncio.sleep(_BEFORE)
            backed_up = time.monotonic()
            _say("A base backup is made.")
            await asyncio.to_thread(database.back_up, backup)
            await asyncio.sleep(drill.seconds)
            destroyed = time.monotonic()
            await asyncio.to_thread(_destroy, database)
        _say("The database is destroyed.")
        if not drill.running:
            for process in stack.gateways.values():
                await asyncio.to_thread(process.kill)
        await asyncio.to_thread(_restore, drill, database, backup)
        if drill.saboteur != "no-epoch":
            await asyncio.to_thread(stack.command, "restored")
        _say("It is restored, and has begun a new epoch.")
        if not drill.running:
            for name, stages in STAGES.items():
                await asyncio.to_thread(stack.start_gateway, name, only=stages)
        await asyncio.sleep(_AFTER)
    return backed_up, destroyed


def _centre(drill: Drill, folder: Path) -> Stack:
    folder.mkdir(parents=True)
    database = Database.start(folder / "database", stream_wal=drill.streams)
    # the holes would be seen and asked for, and most of a forgotten epoch be mended by that
    settings = {"announce": "false"} if drill.saboteur == "no-epoch" else {}
    return Stack.start(folder, database=database, settings=settings)


def _destroy(database: Database) -> None:
    """The server dies, and its disk with it; what was streamed away is elsewhere."""
    database.kill()
    if database.wal is not None:
        database.wal.stop()
    database.wal = None
    shutil.rmtree(database.folder / "data")


def _restore(drill: Drill, database: Database, backup: Path) -> None:
    streamed = database.folder / "wal" if drill.streams else None
    restore(backup, database.folder / "data", wal=streamed)
    database.restart()
    if drill.streams:
        database.stream_wal(database.folder / "wal-2")


def _say(line: str) -> None:
    """Tell whoever waits, on standard error: the answer alone is on standard output."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deploy/chaos restore", description=__doc__)
    parser.add_argument(
        "--variant",
        choices=("a", "b"),
        default="b",
        help="a: backup and streamed log; b: the backup alone (%(default)s)",
    )
    parser.add_argument(
        "--seconds", type=above_zero, help="from the backup to the disaster (a: 75, b: 20)"
    )
    parser.add_argument("--homes", type=at_least_one, default=4, help="homes (%(default)s)")
    parser.add_argument(
        "--minute", type=above_zero, default=60.0, help="seconds that a minute has (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the traffic (%(default)s)")
    parser.add_argument(
        "--running", action="store_true", help="leave the gateway running while it is restored"
    )
    parser.add_argument("--saboteur", choices=SABOTEURS, help="a part that breaks the promise")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="an empty folder for logs, records and spools"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
