"""How far an empty system is, and the next command: `gateway begin`."""

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.clock import clock_from
from gateway.settings import Settings
from gateway.store import beginning, people
from gateway.store.asking import say
from gateway.store.beginning import NOTHING, STEPS, Example, Progress, Step
from gateway.store.caller import Caller
from gateway.store.homes import InTheWay
from gateway.store.pool import Connection, connect_owner
from gateway.store.register.things import LikeCpr, add
from gateway.store.seal import NO_KEYS

_ALL_THERE, _MISSING = 0, 1
_HTTPS = ":443"
_NOBODY = UUID(int=0)

TITLE: Mapping[Step, str] = {
    "administrator": "an administrator",
    "municipality": "the municipality",
    "districts": "a district",
    "team": "a team",
    "people": "a colleague who takes alerts",
    "citizen": "a citizen with a home",
    "box": "a box that has had contact",
    "device": "a device that is placed",
    "alert": "an alert, received and taken",
}


class Cannot(Exception):
    """The words do not fit together; the text says what to say instead."""


@dataclass(frozen=True, slots=True)
class Told:
    """A municipality's checklist. `then` is the next command, or what to do where there is none."""

    at: Progress
    then: str

    @property
    def as_json(self) -> Mapping[str, Any]:
        return {
            "municipality": self.at.municipality,
            "steps": {step: self.at.done(step) for step in STEPS},
            "missing": self.at.missing,
            "next": self.then,
        }


def address(settings: Settings, secret: str) -> str:
    """The link as people open it: by HTTPS where there is any, else on this machine."""
    return f"{door(settings)}/begynd?kode={secret}"


def door(settings: Settings) -> str:
    """Where people reach the screens."""
    if settings.https_listen is None:
        return f"http://{settings.http_listen}"
    return f"https://{settings.public_address.removesuffix(_HTTPS)}"


def words(link: str) -> str:
    """What is printed on the operator's terminal."""
    return (
        "gateway: there is no administrator yet. Open this link within 24 hours. It works once,\n"
        "and ends when a newer one is printed (at the next start, or by `gateway begin`):\n\n"
        f"    {link}\n"
    )


def add_arguments(subparsers: Any) -> None:  # noqa: ANN401 - argparse does not name its type
    """Adds `begin`."""
    parser = subparsers.add_parser(
        "begin", help="what an empty system still lacks, and the next command; 0 when all is there"
    )
    parser.add_argument("--municipality", metavar="NAME", help="only this one")
    parser.add_argument("--json", action="store_true", help="as one line of JSON")
    parser.add_argument("--district", metavar="NAME", help="first make this district")
    parser.add_argument("--team", metavar="NAME", help="first make this team in --district")


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Runs the command and returns its exit code: 1 while something is missing."""
    now = clock_from(settings.clock).now()
    try:
        async with connect_owner(settings) as db, db.transaction():
            found = await _chosen(db, arguments.municipality)
            if arguments.district or arguments.team:
                await _make(db, arguments, found, now)
            secret = await beginning.new_link(db, now)
            told = [await _told(db, _caller(number, now), settings) for number in found]
    except (Cannot, InTheWay, LikeCpr, people.UnknownName) as refused:
        print(f"gateway begin: {refused}", file=sys.stderr)  # noqa: T201
        return _MISSING
    link = None if secret is None else address(settings, secret)
    _print(told or [Told(NOTHING, _first(NOTHING))], link, as_json=arguments.json)
    done = link is None and told and all(one.at.missing is None for one in told)
    return _ALL_THERE if done else _MISSING


async def _chosen(db: Connection, name: str | None) -> list[int]:
    if name is not None:
        return [await people.municipality(db, name, create=False)]
    return [number for number, _ in await beginning.municipalities(db)]


def _caller(municipality: int, now: datetime) -> Caller:
    """For whom the counts are asked: the owner has no person of its own."""
    return Caller(
        municipality=municipality,
        person=0,
        public=_NOBODY,
        name="",
        role="administrator",
        asked=now,
    )


async def _make(
    db: Connection, arguments: argparse.Namespace, found: Sequence[int], now: datetime
) -> None:
    if len(found) != 1:
        raise Cannot("say --municipality NAME: there is not exactly one")
    if not arguments.district:
        raise Cannot("say --district NAME: a team belongs to one")
    caller = _caller(found[0], now)
    number = await people.district(db, found[0], arguments.district, create=True)
    if arguments.team:
        public = await db.fetchval(
            "SELECT public FROM district WHERE municipality = $1 AND id = $2", found[0], number
        )
        await add(db, caller, NO_KEYS, "team", {"name": arguments.team, "district": public})


async def _told(db: Connection, caller: Caller, settings: Settings) -> Told:
    await say(db, caller)
    at = await beginning.progress(db)
    return Told(at, _next(at, await beginning.example(db, caller.municipality), settings))


def _first(at: Progress) -> str:
    name = shlex.quote(at.municipality or "KOMMUNE")
    return (
        f"gateway people add --municipality {name} --district DISTRICT --create "
        "--login LOGIN --name NAME --role administrator"
    )


def _next(at: Progress, known: Example, settings: Settings) -> str:
    where = f"--municipality {shlex.quote(at.municipality)}"
    district = shlex.quote(known.district)
    colleague = "--login LOGIN --name NAME --role staff"
    commands: Mapping[Step, str] = {
        "administrator": _first(at),
        "municipality": _first(at),
        "districts": f"gateway begin {where} --district DISTRICT",
        "team": f"gateway begin {where} --district {district} --team TEAM",
        "people": f"gateway people add {where} --district {district} {colleague}",
        "citizen": _file(
            where,
            "distrikt;bolig;borger;navn;adresse",
            f"{known.district};HOME;CITIZEN;NAME;ADDRESS",
        ),
        "box": _box(at, known),
        "device": _file(
            where,
            "distrikt;bolig;borger;enhed;rolle;rum;hjemmel",
            f"{known.district};{known.home};{known.citizen};A4:C1:38:00:00:01;nødkald;ROOM;samtykke",
        ),
        "alert": (
            f"somebody signs in at {door(settings)}/ and presses »Tag alarmen«"
            if at.alerts
            else "press the call button in the home: the alert stands on the board at once"
        ),
    }
    return "" if at.missing is None else commands[at.missing]


def _file(where: str, head: str, row: str) -> str:
    return (
        f"printf '%s\\n' {shlex.quote(head)} {shlex.quote(row)} > row.csv && "
        f"gateway register import row.csv {where}"
    )


def _box(at: Progress, known: Example) -> str:
    if not at.boxes:
        return f"gateway edges add --home {known.home_public}"
    if not at.joined:
        return (
            "on the box: edge join CODE   (as `gateway edges add` told it; lost or older than 24 "
            f"hours: gateway edges code {known.box})"
        )
    return "on the box: edge run"


def _print(told: Sequence[Told], link: str | None, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"link": link, "municipalities": [one.as_json for one in told]}))  # noqa: T201
        return
    if link is not None:
        print(words(link))  # noqa: T201
    for one in told:
        print(one.at.municipality or "no municipality yet")  # noqa: T201
        for step in STEPS:
            print(f"  [{'x' if one.at.done(step) else ' '}] {TITLE[step]}")  # noqa: T201
        if one.then:
            print(f"next: {one.then}")  # noqa: T201
        else:
            print("everything is there")  # noqa: T201
