"""People who may sign in and programs that may ask: the commands that make their accounts."""

import argparse
import getpass
import sys
from datetime import timedelta
from typing import Any

from gateway.clock import clock_from
from gateway.settings import Settings
from gateway.store import keys, people
from gateway.store.caller import ROLES
from gateway.store.pool import Connection, connect_owner
from gateway.store.secrets import SHORTEST_PASSWORD, hash_password, new_secret

_OK, _FAILED = 0, 1
_YEAR = 365


class Refused(Exception):
    """The account is not made; the text says what to change."""


def add_arguments(subparsers: Any) -> None:  # noqa: ANN401 - argparse does not name its type
    """Adds `people add`, `people end` and `people list`."""
    parser = subparsers.add_parser("people", help="who may sign in, in which role and where")
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="an account; prints its password or API key, once")
    add.add_argument("--municipality", required=True, metavar="NAME")
    add.add_argument("--login", required=True)
    add.add_argument("--name", default="", help="shown to colleagues; the login if not said")
    add.add_argument("--role", required=True, choices=ROLES)
    add.add_argument("--district", action="append", metavar="NAME", help="all, if none is named")
    add.add_argument("--create", action="store_true", help="make municipality and district too")
    secret = add.add_mutually_exclusive_group()
    secret.add_argument("--key", action="store_true", help="an API key instead of a password")
    secret.add_argument("--ask", action="store_true", help="ask for the password at the keyboard")
    add.add_argument("--days", type=int, default=_YEAR, help="how long the key holds")
    end = actions.add_parser("end", help="this person has left: nothing of theirs opens anything")
    end.add_argument("--login", required=True)
    actions.add_parser("list", help="every account with its role and districts")


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Runs the command and returns its exit code."""
    try:
        async with connect_owner(settings) as db:
            if arguments.action == "add":
                print(await _add(db, arguments, settings))  # noqa: T201 - the command's answer
            elif arguments.action == "end":
                await _end(db, arguments, settings)
            else:
                await _list(db)
    except (Refused, people.UnknownName, people.LoginTaken) as refused:
        print(f"gateway people: {refused}", file=sys.stderr)  # noqa: T201
        return _FAILED
    return _OK


async def _add(db: Connection, arguments: argparse.Namespace, settings: Settings) -> str:
    """Makes the account and returns its secret: the only time that anyone sees it."""
    password = None if arguments.key else _password(ask=arguments.ask)
    async with db.transaction():
        where = await people.municipality(db, arguments.municipality, create=arguments.create)
        districts = [
            await people.district(db, where, name, create=arguments.create)
            for name in arguments.district or ()
        ]
        _, access = await people.add_person(
            db,
            municipality=where,
            login=_login(arguments.login),
            name=arguments.name,
            role=arguments.role,
            districts=districts or None,
            password_hash=None if password is None else await hash_password(password),
        )
        if password is not None:
            return password
        expires = clock_from(settings.clock).now() + timedelta(days=arguments.days)
        made = await keys.add_key(db, municipality=where, access=access, expires=expires)
        return made.secret


async def _end(db: Connection, arguments: argparse.Namespace, settings: Settings) -> None:
    login = _login(arguments.login)
    if not await people.end_person(db, login, clock_from(settings.clock).now()):
        raise Refused(f"nobody with the login {login!r} is here")


def _login(text: str) -> str:
    """Logins are compared in lower case: a phone's keyboard begins with a capital."""
    login = text.strip().lower()
    if not login or not login.isprintable():
        raise Refused("the login is empty or not printable")
    return login


def _password(*, ask: bool) -> str:
    if not ask:
        return new_secret(12)
    password = getpass.getpass("Password: ")
    if len(password) < SHORTEST_PASSWORD:
        raise Refused(f"a password has at least {SHORTEST_PASSWORD} characters")
    return password


async def _list(db: Connection) -> None:
    for one in await people.listed(db):
        where = "all districts" if one.districts is None else ", ".join(one.districts)
        keys = f"  {one.keys} key(s)" if one.keys else ""
        print(f"{one.municipality}  {one.login}  {one.role}  {where}{keys}")  # noqa: T201
