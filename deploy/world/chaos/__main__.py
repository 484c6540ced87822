"""The command `deploy/chaos`: random faults on the real parts, then what came of it as JSON."""

import argparse
import asyncio
import importlib
import json
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from deploy.runtime.exits import Exit, Stop
from deploy.runtime.services import scratch_folder
from deploy.world.chaos.ending import Verdict, settle, verdict
from deploy.world.chaos.faults import not_here
from deploy.world.chaos.parts import OWN_MOUNTS
from deploy.world.chaos.plan import plan
from deploy.world.chaos.rounds import play
from deploy.world.chaos.saboteurs import NAMES
from deploy.world.chaos.world import World
from deploy.world.numbers import at_least_one

_MOST_SAID = 20
_OTHERS = ("restore", "power")
"""Words that ask for another command, each a module beside this one."""


def main(words: Sequence[str]) -> int:
    """The exit code: 0 only when nothing is lost, doubled, missing or false."""
    if words and words[0] in _OTHERS:
        other = importlib.import_module(f"deploy.world.chaos.{words[0]}")
        return int(other.main(list(words[1:])))
    arguments = _parser().parse_args(words)
    with nullcontext(arguments.keep) if arguments.keep else scratch_folder() as folder:
        folder.mkdir(parents=True, exist_ok=True)
        result = asyncio.run(_night(folder.resolve(), arguments))
    print(json.dumps(result), flush=True)  # noqa: T201 - the command's answer
    counts = ("lost", "duplicated", "alerts_missing", "alerts_false")
    return 1 if any(result[name] for name in counts) else 0


async def _night(folder: Path, arguments: argparse.Namespace) -> Mapping[str, Any]:
    started = time.monotonic()
    rounds = plan(arguments.rounds, arguments.seed, arguments.saboteur)
    say(f"Seed {arguments.seed}: broker, database, gateway and eight boxes are started.")
    async with World.of(folder, seed=arguments.seed, saboteur=arguments.saboteur) as world:
        if without := not_here(world):
            say(f"Not on this machine, where only root may mount: {', '.join(without)}.")
        done = await play(world, rounds, say)
        found = await verdict(world, await settle(world, say))
    _explain(found)
    return {
        "rounds": len(rounds),
        "faults": dict(done),
        "faults_not_here": without,
        "sent": found.count.sent,
        "stored": found.count.stored,
        "lost": len(found.count.lost),
        "duplicated": found.count.surplus.total(),
        "alerts_missing": len(found.missing),
        "alerts_false": len(found.false),
        "given_up": found.count.given_up,
        "alerts": found.cases,
        "seed": arguments.seed,
        "seconds": round(time.monotonic() - started, 1),
    }


def _explain(found: Verdict) -> None:
    for line in found.complaints:
        say(f"  {line}")
    for word, lines in (("missing", found.missing), ("false", found.false)):
        for line in lines[:_MOST_SAID]:
            say(f"  {word}: {line}")


def say(line: str) -> None:
    """Tell whoever waits, on standard error: the answer alone is on standard output."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/chaos",
        description=__doc__,
        epilog="deploy/chaos restore: the drill of a restore from a backup. "
        "deploy/chaos power: power cuts of a box's memory card.",
    )
    parser.add_argument("--rounds", type=at_least_one, default=12, help="faults (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of faults and traffic (%(default)s)")
    parser.add_argument("--saboteur", choices=NAMES, help="a part that breaks the promise")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="an empty folder for logs, records and spools"
    )
    return parser


def _in_own_mounts(words: Sequence[str]) -> None:
    """Begin again where our mounts are seen by nobody else and end with us, if we may."""
    if os.geteuid() != 0 or OWN_MOUNTS in os.environ or shutil.which("unshare") is None:
        return
    alone = ("unshare", "--mount", "--propagation", "private")
    if subprocess.run((*alone, "true"), check=False, capture_output=True).returncode:
        return
    again = (*alone, sys.executable, "-P", "-m", "deploy.world.chaos", *words)
    os.execvpe(again[0], again, os.environ | {OWN_MOUNTS: "yes"})  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    _in_own_mounts(sys.argv[1:])
    try:
        sys.exit(main(sys.argv[1:]))
    except Stop as stop:
        say(stop.sentence)
        sys.exit(stop.code)
    except KeyboardInterrupt:
        say("Stopped; nothing is left running.")
        sys.exit(Exit.INTERRUPTED)
    except Exception:  # noqa: BLE001 - 1 is for what was lost: a count that was not made is none
        say(traceback.format_exc())
        sys.exit(Exit.FAULT)
