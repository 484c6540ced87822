"""The command `gateway walk`: a walk test of a box's home, told line by line as it goes."""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from gateway.clock import Clock, clock_from
from gateway.reads import walk as reads
from gateway.reads.walk import Test, Tried
from gateway.settings import Settings
from gateway.store import walk
from gateway.store.pool import Connection, connect_owner
from gateway.store.walk import By

_OK, _FAILED = 0, 1
_LOOK = 0.3
"""Seconds between two looks."""
_LONGEST = 30

_DO: Mapping[str, str] = {
    "call": "press it",
    "motion": "walk past it",
    "door": "open the door",
    "contact": "open it",
}
_STOPPED = "Afbrudt på gatewayen, før alt var hørt"
"""The remark in the record, which is read on the page."""
_ANY = "use it, or wait until it speaks by itself"


class Cannot(Exception):
    """The command cannot be followed; the text says what to do instead."""


def add_arguments(subparsers: Any) -> None:  # noqa: ANN401 - argparse does not name its type
    """Adds `walk BOX`."""
    parser = subparsers.add_parser("walk", help="try the devices of a box's home, one by one")
    parser.add_argument("name", metavar="BOX", help="the box's id, as `edges list` shows it")
    parser.add_argument(
        "--minutes", type=_minutes, default=_LONGEST, help="give up after so many, 30 at most"
    )
    parser.add_argument("--json", action="store_true", help="the record as one line of JSON")


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Runs the command; 0 when every device placed there was heard, 1 when not."""
    clock = clock_from(settings.clock)
    _stop_as_by_hand()
    try:
        async with connect_owner(settings) as db:
            return await _try(db, clock, arguments)
    except (Cannot, LookupError) as refused:
        print(f"gateway walk: {refused}", file=sys.stderr)  # noqa: T201 - the command's answer
        return _FAILED


def _stop_as_by_hand() -> None:
    """Told to stop, or hung up on, it ends the test as after Ctrl-C."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - the command runs in one
    with contextlib.suppress(RuntimeError, ValueError):  # only a process's main thread is told
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


async def _try(db: Connection, clock: Clock, arguments: argparse.Namespace) -> int:
    name, quiet = arguments.name, arguments.json
    where = await db.fetchval("SELECT municipality FROM edge WHERE name = $1", name)
    if where is None:
        raise Cannot(f"there is no box {name}; `gateway edges list` shows those there are")
    by = By(municipality=where)
    public, remark = await _begin(db, by, clock.now(), arguments), ""
    try:
        found = await _followed(db, by, clock, name, public, quiet=quiet)
    except (asyncio.CancelledError, OSError):
        # Stopped, or its terminal is gone: the home is not left silent for the rest of the time.
        remark, found = _STOPPED, await _test(db, by, name, public)
    if found.runs(clock.now()):
        await _end(db, by, clock.now(), name, public, remark=remark)
        found = await _test(db, by, name, public)
    _tell_end(found, quiet=quiet)
    return _FAILED if found.missing else _OK


async def _begin(db: Connection, by: By, now: datetime, arguments: argparse.Namespace) -> UUID:
    """A new test, or the one that runs. Raises Cannot."""
    try:
        async with db.transaction():
            return await walk.begin(
                *(db, by, arguments.name), now=now, length=timedelta(minutes=arguments.minutes)
            )
    except walk.Runs:
        newest = await reads.walk_tests(db, by.municipality, arguments.name, limit=1)
        if newest and newest[0].runs(now):
            return newest[0].public
        raise Cannot("a test of another box runs in that home") from None
    except walk.TooSoon as soon:
        raise Cannot(
            "the home has been under test for half an hour; its devices call as always now. "
            f"Try again from {soon.at:%H:%M:%S} UTC"
        ) from soon
    except walk.NoHome as homeless:
        raise Cannot(f"{homeless}: gateway edges move {arguments.name} --home ID") from homeless
    except walk.CannotTry as cannot:
        raise Cannot(f"{cannot}: place one first, on the page /opsaetning") from cannot


async def _followed(
    db: Connection, by: By, clock: Clock, name: str, public: UUID, *, quiet: bool
) -> Test:
    """Tell each device as it is heard, until all are or the time is over; the test then."""
    told = set[str]()
    found = await _test(db, by, name, public)
    _tell_begin(found, quiet=quiet)
    while True:
        for one in found.devices:
            if one.heard and one.address not in told:
                told.add(one.address)
                _say(_heard(one), quiet=quiet)
        if not found.missing or not found.runs(clock.now()):
            return found
        await asyncio.sleep(_LOOK)
        found = await _test(db, by, name, public)


async def _end(
    db: Connection, by: By, now: datetime, name: str, public: UUID, *, remark: str
) -> None:
    """Sign off what is whole, or stopped; somebody else may have done so this moment."""
    try:
        async with db.transaction():
            await walk.end(db, by, name, public, now=now, remark=remark, missing=False)
    except walk.Over:
        return


async def _test(db: Connection, by: By, name: str, public: UUID) -> Test:
    found = await reads.walk_test(db, by.municipality, name, public)
    if found is None:
        raise Cannot("the test is gone: was the box taken away?")
    return found


def _tell_begin(found: Test, *, quiet: bool) -> None:
    _say(f"calls of these devices are test calls until {found.until:%H:%M:%S} UTC", quiet=quiet)
    for one in found.devices:
        _say(f"  {_called(one)}: {_DO.get(one.role, _ANY)}", quiet=quiet)


def _tell_end(found: Test, *, quiet: bool) -> None:
    if quiet:
        print(json.dumps(_as_json(found)), flush=True)  # noqa: T201 - the answer
        return
    for one in found.missing:
        _say(_why(one))
    if found.ended_by == "box":
        _say("the box left the home, which ended the test; all calls alert again")
    elif found.ended_by == "person":
        whole = "every device was heard" if not found.missing else "ended before all were heard"
        _say(f"{whole}; all calls alert again")
    else:
        _say("the test ended by itself; all calls alert again")


def _why(one: Tried) -> str:
    called = _called(one)
    if one.unsure:
        return f"not heard: {called}: only by a box whose clock is not sure; wait until it is set"
    if one.alive:
        return f"not heard: {called}: it lives, but nobody triggered it ({_DO.get(one.role, _ANY)})"
    return f"not heard: {called}: nothing came; its battery, its address, the distance to the box"


def _called(one: Tried) -> str:
    return f"{one.room or 'no room'}, {one.role} ({one.address})"


def _heard(one: Tried) -> str:
    strength = "signal unknown" if one.rssi is None else f"{one.rssi} dBm ({one.signal})"
    return f"heard: {_called(one)}, {strength}, {one.milliseconds} ms"


def _as_json(found: Test) -> Mapping[str, Any]:
    return {
        "test": str(found.public),
        "box": found.edge,
        "started": found.started.isoformat(),
        "ended": found.ended.isoformat(),
        "ended_by": found.ended_by or "time",
        "passed": not found.missing,
        "devices": [
            {
                "address": one.address,
                "role": one.role,
                "room": one.room,
                "heard": one.heard,
                "rssi": one.rssi,
                "signal": one.signal,
                "milliseconds": one.milliseconds,
            }
            for one in found.devices
        ],
        "missing": [one.address for one in found.missing],
    }


def _say(text: str, *, quiet: bool = False) -> None:
    if not quiet:
        print(text, flush=True)  # noqa: T201 - the command's answer


def _minutes(text: str) -> int:
    minutes = int(text)
    if not 1 <= minutes <= _LONGEST:
        raise argparse.ArgumentTypeError(f"from 1 to {_LONGEST}")
    return minutes
