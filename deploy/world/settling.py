"""Settles a municipality: its people, homes, boxes and devices, as an installer would."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from deploy.world.api import Api, Json
from deploy.world.progress import Progress, silent
from deploy.world.stack import Stack
from edge.joining.identity import Identity
from gateway.clock import clock_from
from gateway.edges.passwords import hash_password, write_password_file
from gateway.settings import Settings
from gateway.store.boxes import add_box
from gateway.store.pool import Connection, connect_owner
from gateway.store.secrets import new_secret

MUNICIPALITY = "Prøvekommune"
DISTRICT = "Distrikt Nord"
NURSE = "sygeplejerske"
"""The login of the demo's own nurse account."""

_ADD = ("people", "add", "--municipality", MUNICIPALITY, "--district", DISTRICT, "--create")


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """What opens the doors: the nurse's password, her key, and the installer's key."""

    password: str
    nurse: str = field(repr=False)
    installer: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A home with one citizen and a box that has joined."""

    home: str
    citizen: str
    name: str
    edge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """One device to be placed; `more` is what else the API takes (`from`, `dose_plan`)."""

    address: str
    model: str
    role: str
    room: str
    more: Json = field(default_factory=dict[str, Any])


def add_people(stack: Stack) -> People:
    """Make municipality, district and accounts by the gateway's own commands."""
    nurse = ("--name", "Nora Nattevagt", "--role", "staff")
    return People(
        installer=add_installer(stack),
        password=stack.command(*_ADD, "--login", NURSE, *nurse),
        nurse=stack.command(*_ADD, "--login", "vagtplan", *nurse, "--key"),
    )


def add_installer(stack: Stack) -> str:
    """Make municipality, district and the one key that may place devices and move alerts."""
    return stack.command(*_ADD, "--login", "installation", "--role", "planner", "--key")


def _address(name: str) -> str:
    """A made-up house for a made-up citizen, so that the board looks as it will at work."""
    return f"Kirsebærvej {1 + sum(name.encode()) % 60}"


async def settle_one(
    api: Api, stack: Stack, name: str, *, zone: str, join: Callable[[str], None]
) -> Settled:
    """One home; its box's CODE is given to `join`, as a technician would type it into the box."""
    home = await api.new_home(district=DISTRICT, zone=zone, name=name, address=_address(name))
    told = await asyncio.to_thread(stack.command, "edges", "add", "--home", home["id"])
    edge, code = told.splitlines()
    await asyncio.to_thread(join, code)
    return Settled(home=home["id"], citizen=home["citizens"][0]["id"], name=name, edge=edge)


async def settle_many(
    api: Api,
    stack: Stack,
    names: Sequence[str],
    *,
    zone: str,
    folder: Path,
    say: Callable[[str], None] = silent,
) -> Sequence[Settled]:
    """Many homes at once; each box's identity lies in the folder, under the box's id.

    The boxes join by the gateway's own functions, without its command.

    `say` hears how far it is.
    (The public way is held to thirty boxes a minute from one address, rightly.)
    """
    settings = stack.settings()
    now = clock_from(settings.clock).now
    progress, found = Progress("homes are settled", len(names), say), list[Settled]()
    async with connect_owner(settings) as owner:
        municipality = await owner.fetchval("SELECT id FROM municipality LIMIT 1")
        for name in names:
            home = await api.new_home(
                district=DISTRICT, zone=zone, name=name, address=_address(name)
            )
            made = await add_box(owner, municipality=municipality, home=UUID(home["id"]), now=now())
            edge, password = made.name, new_secret()
            await _give_account(owner, edge, password, now())
            identity = Identity(
                edge=edge,
                broker=settings.edge_broker,
                ca=settings.edge_broker_ca and settings.edge_broker_ca.read_text(),
                username=edge,
                password=password,
            )
            (folder / edge).mkdir(parents=True)
            identity.write(folder / edge)
            citizen = home["citizens"][0]["id"]
            found.append(Settled(home=home["id"], citizen=citizen, name=name, edge=edge))
            progress.at(len(found))
        await _admit(owner, settings)
    return found


async def _give_account(owner: Connection, edge: str, password: str, now: datetime) -> None:
    await owner.execute(
        "UPDATE edge SET joined = $2, claimed = $2, broker_password = $3 WHERE name = $1",
        edge,
        now,
        hash_password(password),
    )


async def _admit(owner: Connection, settings: Settings) -> None:
    rows = await owner.fetch(
        "SELECT name, broker_password FROM edge WHERE broker_password IS NOT NULL ORDER BY name"
    )
    accounts = [(row["name"], row["broker_password"]) for row in rows]
    await asyncio.to_thread(write_password_file, settings, accounts)


async def fit(api: Api, citizen: str, fittings: Iterable[Fitting]) -> dict[str, str]:
    """Place devices with a citizen; their outside ids by address."""
    placed: dict[str, str] = {}
    for each in fittings:
        answer = await api.place(
            each.address,
            model=each.model,
            citizen=citizen,
            role=each.role,
            room=each.room,
            **each.more,
        )
        placed[each.address] = str(answer["device"])
    return placed
