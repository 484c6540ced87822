"""Where the rooms meet: reads the settings and runs the stages, each on its own feet."""

import argparse
import asyncio
import contextlib
import functools
import importlib
import random
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

from gateway import log
from gateway.clock import Clock, clock_from
from gateway.health import Health
from gateway.settings import BadSetting, Settings
from gateway.store.migrate import WrongHistory, migrate, on_our_schema
from gateway.store.pool import DatabaseDown
from gateway.store.seal import of_settings

STAGES: Mapping[str, str] = {
    "ingest": "gateway.ingest.run",
    "watch": "gateway.watch",
    "notify": "gateway.notify.outbox",
    "edges": "gateway.edges.stage",
    "api": "gateway.api.app",
}
"""Each stage's module, loaded only where the stage runs; its `run` is a Stage."""

SCREENS = "gateway.web.board"
"""The module of the screens, whose `pages` the stage `api` serves."""

COMMANDS: Mapping[str, str] = {
    "begin": "gateway.beginning",
    "people": "gateway.people",
    "edges": "gateway.edges.commands",
    "authority": "gateway.edges.authority_command",
    "audit": "gateway.audit",
    "restored": "gateway.restored",
    "reread": "gateway.reread",
    "seal": "gateway.seal",
    "register": "gateway.register",
    "walk": "gateway.walking",
}
"""Each administrator's command and its module; `add_arguments` and `run` are as in Command."""

AS_A_STAGE = frozenset({"authority", "reread"})
"""Commands that have the rights of a stage, and no need of the owner's."""

SEALED = frozenset({"api", "ingest"})
"""The stages that open what is sealed: names and addresses, and the keys of devices."""

OK, FAILED, BAD_SETTING, NO_DATABASE, WRONG_SCHEMA = 0, 1, 78, 69, 65
"""Exit codes, after sysexits.h (EX_CONFIG, EX_UNAVAILABLE, EX_DATAERR)."""

_FIRST_PAUSE, _LONGEST_PAUSE, _STEADY = 0.5, 15.0, 60.0
"""Seconds before a failed stage starts again, at first, at most, and to forget its failures."""

_log = log.get(__name__)


class Stage(Protocol):
    """Runs until it is cancelled. What it raises is logged, and it is started again."""

    async def __call__(self, settings: Settings, clock: Clock, health: Health) -> None: ...


class Command(Protocol):
    """A module that is a command: its own parser added, then run to an exit code."""

    def add_arguments(self, subparsers: Any) -> None: ...  # noqa: ANN401 - argparse hides its type
    async def run(self, arguments: argparse.Namespace, settings: Settings) -> int: ...


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `gateway`; ends the process with one of the exit codes above."""
    sys.exit(_main(list(sys.argv[1:] if arguments is None else arguments)))


def _main(words: list[str]) -> int:
    arguments = _parser(words).parse_args(words)
    try:
        settings = Settings.read()
        log.set_up(settings.log)
        return asyncio.run(_dispatch(arguments, settings))
    except BadSetting as bad:
        return _say(str(bad), BAD_SETTING)
    except DatabaseDown as down:
        return _say(f"the database is not to be reached: {down}", NO_DATABASE)
    except WrongHistory as wrong:
        return _say(str(wrong), WRONG_SCHEMA)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _say(problem: str, code: int) -> int:
    print(f"gateway: {problem}", file=sys.stderr)  # noqa: T201 - said to who typed the command
    return code


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gateway", description=__doc__)
    subparsers = parser.add_subparsers(dest="command", required=True)
    run = subparsers.add_parser("run", help="run the stages until told to stop")
    run.add_argument("--only", type=_stages, default=None, help=f"some of {','.join(STAGES)}")
    subparsers.add_parser("migrate", help="bring the database's schema up to date")
    for name in COMMANDS:
        # a command's module is loaded only when it is asked for, or to be listed
        if name in words or not words or words[0] in {"-h", "--help"}:
            _command(name).add_arguments(subparsers)
    return parser


def _stages(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if unknown := [name for name in chosen if name not in STAGES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(STAGES)}")
    return chosen


def _command(name: str) -> Command:
    return cast("Command", importlib.import_module(COMMANDS[name]))


async def _dispatch(arguments: argparse.Namespace, settings: Settings) -> int:
    if arguments.command == "run":
        names = arguments.only or usual(settings)
        _refuse_unfit(settings, names)
        await _until_told_to_stop(settings, names)
        return OK
    owner = settings.database_owner.get_secret_value()
    if not owner and arguments.command not in AS_A_STAGE:
        raise BadSetting("GATEWAY_DATABASE_OWNER: this command needs it")
    if arguments.command == "migrate":
        for name in await migrate(settings.database_owner.get_secret_value()):
            print(f"applied {name}")  # noqa: T201 - the command's answer
        return OK
    with on_our_schema():
        return await _command(arguments.command).run(arguments, settings)


def usual(settings: Settings) -> tuple[str, ...]:
    """The stages that run unless some are chosen: `edges` where there is an authority."""
    return tuple(name for name in STAGES if name != "edges" or settings.authority is not None)


def _refuse_unfit(settings: Settings, names: Sequence[str]) -> None:
    """Raises BadSetting now, and not when the first name is asked for or the first box comes."""
    if SEALED & set(names):
        of_settings(settings)
    if "ingest" in names:
        settings.refuse_open_broker()
    if "edges" in names:
        importlib.import_module(STAGES["edges"]).fit(settings)


async def _until_told_to_stop(settings: Settings, names: Sequence[str]) -> None:
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    running = asyncio.create_task(run(settings, names))
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def run(settings: Settings, names: Sequence[str] = (), health: Health | None = None) -> None:
    """Run the named stages in this process, or the usual ones, until cancelled."""
    clock, health = clock_from(settings.clock), health or Health()
    async with asyncio.TaskGroup() as group:
        for name in names or usual(settings):
            group.create_task(_keep_running(name, _stage(name), settings, clock, health), name=name)


def _stage(name: str) -> Stage:
    stage = importlib.import_module(STAGES[name]).run
    if name == "api":  # api and web do not know each other: they meet here
        stage = functools.partial(stage, pages=(importlib.import_module(SCREENS).pages,))
    return cast("Stage", stage)


async def _keep_running(
    name: str, stage: Stage, settings: Settings, clock: Clock, health: Health
) -> None:
    """A stage that fails is started again, later and later; the others go on."""
    time, failures = asyncio.get_running_loop().time, 0
    while True:
        started = time()
        try:
            await stage(settings, clock, health)
            why = "it ended by itself"
        except Exception as fault:  # noqa: BLE001 - whatever it was, the stage must run again
            first = _first(fault)
            why = f"{type(first).__name__}: {first}"
            if not isinstance(first, DatabaseDown):
                _log.exception("a stage failed", stage=name)
        health.bad(name, why)
        failures = 1 if time() - started > _STEADY else failures + 1
        pause = min(_FIRST_PAUSE * 2 ** (failures - 1), _LONGEST_PAUSE) * random.uniform(0.75, 1)  # noqa: S311 - spreads load
        _log.warning("a stage starts again", stage=name, why=why, seconds=round(pause, 1))
        await asyncio.sleep(pause)


def _first(fault: Exception) -> Exception:
    """What went wrong first, where several tasks of a stage failed together."""
    if isinstance(fault, ExceptionGroup):
        return _first(cast("ExceptionGroup[Exception]", fault).exceptions[0])
    return fault


if __name__ == "__main__":
    main()
