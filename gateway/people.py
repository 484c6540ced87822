"""People who may sign in and programs that may ask: the commands that make their accounts."""

import argparse
import getpass
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from gateway.clock import clock_from
from gateway.settings import Settings
from gateway.store import arrivals, keys, people
from gateway.store.pool import Connection, connect_owner
from gateway.store.purposes import PURPOSES
from gateway.store.rights import CLASSES, ROLES
from gateway.store.seal import Place, of_settings
from gateway.store.secrets import SHORTEST_PASSWORD, hash_password, new_secret
from gateway.store.totp import address_for_phone, new_totp_secret

_OK, _FAILED = 0, 1
_ALL = "all districts"


class Refused(Exception):
    """Nothing is changed; the text says what to change in the words."""


def add_arguments(subparsers: Any) -> None:  # noqa: ANN401 - argparse does not name its type
    """Adds `people add`, `end`, `list`, `role`, and what opens: passwords, factors, keys, `map`."""
    parser = subparsers.add_parser("people", help="who may sign in, in which role and where")
    actions = parser.add_subparsers(dest="action", required=True)
    _add_arguments(actions)
    end = actions.add_parser("end", help="this person has left: nothing of theirs opens anything")
    end.add_argument("--login", required=True)
    actions.add_parser("list", help="every account with its role and districts")
    role = actions.add_parser("role", help="one more role for a person, or its end")
    role.add_argument("--login", required=True)
    role.add_argument("--role", required=True, choices=ROLES)
    role.add_argument("--district", action="append", metavar="NAME", help="all, if none is named")
    role.add_argument("--create", action="store_true", help="make the district too")
    role.add_argument("--end", action="store_true", help="the person has this role no more")
    second = actions.add_parser("second-factor", help="a new secret for the phone, printed once")
    second.add_argument("--login", required=True)
    first = actions.add_parser("password", help="a first password for who has none, printed once")
    first.add_argument("--login", required=True)
    listed = actions.add_parser("keys", help="every API key, with when it was last used")
    listed.add_argument("--municipality", required=True, metavar="NAME")
    rotate = actions.add_parser("rotate", help="a new secret for a key; the old one holds a week")
    rotate.add_argument("--municipality", required=True, metavar="NAME")
    rotate.add_argument("--key", required=True, type=UUID, metavar="ID", help="as `keys` shows it")
    rotate.add_argument("--days", type=_days, default=keys.USUAL_DAYS)
    _map_arguments(actions)


def _add_arguments(actions: Any) -> None:  # noqa: ANN401 - as above
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
    add.add_argument(
        "--days", type=_days, default=keys.USUAL_DAYS, help="how long the key holds (90)"
    )
    add.add_argument(
        "--class", dest="classes", action="append", choices=CLASSES, help="confine the key to it"
    )
    add.add_argument(
        "--purpose", default="", choices=PURPOSES, help="stands beside each look in the access log"
    )
    add.add_argument("--note", default="", help="beside the key, such as the number of a case")


def _map_arguments(actions: Any) -> None:  # noqa: ANN401 - as above
    mapped = actions.add_parser("map", help="which claims of the sign-in provider give which role")
    mapped.add_argument("--municipality", required=True, metavar="NAME")
    mapped.add_argument("--claim", help="without it the table is shown")
    mapped.add_argument("--value")
    mapped.add_argument("--role", choices=[role for role in ROLES if role != "robot"])
    mapped.add_argument("--district", action="append", metavar="NAME", help="all, if none is named")
    mapped.add_argument("--remove", type=UUID, metavar="ID", help="a line, as the table shows it")


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= keys.MOST_DAYS:
        raise argparse.ArgumentTypeError(f"from 1 to {keys.MOST_DAYS}")
    return days


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Runs the command and returns its exit code."""
    actions: Mapping[str, Callable[[Connection, argparse.Namespace, Settings], Awaitable[str]]] = {
        "add": _add,
        "end": _end,
        "list": _list,
        "role": _role,
        "second-factor": _second_factor,
        "password": _first_password,
        "keys": _keys,
        "rotate": _rotate,
        "map": _map,
    }
    try:
        async with connect_owner(settings) as db, db.transaction():
            answer = await actions[arguments.action](db, arguments, settings)
    except (Refused, people.UnknownName, people.LoginTaken) as refused:
        print(f"gateway people: {refused}", file=sys.stderr)  # noqa: T201
        return _FAILED
    if answer:
        print(answer)  # noqa: T201 - the command's answer
    return _OK


async def _add(db: Connection, arguments: argparse.Namespace, settings: Settings) -> str:
    """Makes the account and returns its secret: the only time that anyone sees it."""
    password = None if arguments.key else _password(ask=arguments.ask)
    login = _login(arguments.login)
    where = await people.municipality(db, arguments.municipality, create=arguments.create)
    districts = [
        await people.district(db, where, name, create=arguments.create)
        for name in arguments.district or ()
    ]
    _, access = await people.add_person(
        db,
        municipality=where,
        login=login,
        name=arguments.name,
        role=arguments.role,
        districts=districts or None,
        password_hash=None if password is None else await hash_password(password),
        seal=of_settings(settings),
    )
    if password is None:
        return await _new_key(db, arguments, where, access, _now(settings))
    if not settings.production:
        return password
    return f"{password}\n{await _second_factor(db, arguments, settings)}"


async def _new_key(
    db: Connection, arguments: argparse.Namespace, where: int, access: int, now: datetime
) -> str:
    made = await keys.add_key(
        db,
        municipality=where,
        access=access,
        created=now,
        expires=now + timedelta(days=arguments.days),
        scope=keys.Scope(
            name=arguments.name,
            classes=arguments.classes,
            purpose=arguments.purpose,
            note=arguments.note,
        ),
    )
    return made.secret


async def _end(db: Connection, arguments: argparse.Namespace, settings: Settings) -> str:
    login = _login(arguments.login)
    if not await people.end_person(db, login, _now(settings)):
        raise Refused(f"nobody with the login {login!r} is here")
    return ""


async def _role(db: Connection, arguments: argparse.Namespace, settings: Settings) -> str:
    login, role = _login(arguments.login), arguments.role
    if arguments.end:
        done = await people.end_role(db, login, role, _now(settings))
    else:
        done = await people.add_role(db, login, role, arguments.district, create=arguments.create)
    if not done:
        raise Refused(f"nobody with the login {login!r} is here, or not in that role")
    return ""


async def _second_factor(db: Connection, arguments: argparse.Namespace, settings: Settings) -> str:
    """A new secret for the phone, which is told now and never again."""
    login, secret, seal = _login(arguments.login), new_totp_secret(), of_settings(settings)

    def sealed(municipality: int, person: int) -> bytes:
        return seal.seal_bytes(secret, Place(municipality, "second_factor", person, "secret"))

    if not await people.set_second_factor(db, login, sealed):
        raise Refused(f"nobody with the login {login!r} is here")
    return address_for_phone(secret, login)


async def _first_password(db: Connection, arguments: argparse.Namespace, settings: Settings) -> str:
    """For who came by file: their password, and in production what their phone reads."""
    login, password = _login(arguments.login), _password(ask=False)
    if not await people.first_password(db, login, await hash_password(password)):
        raise Refused(f"nobody with the login {login!r} is here without a way to sign in")
    if not settings.production:
        return password
    return f"{password}\n{await _second_factor(db, arguments, settings)}"


async def _keys(db: Connection, arguments: argparse.Namespace, _: Settings) -> str:
    where = await people.municipality(db, arguments.municipality, create=False)
    return "\n".join(_key_line(one) for one in await keys.keys_of(db, where))


def _key_line(one: keys.Kept) -> str:
    used = "never used" if one.last_used is None else f"used {one.last_used:%Y-%m-%d %H:%M}"
    ends = f"ended {one.ended:%Y-%m-%d}" if one.ended else f"until {one.expires:%Y-%m-%d}"
    where = _ALL if one.districts is None else ", ".join(one.districts)
    what = "" if one.classes is None else f"  only {', '.join(one.classes)}"
    why = "".join(f"  {word}" for word in (one.purpose and f"for {one.purpose}", one.note) if word)
    return f"{one.public}  {one.name or one.login}  {one.role}  {where}{what}  {ends}  {used}{why}"


async def _rotate(db: Connection, arguments: argparse.Namespace, settings: Settings) -> str:
    where = await people.municipality(db, arguments.municipality, create=False)
    made = await keys.rotate_as_owner(db, where, arguments.key, _now(settings), days=arguments.days)
    if made is None:
        raise Refused("there is no such key, or it has ended")
    return made.secret


async def _map(db: Connection, arguments: argparse.Namespace, _: Settings) -> str:
    where = await people.municipality(db, arguments.municipality, create=False)
    if arguments.remove is not None:
        if not await arrivals.remove_line(db, where, arguments.remove):
            raise Refused("there is no such line")
    elif arguments.claim is not None:
        if not arguments.value or arguments.role is None:
            raise Refused("--claim needs --value and --role")
        districts = [
            await people.district(db, where, name, create=False)
            for name in arguments.district or ()
        ]
        await arrivals.add_line(
            db,
            where,
            claim=arguments.claim,
            value=arguments.value,
            role=arguments.role,
            districts=districts or None,
        )
    return "\n".join(
        f"{one.public}  {one.claim}={one.value}  {one.role}  "
        f"{_ALL if one.districts is None else ', '.join(one.districts)}"
        for one in await arrivals.lines_of(db, where)
    )


async def _list(db: Connection, _: argparse.Namespace, __: Settings) -> str:
    return "\n".join(
        f"{one.municipality}  {one.login}  {one.role}  "
        f"{_ALL if one.districts is None else ', '.join(one.districts)}"
        f"{f'  {one.keys} key(s)' if one.keys else ''}"
        for one in await people.listed(db)
    )


def _now(settings: Settings) -> datetime:
    return clock_from(settings.clock).now()


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
