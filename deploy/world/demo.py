"""Trygport at work on this machine alone: what `./deploy/demo` runs when all is set up."""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from deploy.runtime.exits import Exit, Stop
from deploy.runtime.machine import make_sure_of_room
from deploy.runtime.paths import RUNTIME
from deploy.runtime.process import DidNotStart
from deploy.runtime.services import scratch_folder
from deploy.world.api import ApiRefused, Json
from deploy.world.newcomer import Newcomer
from deploy.world.recording import BadRecording, read_recording
from deploy.world.replaying import show_replay
from deploy.world.scenario import Evening, Moved
from deploy.world.stack import CommandFailed
from deploy.world.verdict import Disappointment, check

_FEWEST_HOMES, _MOST_HOMES = 2, 500
_FAILED = 1
_ROOM = 500_000_000
"""Bytes that a demo may fill: an empty cluster with its log takes 100 MB before anything comes."""
_TROUBLES = (BadRecording, Disappointment, DidNotStart, CommandFailed, ApiRefused)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; its exit code. A result, if one was asked for, is the last line."""
    asked = _parser().parse_args(arguments)
    try:
        make_sure_of_room(RUNTIME, needed=_ROOM)
        with scratch_folder() as folder:
            result = asyncio.run(_until_stopped(asked, folder))
    except Stop as stop:
        return _explain(stop.sentence, stop.code)
    except _TROUBLES as trouble:
        return _explain(str(trouble), Exit.USAGE if isinstance(trouble, BadRecording) else _FAILED)
    if result is None:
        print("Stopped; nothing is left running.", flush=True)  # noqa: T201 - said to a person
        return Exit.INTERRUPTED if asked.check else 0
    print(json.dumps(result, ensure_ascii=False), flush=True)  # noqa: T201 - the answer
    return 0


async def _until_stopped(asked: argparse.Namespace, folder: Path) -> Json | None:
    """The job's result; None when somebody stopped it, or when it only ran to be looked at."""
    job = asyncio.create_task(_job(asked, folder))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, job.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        return await job
    return None


async def _job(asked: argparse.Namespace, folder: Path) -> Json | None:
    if asked.replay:
        return await _replay(asked, folder)
    if asked.carton:
        return await _carton(asked, folder)
    return await _evening(asked, folder)


async def _carton(asked: argparse.Namespace, folder: Path) -> None:
    def say(line: str) -> None:
        print(line, flush=True)  # noqa: T201 - said to a person

    say("Setting up a small municipality …")
    async with Newcomer(folder=folder, say=say, port=asked.port) as newcomer:
        newcomer.greet()
        say("Press Ctrl-C to end.")
        await asyncio.Event().wait()


async def _evening(asked: argparse.Namespace, folder: Path) -> Json | None:
    clock = Moved.to_the_evening()

    def say(line: str) -> None:
        print(f"{clock.now():%H:%M:%S}  {line}".rstrip(), flush=True)  # noqa: T201 - progress

    say("Setting up a small municipality; the clock was moved to the evening.")
    rate = 1.0 if asked.speed == "max" else asked.speed
    evening = Evening(
        folder=folder, homes=asked.homes, rate=rate, say=say, clock=clock, port=asked.port
    )
    async with evening:
        evening.greet()
        playing, reporting = (
            asyncio.create_task(work) for work in (evening.play(), evening.report())
        )
        try:
            if asked.check:
                return await check(evening)
            say("Press Ctrl-C to end.")
            await playing
            await asyncio.Event().wait()
        finally:
            for task in (playing, reporting):
                task.cancel()
            await asyncio.gather(playing, reporting, return_exceptions=True)
    return None


async def _replay(asked: argparse.Namespace, folder: Path) -> Json | None:
    zone = _zone(asked.zone)
    recording = await asyncio.to_thread(read_recording, asked.replay, zone=zone)
    return await show_replay(
        recording,
        asked.replay,
        folder=folder,
        zone=zone,
        speed=None if asked.speed == "max" else asked.speed,
        port=asked.port,
        stay=not asked.check,
        keep=asked.alerts,
    )


class _Parser(argparse.ArgumentParser):
    """Ends with the set-up's own exit code for a word that is not understood."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"demo: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="./deploy/demo",
        description="Shows Trygport at work on this machine: a home heard over emulated Bluetooth, "
        "simulated neighbours, broker, database and gateway. Ctrl-C ends it and leaves nothing.",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="run without being watched, verify through the public API, print one JSON line",
    )
    parser.add_argument(
        "--carton",
        action="store_true",
        help="a furnished home whose box is still in its carton: join it by hand, and walk through",
    )
    parser.add_argument(
        "--homes", type=_homes, default=5, metavar="N", help="homes in all, from 2 (usual: 5)"
    )
    parser.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="N",
        help="how much happens in the simulated homes, as a multiple of what is usual (the clock "
        "keeps its rate); with --replay, seconds of the recording in one of ours, or max",
    )
    parser.add_argument(
        "--replay", type=Path, metavar="FILE", help="play recorded homes (tidy CSV, also .csv.gz)"
    )
    parser.add_argument(
        "--zone", default="Europe/London", help="time zone of the recorded homes (%(default)s)"
    )
    parser.add_argument("--port", type=_port, help="port of the board and the API (usual: any)")
    parser.add_argument(
        "--alerts",
        type=Path,
        metavar="FILE",
        help="where to keep the list of alerts of a replay (usual: in the runtime folder)",
    )
    return parser


def _homes(text: str) -> int:
    number = int(text)
    if not _FEWEST_HOMES <= number <= _MOST_HOMES:
        raise argparse.ArgumentTypeError(f"from {_FEWEST_HOMES} to {_MOST_HOMES}")
    return number


def _speed(text: str) -> float | str:
    if text == "max":
        return text
    number = float(text)
    if not 0 < number <= 1e6:  # noqa: PLR2004 - a million is as good as max
        raise argparse.ArgumentTypeError("a number above 0, or max")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:  # noqa: PLR2004 - TCP
        raise argparse.ArgumentTypeError("from 1 to 65535")
    return number


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as problem:
        raise Stop(Exit.USAGE, f"{name} is not a time zone, as Europe/London is.") from problem


def _explain(sentence: str, code: int) -> int:
    print(f"demo: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 - said to a person
    return code


if __name__ == "__main__":
    sys.exit(main())
