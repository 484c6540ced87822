"""What `./deploy/bench` runs: one benchmark by name, its figures as JSON on the last line."""

import argparse
import asyncio
import contextlib
import importlib
import json
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

import asyncpg

from deploy.runtime.exits import Exit, Stop
from deploy.runtime.process import DidNotStart
from deploy.world.bench.rig import NotReady
from deploy.world.bench.talking import HelperFailed
from deploy.world.numbers import above_zero, at_least_one
from deploy.world.stack import CommandFailed

BENCHES: Mapping[str, str] = {
    "ingest": "from MQTT to rows that are stored and judged, against bare COPY",
    "alert": "from a press at a box to its notice, while telemetry pours in",
    "growth": "how both change with homes, stored rows and streams, as a table and a picture",
    "access": "what sign-in, rights and log add to a request, against the same queries without",
    "log": "looks that are logged and linked by many at once, against linking inside the request",
    "edge": "what the box in the home costs: hearing, keeping, and sending what it kept",
    "outage": "a country comes back: its backlog drains while people press",
}
"""Each benchmark, which is a module here, and what it measures."""

WITH_TLS = frozenset({"ingest", "alert", "outage", "edge"})
"""Those that can be run with mutual TLS (`--tls`)."""
IN_CLEAR = (
    *("observations_per_s", "ratio", "p50_ms", "p99_ms", "max_ms", "drain_per_s", "minutes"),
    *("rss_mb", "cpu_percent_of_core", "spool_append_p99_ms"),
)
"""What is told again of the run in clear, beside the one with mutual TLS."""

_LOST = 1
_NEVER = (
    *("lost", "duplicated", "findings_missing", "findings_surplus"),
    *("observations_lost", "observations_duplicated", "notices_surplus"),
)
"""What each must be 0, where a benchmark counts it."""
_TROUBLES = (
    *(CommandFailed, DidNotStart, NotReady),
    *(asyncpg.PostgresError, asyncpg.InterfaceError, OSError),
)
"""What a full disk or a part that ended look like from here: then nothing was measured."""


class Bench(Protocol):
    """A module that is a benchmark."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...
    async def run(
        self, arguments: argparse.Namespace, say: Callable[[str], None]
    ) -> dict[str, Any]: ...


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark; its exit code. Without a name, they are listed."""
    words = list(sys.argv[1:] if words is None else words)
    parser = _parser(words)
    if not words:
        parser.print_help()
        return 0
    asked = parser.parse_args(words)
    try:
        figures = asyncio.run(_until_stopped(asked))
    except Stop as stop:
        return _explain(stop.sentence, stop.code)
    except HelperFailed as failed:
        return _explain(str(failed), Exit.FAULT)
    except _TROUBLES as trouble:
        return _explain(f"{type(trouble).__name__}: {trouble}", Exit.FAULT)
    if figures is None:
        return _explain("Stopped; nothing is left running.", Exit.INTERRUPTED)
    print(json.dumps(figures, ensure_ascii=False), flush=True)  # noqa: T201 - the answer
    return _LOST if is_wrong(figures) else 0


def is_wrong(figures: Mapping[str, Any]) -> bool:
    """Whether anything was lost, doubled, missing or too many, at any point."""
    points: Sequence[Mapping[str, Any]] = figures.get("points", ())
    return any(each.get(name) for each in (figures, *points) for name in _NEVER)


async def _until_stopped(asked: argparse.Namespace) -> dict[str, Any] | None:
    job = asyncio.create_task(_measured(asked))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, job.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        return await job
    return None


async def _measured(asked: argparse.Namespace) -> dict[str, Any]:
    """With mutual TLS the same in clear first: one machine, one hour, one table."""
    bench = _bench(asked.bench)
    if not getattr(asked, "tls", False):
        return await bench.run(asked, _say)
    _say("First in clear …")
    clear = await bench.run(argparse.Namespace(**{**vars(asked), "tls": False}), _say)
    _say("Now with mutual TLS …")
    figures = await bench.run(asked, _say)
    beside = {name: clear[name] for name in IN_CLEAR if name in clear}
    return {**figures, "in_clear": beside}


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./deploy/bench", description=__doc__)
    benches = parser.add_subparsers(dest="bench", metavar="BENCH", required=True)
    for name, what in BENCHES.items():
        sub = benches.add_parser(name, help=what, description=what)
        # whoever asks for `int` or `float` gets one that a benchmark can be made of
        sub.register("type", int, at_least_one)
        sub.register("type", float, above_zero)
        if name in words:
            _bench(name).add_arguments(sub)
            if name in WITH_TLS:
                sub.add_argument(
                    "--tls",
                    action="store_true",
                    help="every session with a certificate of its own; and in clear, beside it",
                )
    return parser


def _bench(name: str) -> Bench:
    return cast("Bench", importlib.import_module(f"deploy.world.bench.{name}"))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress for a person


def _explain(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - said to a person
    return code


if __name__ == "__main__":
    sys.exit(main())
