"""Fuzzes for a long time: `./deploy/fuzz --minutes N`; what fails is kept, and played again.

Progress is shown; the last line is one JSON object: executions of each target, and the file of
each that failed. Exit code 1 if any did.
"""

import argparse
import ast
import asyncio
import json
import random
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any, Self

import hypothesis
from hypothesis import Phase, given, settings

from deploy.runtime.exits import Exit
from deploy.runtime.paths import RUNTIME
from deploy.runtime.services import Database, OneDatabase, scratch_folder
from deploy.world.numbers import above_zero
from gateway import log
from gateway.store.migrate import migrate
from tests.fuzz import hostile, stream
from tests.fuzz.mutants import EACH, mutants
from tests.fuzz.targets import TARGETS, Target

KEPT = RUNTIME / "fuzz"
STREAM = "stream"
_CHUNK, _STREAM_CHUNK = 500, 50
"""Examples between two looks at the time; those of the stream take longer each."""


def main(words: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    arguments = _arguments(words)
    kept = _read(arguments.replay) if arguments.replay is not None else ("", None)
    log.set_up("ERROR")
    with ExitStack() as stack:
        targets = dict(TARGETS)
        if arguments.target is None or STREAM in arguments.target:
            targets[STREAM] = _stream(stack)
        if arguments.replay is not None:
            return _replay(targets, *kept)
        wanted = {name: targets[name] for name in arguments.target or reversed(targets)}
        return _fuzz(wanted, arguments.minutes, arguments.seed)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./deploy/fuzz", description=__doc__)
    parser.add_argument("--minutes", type=above_zero, default=10.0, help="10 if not said")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))  # noqa: S311 - no secret
    parser.add_argument(
        "--target", action="append", choices=[*TARGETS, STREAM], help="all, if none is named"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE", help="one that failed, once more")
    return parser.parse_args(words)


def _fuzz(targets: Mapping[str, Target], minutes: float, seed: int) -> int:
    """Each target in turn, by rounds, until the time is over; one that failed is left out.

    Every one has its first turn, however short the time.
    """
    end = time.monotonic() + minutes * 60
    executions = dict.fromkeys(targets, 0)
    failed: dict[str, str] = {}
    rounds = 0
    while time.monotonic() < end and len(failed) < len(targets):
        for name, target in targets.items():
            if name not in failed and (rounds == 0 or time.monotonic() < end):
                done, file = _chunk(target, seed + rounds)
                executions[name] += done
                if file is not None:
                    failed[name] = str(file)
        rounds += 1
        _say(f"round {rounds}: {sum(executions.values())} executions, {len(failed)} failed")
    _say(
        json.dumps(
            {
                "minutes": minutes,
                "seed": seed,
                "rounds": rounds,
                "executions": executions,
                "failed": failed,
            }
        )
    )
    return 1 if failed else 0


def _chunk(target: Target, seed: int) -> tuple[int, Path | None]:
    """Some examples; how many, and where the smallest that fails is kept."""
    last: list[Any] = [None]
    done = 0

    @hypothesis.seed(seed)
    @settings(
        max_examples=_STREAM_CHUNK if target.name == STREAM else _CHUNK,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=hostile.UNHURRIED,
    )
    @given(target.inputs)
    def run(said: Any) -> None:
        nonlocal done
        for last[0] in (said, *mutants(said, 0 if target.name == STREAM else EACH)):
            done += 1
            target.withstand(last[0])

    try:
        run()
    except Exception:  # noqa: BLE001 - whatever it is, it is what we look for
        _say(traceback.format_exc())
        return done, _keep(target.name, last[0])
    return done, None


def _keep(name: str, said: Any) -> Path:
    KEPT.mkdir(parents=True, exist_ok=True)
    file = KEPT / f"{name}-{time.strftime('%Y%m%dT%H%M%S')}.txt"
    file.write_text(repr((name, said)))
    return file


def _read(file: Path) -> tuple[str, Any]:
    """The target and the input of one that was kept. Ends the command if there is none."""
    try:
        name, said = ast.literal_eval(file.read_text())
    except (OSError, ValueError, SyntaxError, TypeError) as why:
        print(f"./deploy/fuzz: {file} is not an input that was kept: {why}", file=sys.stderr)  # noqa: T201
        sys.exit(Exit.USAGE)
    if name not in {*TARGETS, STREAM}:
        print(f"./deploy/fuzz: {file}: no target is called {name!r}", file=sys.stderr)  # noqa: T201
        sys.exit(Exit.USAGE)
    return name, said


def _replay(targets: Mapping[str, Target], name: str, said: Any) -> int:
    targets[name].withstand(said)
    _say(f"{name}: withstood")
    return 0


def _stream(stack: ExitStack) -> Target:
    """The stream of messages, into a database of its own that is emptied now and then."""
    database = Database.start(stack.enter_context(scratch_folder()) / "database")
    stack.callback(database.stop)
    where = database.create("fuzz")
    asyncio.run(migrate(where.dsn()))
    return Target(STREAM, stream.messages, stack.enter_context(_Streams(where)).withstand)


class _Streams:
    """One stream after another into the same database, which is emptied before each."""

    def __init__(self, where: OneDatabase) -> None:
        self._where = where
        self._runner = asyncio.Runner()
        self._open = AsyncExitStack()
        self._stream: stream.Stream | None = None
        self._left = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._open.aclose())
        self._runner.close()

    def withstand(self, said: Sequence[stream.Message]) -> None:
        self._runner.run(self._withstand(said))

    async def _withstand(self, said: Sequence[stream.Message]) -> None:
        if self._stream is None or self._left == 0:
            await self._open.aclose()
            self._stream = await self._open.enter_async_context(stream.stream(self._where))
            self._left = _STREAM_CHUNK
        self._left -= 1
        try:
            await self._stream.withstand(said)
        except BaseException:
            self._stream = None  # what it left behind must not count against the next
            raise


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the command's answer


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)  # noqa: T201
        sys.exit(Exit.INTERRUPTED)
