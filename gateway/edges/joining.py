"""A box is added with a one-time CODE, joins with it for a broker account, is moved, is ended."""

import argparse
import asyncio
import base64
import hashlib
import json
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from gateway.clock import clock_from
from gateway.edges.passwords import hash_password, write_password_file
from gateway.settings import Settings
from gateway.store import boxes
from gateway.store.people import UnknownName, municipality
from gateway.store.pool import Connection, Pool, connect_owner
from gateway.store.secrets import new_secret

_PREFIX = "trygport1."
_OK, _FAILED = 0, 1


class Cannot(Exception):
    """The gateway is not set up for it; the text says which setting or file is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a box is told when it joins, once; the password is kept only as Mosquitto's hash."""

    edge: str
    broker: str
    ca: str | None
    password: str


async def join(pool: Pool, settings: Settings, edge: str, secret: str, now: datetime) -> Account:
    """Exchanges a box's one-time secret for a broker account.

    Raises WrongSecret for an unknown box, a wrong, used or old secret, and Cannot when the
    broker's files cannot be read or written: then the secret is still good.
    """
    password = new_secret()
    hashed = await asyncio.to_thread(hash_password, password)
    try:
        ca = settings.edge_broker_ca and settings.edge_broker_ca.read_text()
        await boxes.join_box(
            pool,
            name=edge,
            secret=secret,
            broker_password=hashed,
            write=_writer(settings),
            now=now,
        )
    except OSError as error:
        raise _cannot(error) from error
    return Account(edge=edge, broker=settings.edge_broker, ca=ca, password=password)


async def admit(pool: Pool, settings: Settings) -> None:
    """Writes the broker's accounts as the database has them: at a first start, after a restore.

    Raises Cannot when the broker's files cannot be written.
    """
    try:
        async with pool.acquire() as db:
            await boxes.write_accounts(db, _writer(settings))
    except OSError as error:
        raise _cannot(error) from error


def _cannot(error: OSError) -> Cannot:
    # told to boxes too: the settings' names, not the machine's paths
    return Cannot(
        "the broker's files (GATEWAY_BROKER_PASSWORD_FILE, GATEWAY_EDGE_BROKER_CA): "
        f"{error.strerror}; the gateway must run as their owner, in their group, or as root"
    )


def _writer(settings: Settings) -> boxes.Write:
    async def write(rows: Sequence[tuple[str, str]]) -> None:
        await asyncio.to_thread(write_password_file, settings, rows)

    return write


def code(address: str, fingerprint: str, edge: str, secret: str) -> str:
    """CODE: what a technician types or scans into the box; one string holds all it needs."""
    parts = json.dumps([address, fingerprint, edge, secret], separators=(",", ":")).encode()
    return _PREFIX + base64.urlsafe_b64encode(parts).decode().rstrip("=")


def fingerprint(certificate: Path) -> str:
    """SHA-256 of the first certificate in the PEM file, in lower-case hexadecimal.

    Raises OSError when it cannot be read and ValueError when it is not a certificate.
    """
    pem = certificate.read_text()
    end = "-----END CERTIFICATE-----"
    der = ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN") : pem.index(end) + len(end)])
    return hashlib.sha256(der).hexdigest()


def add_arguments(subparsers: Any) -> None:  # noqa: ANN401 - argparse does not name its type
    """Adds `edges add`, `edges end`, `edges move` and `edges list`."""
    parser = subparsers.add_parser("edges", help="the boxes in the homes")
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="a box that may join; prints its id and its CODE, once")
    add.add_argument("--home", type=UUID, help="the home it will listen in")
    add.add_argument("--municipality", help="needed while it has no home")
    end = actions.add_parser("end", help="a lost box: its account, code and home are taken away")
    end.add_argument("name", metavar="NAME", help="the box's id, as `edges list` shows it")
    move = actions.add_parser("move", help="a box that listens in another home from now on")
    move.add_argument("name", metavar="NAME")
    move.add_argument("--home", type=UUID, required=True)
    actions.add_parser("list", help="every box: its home, its contact, and how it says it fares")


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Runs the command and returns its exit code."""
    try:
        async with connect_owner(settings) as db:
            if arguments.action == "add":
                await _add(db, arguments, settings)
            elif arguments.action == "end":
                await _end(db, arguments.name, settings)
            elif arguments.action == "move":
                now = clock_from(settings.clock).now()
                await boxes.move_box(db, arguments.name, arguments.home, now)
            else:
                await _list(db)
    except (Cannot, UnknownName, LookupError) as refused:
        print(f"gateway edges: {refused}", file=sys.stderr)  # noqa: T201 - the command's answer
        return _FAILED
    return _OK


async def _add(db: Connection, arguments: argparse.Namespace, settings: Settings) -> None:
    if settings.tls_cert is None:
        raise Cannot("GATEWAY_TLS_CERT: a box joins over HTTPS only, so this must name the file")
    try:
        seen = fingerprint(settings.tls_cert)
    except (OSError, ValueError) as error:
        raise Cannot(f"GATEWAY_TLS_CERT: {settings.tls_cert} holds no certificate") from error
    name, secret = await boxes.add_box(
        db,
        municipality=await _whose(db, arguments),
        home=arguments.home,
        now=clock_from(settings.clock).now(),
    )
    print(name)  # noqa: T201 - the command's answer
    print(code(settings.public_address, seen, name, secret))  # noqa: T201


async def _end(db: Connection, name: str, settings: Settings) -> None:
    """First the database, where it holds for good, then the broker's file.

    Raises Cannot when the broker is not told: it may be tried again.
    """
    await boxes.end_box(db, name, clock_from(settings.clock).now())
    if settings.broker_password_file is None:
        raise Cannot("the box is ended, but without GATEWAY_BROKER_PASSWORD_FILE no broker is told")
    try:
        await boxes.write_accounts(db, _writer(settings))
    except (OSError, ValueError) as error:
        raise Cannot(f"the box is ended, but the broker is not told: {error}") from error


async def _whose(db: Connection, arguments: argparse.Namespace) -> int:
    """The municipality named, or the home's."""
    if arguments.municipality is not None:
        return await municipality(db, arguments.municipality, create=False)
    if arguments.home is None:
        raise Cannot("say --home or --municipality")
    found = await boxes.municipality_of(db, arguments.home)
    if found is None:
        raise LookupError(f"there is no home {arguments.home}")
    return found


async def _list(db: Connection) -> None:
    for box in await boxes.boxes(db):
        joined = f"joined {box.joined:%Y-%m-%d %H:%M} UTC" if box.joined else "not joined"
        joined = "ended" if box.ended else joined
        contact = "in contact" if box.contact else "no contact"
        where = f"{box.name}  {box.municipality}  home {box.home or '-'}"
        print("  ".join((where, joined, contact, *_fares(box))))  # noqa: T201


def _fares(box: boxes.Box) -> list[str]:
    """What the box said of itself, in its own words."""
    said = {"mode": box.mode, "room days": box.room_days, "path": box.path, "trouble": box.trouble}
    return [f"{name} {value}" for name, value in said.items() if value is not None]
