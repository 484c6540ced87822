"""Settles a municipality: its people, homes, boxes and devices, as an installer would."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from deploy.world.api import Api, Json
from deploy.world.progress import Progress, silent
from deploy.world.stack import Stack
from edge.joining import keys
from edge.joining.answer import Granted
from edge.joining.identity import Identity
from edge.joining.join import keep
from gateway.clock import WallClock, clock_from
from gateway.edges.authority import Authority
from gateway.edges.joining import join
from gateway.edges.passwords import hash_password, write_password_file
from gateway.settings import Settings
from gateway.store.boxes import Invited, add_box
from gateway.store.pool import Connection, Pool, connect, connect_owner
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
    edge, code, *_ = told.splitlines()
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

    The boxes join by the gateway's own functions, without its command, and need none that runs.
    `say` hears how far it is.
    """
    settings = stack.settings()
    now = clock_from(settings.clock).now
    progress, found = Progress("homes are settled", len(names), say), list[Settled]()
    async with connect_owner(settings) as owner, connect(settings, "edges") as pool:
        municipality = await owner.fetchval("SELECT id FROM municipality LIMIT 1")
        admit = (
            _certified(pool, settings) if settings.authority else _with_password(owner, settings)
        )
        for name in names:
            home = await api.new_home(
                district=DISTRICT, zone=zone, name=name, address=_address(name)
            )
            made = await add_box(owner, municipality=municipality, home=UUID(home["id"]), now=now())
            (folder / made.name).mkdir(parents=True)
            await admit(made, folder / made.name, now())
            citizen = home["citizens"][0]["id"]
            found.append(Settled(home=home["id"], citizen=citizen, name=name, edge=made.name))
            progress.at(len(found))
        if not settings.authority:
            await _tell_broker(owner, settings)
    return found


_Admit = Callable[[Invited, Path, datetime], Awaitable[None]]
"""Leaves in the folder what joining leaves there."""


def _certified(pool: Pool, settings: Settings) -> _Admit:
    """A key and a certificate each, by the functions that box and gateway have for it."""
    assert settings.authority is not None  # noqa: S101 - who calls has looked
    authority = Authority.read(settings.authority)

    async def admit(made: Invited, folder: Path, now: datetime) -> None:
        key = keys.new_key()
        given = await join(
            pool,
            authority,
            secret=made.secret,
            request=keys.pem(keys.request(key)),
            now=now,
            wall=WallClock().now(),
        )
        granted = Granted(
            edge=given.edge,
            broker=settings.edge_broker,
            authority=authority.root_pem,
            certificate=given.pem,
            renew=int(given.renew.timestamp()),
            expires=int(given.expires.timestamp()),
        )
        keep(folder, granted, key, settings.edge_address)

    return admit


def _with_password(owner: Connection, settings: Settings) -> _Admit:
    """An account, for a broker without certificates."""

    async def admit(made: Invited, folder: Path, now: datetime) -> None:
        password = new_secret()
        await owner.execute(
            "UPDATE edge SET joined = $2, claimed = $2, broker_password = $3 WHERE name = $1",
            made.name,
            now,
            hash_password(password),
        )
        identity = Identity(
            edge=made.name,
            broker=settings.edge_broker,
            ca=settings.edge_broker_ca and settings.edge_broker_ca.read_text(),
            username=made.name,
            password=password,
        )
        identity.write(folder)

    return admit


async def _tell_broker(owner: Connection, settings: Settings) -> None:
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
