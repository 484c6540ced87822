"""The command `gateway authority`: our own certificates, and the broker's configuration."""

import argparse
import os
import pwd
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.clock import WallClock
from gateway.edges import broker_files, revocation
from gateway.edges.authority import OWN, SERVERS, Authority, BadAuthority, begin, hosts_of
from gateway.edges.broker_files import CONF, LIST, Places, mutual_tls
from gateway.edges.keyfiles import BadFile, put
from gateway.edges.laying import BadLayout, lay_out
from gateway.edges.revocation import BadList
from gateway.edges.rotation import ISSUER, PARTS, renew, rotate_issuer
from gateway.listen import split
from gateway.settings import BadSetting, Settings

OK, REFUSED = 0, 1
_SOON = timedelta(days=14)
_FAULTS = (BadAuthority, BadFile, BadLayout, BadList, OSError, ValueError)


def add_arguments(subparsers: Any) -> None:  # noqa: ANN401 - argparse hides its type
    """Add `gateway authority begin|show|broker|rotate|check`."""
    command = subparsers.add_parser(
        "authority", help="our own certificates, and the broker's files"
    )
    doing = command.add_subparsers(dest="doing", required=True)
    first = doing.add_parser("begin", help="make the authority in GATEWAY_AUTHORITY, once")
    for name in SERVERS:
        says = f"another name or address by which boxes reach the {name}"
        first.add_argument(f"--{name}", action="append", default=[], metavar="NAME", help=says)
    doing.add_parser("show", help="what there is, and until when")
    files = doing.add_parser("broker", help="write mosquitto.conf and all that it names")
    files.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    files.add_argument(
        "--listen", default="0.0.0.0:8883", metavar="HOST:PORT", help="for the boxes"
    )
    files.add_argument(
        "--gateway-port", type=int, default=8884, help="for the gateway, on loopback"
    )
    files.add_argument("--store", type=Path, default=Path("/var/lib/mosquitto"))
    files.add_argument("--log", type=Path, default=Path("/var/log/mosquitto/mosquitto.log"))
    files.add_argument("--user", default="mosquitto", help="as whom the broker runs")
    fresh = doing.add_parser("rotate", help="put a new secret in the place of one")
    fresh.add_argument("what", choices=[*PARTS, ISSUER])
    fresh.add_argument(
        "--stolen", action="store_true", help="with issuer: shut out every box that it signed for"
    )
    doing.add_parser("check", help="say what is wrong, or soon will be")


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do it; 0, or 1 with a sentence that says what to do. Raises BadSetting."""
    if settings.authority is None:
        raise BadSetting("GATEWAY_AUTHORITY: set it to the folder of our certificate authority")
    try:
        return _DOINGS[arguments.doing](arguments, settings, settings.authority)
    except _FAULTS as fault:
        print(f"gateway authority: {fault}", file=sys.stderr)  # noqa: T201 - said to who typed it
        return REFUSED


def _begin(arguments: argparse.Namespace, settings: Settings, folder: Path) -> int:
    names = {"broker": settings.edge_broker, "https": f"https://{settings.edge_address}"}
    hosts = {
        name: [urlsplit(address).hostname or "", *getattr(arguments, name)]
        for name, address in names.items()
    }
    ours = begin(
        folder, broker_names=hosts["broker"], edge_names=hosts["https"], now=WallClock().now()
    )
    _say(
        f"our authority is in {folder}, its fingerprint {ours.fingerprint}",
        f"take {folder / 'root.key'} to a safe place now: it is needed only to rotate the issuer",
    )
    return OK


def _show(_arguments: argparse.Namespace, _settings: Settings, folder: Path) -> int:
    ours = Authority.read(folder)
    _say(f"fingerprint {ours.fingerprint}", f"root until {_day(ours.root.not_valid_after_utc)}")
    for number, issuer in enumerate(ours.issuers):
        name = issuer.certificate.subject.rfc4514_string().removeprefix("CN=")
        kind = "signs" if number == 0 else "signed before"
        _say(f"{name} {kind}, until {_day(issuer.certificate.not_valid_after_utc)}")
    for name in OWN:
        own = ours.own(name)
        hosts = f" for {', '.join(hosts_of(own))}" if name in SERVERS else ""
        _say(f"{name}{hosts} until {_day(own.not_valid_after_utc)}")
    return OK


def _broker(arguments: argparse.Namespace, settings: Settings, folder: Path) -> int:
    out: Path = arguments.out.absolute()
    _make_folder(out, arguments.user)
    address, port = split("--listen", arguments.listen)
    places = Places(
        port=port,
        address=address,
        gateway_port=arguments.gateway_port,
        store=arguments.store,
        log=arguments.log,
        pid_file=settings.broker_pid_file or Path("/run/mosquitto/mosquitto.pid"),
        user=arguments.user,
    )
    now = WallClock().now()
    lay_out(out, Authority.read(folder), revoked={}, shut_out=None, now=now)
    put(out / CONF, mutual_tls(out, places).encode(), 0o644)
    _say(
        f"{out / CONF} is written: start the broker with mosquitto -c {out / CONF}",
        f"the stage edges keeps the rest: set GATEWAY_BROKER_FILES={out}, "
        f"GATEWAY_BROKER_PID_FILE={places.pid_file}, GATEWAY_BROKER_LOG={places.log}, "
        f"GATEWAY_BROKER_PORT={places.gateway_port}",
    )
    return OK


def _make_folder(out: Path, user: str) -> None:
    """Ours, and open to the broker's group, which the files in it take over: it reads its key."""
    if out.exists():
        return
    out.mkdir(mode=0o750, parents=True)
    if os.geteuid() == 0:
        try:
            os.chown(out, -1, pwd.getpwnam(user).pw_gid)
        except KeyError as unknown:
            raise ValueError(f"there is no user {user}: install the broker first") from unknown
        out.chmod(0o2750)


def _rotate(arguments: argparse.Namespace, settings: Settings, folder: Path) -> int:
    ours, now = Authority.read(folder), WallClock().now()
    if arguments.what == ISSUER:
        ours = rotate_issuer(ours, now, stolen=arguments.stolen)
        _tell_broker(settings, ours, now)  # first: it would refuse what the new issuer signs
        renew(ours, OWN, now)
    else:
        renew(ours, PARTS[arguments.what], now)
    _tell_broker(settings, ours, now)
    _say(f"{arguments.what} has a new key; what runs takes it up within a minute")
    return OK


def _tell_broker(settings: Settings, ours: Authority, now: datetime) -> None:
    """At once, where this machine has the broker; the stage would do it within a minute."""
    if settings.broker_files is None:
        return
    changed = lay_out(settings.broker_files, ours, revoked={}, shut_out=None, now=now)
    if changed and settings.broker_pid_file is not None and settings.broker_pid_file.exists():
        broker_files.reload(settings.broker_pid_file)


def _check(_arguments: argparse.Namespace, settings: Settings, folder: Path) -> int:
    found = list(_wrong(settings, Authority.read(folder), WallClock().now()))
    _say(*(found or ["all is well"]))
    return REFUSED if found else OK


def _wrong(settings: Settings, ours: Authority, now: datetime) -> Iterator[str]:
    """What is wrong or soon will be, each with what to type."""
    if (ours.folder / "root.key").exists():
        yield f"root.key still lies in {ours.folder}: take it to a safe place"
    issuer = ours.issuer.certificate.not_valid_after_utc
    if issuer - now < timedelta(days=365):
        yield f"the issuer ends {_day(issuer)}: type gateway authority rotate issuer"
    for what, names in {**PARTS}.items():
        end = min(ours.own(name).not_valid_after_utc for name in names)
        if end - now < _SOON:
            yield f"{what} ends {_day(end)}: type gateway authority rotate {what}"
    if settings.broker_files is not None:
        yield from _wrong_list(settings.broker_files / LIST, ours, now)


def _wrong_list(path: Path, ours: Authority, now: datetime) -> Iterator[str]:
    canary = ours.own("canary").serial_number
    try:
        revocation.check(path.read_bytes(), ours, now, [canary])
    except (BadList, OSError) as bad:
        yield f"{path}: {bad}; the stage edges makes a new one: gateway run --only edges"


def _day(at: datetime) -> str:
    return at.strftime("%Y-%m-%d")


def _say(*lines: str) -> None:
    for line in lines:
        print(line)  # noqa: T201 - the command's answer


_DOINGS = {
    "begin": _begin,
    "show": _show,
    "broker": _broker,
    "rotate": _rotate,
    "check": _check,
}
