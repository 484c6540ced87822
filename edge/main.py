"""The command `edge`: join, run, status, doctor; where the edge rooms meet in one task group."""

import argparse
import asyncio
import importlib
import logging
import signal
import sqlite3
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

from adapters.frame import Frame, Lane
from edge.care import EVERY as CARE_EVERY
from edge.care import Care, StatusFile, notify, terms
from edge.clock import Clock, Steps
from edge.event import Voice
from edge.hearing.patience import Patience
from edge.hearing.reader import Reader
from edge.joining.answer import Busy, Refused, Unreachable, WrongGateway
from edge.joining.aside import OWNER, set_box_aside
from edge.joining.code import BadCode, read_code
from edge.joining.identity import BadIdentity, Identity, NotJoined, identity_of, second_link
from edge.joining.renewal import Renewal
from edge.keeping.disk import SPOOL, SpoolTaken
from edge.keeping.room import RESERVE
from edge.keeping.spool import Spool, SpoolFailed
from edge.radio import Reader as ReaderState
from edge.sending.floor import proved
from edge.sending.heartbeat import Heartbeat
from edge.sending.hook import Hook
from edge.sending.paths import Paths
from edge.settings import BadSetting, Settings
from edge.status import read_status
from edge.told.command import Commands, answer
from edge.told.config import CONFIG, ConfigFile
from edge.told.deeds import Restarts, of_box, of_radio
from edge.told.lines import LastLines, log_to_stderr

OK, FAILED, USAGE, NOT_JOINED, NO_GATEWAY, REFUSED, WRONG_GATEWAY, TAKEN, TROUBLE = range(9)
RESTART = 9
"""Exit codes: 2 for settings and usage, 3 before joining, 4 try again, 5 get a new code,
6 another gateway answers, 7 an agent is running already, 8 `status` or `doctor` tells of a
trouble, 9 the gateway asked for a restart; 1 is everything else. 1, 7 and 9 are started again."""

_TROUBLES: dict[type[Exception], tuple[int, str]] = {
    BadSetting: (USAGE, "a setting is wrong"),
    BadCode: (USAGE, "that is not a code"),
    NotJoined: (NOT_JOINED, "this box has not joined: edge join CODE"),
    BadIdentity: (NOT_JOINED, "the identity cannot be read: edge join CODE"),
    Unreachable: (NO_GATEWAY, "no gateway answered; a code is still good"),
    Busy: (NO_GATEWAY, "the gateway did not look; a code is still good"),
    Refused: (REFUSED, "the gateway refuses"),
    WrongGateway: (WRONG_GATEWAY, "not our gateway; nothing was told to it"),
    SpoolTaken: (TAKEN, "an agent is running already (systemctl stop edge)"),
    SpoolFailed: (FAILED, "the disk does not keep what it is given"),
    sqlite3.Error: (FAILED, "the spool cannot be used"),
    OSError: (FAILED, "the system refuses"),
}
_INTERRUPTED = 130
_LATELY = 60.0
_log = logging.getLogger("edge")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    asked = _parser().parse_args(arguments)
    try:
        return int(asked.command(Settings.read(), asked))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (*_TROUBLES, ExceptionGroup) as trouble:
        return _explain(trouble)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edge", description="The box in the home.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="hear, keep and send until stopped")
    run.set_defaults(command=_run)
    status = commands.add_parser(
        "status", help="what waits, and whether all is well (0) or not (8)"
    )
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(command=_status)
    examining = commands.add_parser(
        "doctor", help="what is wrong, and what to do next: all is well (0) or not (8)"
    )
    examining.add_argument("--json", action="store_true", help="for programs, when all is done")
    examining.set_defaults(command=_doctor)
    joining = commands.add_parser("join", help="get this box's certificate from the gateway")
    joining.add_argument("code", metavar="CODE", help="as printed by: gateway edges add")
    joining.set_defaults(command=_join)
    renewing = commands.add_parser(
        "renew", help="get the next certificate; a running agent does it by itself"
    )
    renewing.set_defaults(command=_renew)
    return parser


def _explain(trouble: Exception) -> int:
    """One sentence and an exit code for what is known; the rest is raised on."""
    root = _root(trouble)
    for kind, (code, words) in _TROUBLES.items():
        if isinstance(root, kind):
            sys.stderr.write(f"edge: {words}: {root}\n")
            return code
    raise trouble


def _root(trouble: Exception) -> Exception:
    if isinstance(trouble, ExceptionGroup):
        return _root(cast("ExceptionGroup[Exception]", trouble).exceptions[0])
    return trouble


def _join(settings: Settings, asked: argparse.Namespace) -> int:
    identity = _short_lived("joining.join").join(
        read_code(asked.code),
        settings.home,
        version=_version(),
        earliest=_earliest(settings),
        tell=_tell,
    )
    sys.stdout.write(f"joined as {identity.edge}; start it with: edge run\n")
    return OK


def _renew(settings: Settings, _: argparse.Namespace) -> int:
    identity = _short_lived("joining.renew").renew(settings.home, earliest=_earliest(settings))
    ends = datetime.fromtimestamp(identity.expires, UTC)
    sys.stdout.write(f"the certificate of {identity.edge} is good until {ends:%Y-%m-%d}\n")
    return OK


def _short_lived(name: str) -> Any:  # noqa: ANN401 - a module of ours
    """What only short processes need: cryptography above all, which the agent never imports."""
    return importlib.import_module(f"edge.{name}")


def _earliest(settings: Settings) -> float | None:
    """As in tls.context; from what the agent last had proved."""
    synchronised = settings.make_clock().synchronised()
    return None if synchronised else proved(settings.home / SPOOL)


def _tell(words: str) -> None:
    sys.stderr.write(f"edge: {words}\n")


def _status(settings: Settings, asked: argparse.Namespace) -> int:
    status, now = read_status(settings.home), settings.make_clock().now()
    sys.stdout.write(f"{status.as_json() if asked.json else status.as_text(now)}\n")
    return TROUBLE if status.troubles(now) else OK


def _doctor(settings: Settings, asked: argparse.Namespace) -> int:
    trouble = _short_lived("doctor.command").doctor(settings, as_json=asked.json)
    return TROUBLE if trouble else OK


def _run(settings: Settings, _: argparse.Namespace) -> int:
    log_to_stderr(settings.log)
    identity = identity_of(settings)
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    clock = settings.make_clock()
    with _own_spool(settings, clock, identity.edge) as spool:
        return asyncio.run(_Agent(settings, identity, spool).run())


def _own_spool(settings: Settings, clock: Clock, edge: str) -> Spool:
    """The spool of this box; one that holds another box's frames is set aside."""

    def opened() -> Spool:
        path = settings.home / SPOOL
        return Spool(
            path,
            clock,
            keep_days=settings.keep_days,
            reserve=RESERVE,
            terms=terms(settings.spool_mb),
        )

    spool = opened()
    owner = spool.recall(OWNER)
    if owner not in (None, edge):
        spool.close()
        for path in set_box_aside(settings.home, owner or ""):
            _log.warning("this was box %s before; what it kept is not sent: %s", owner, path)
        spool = opened()
    if spool.recall(OWNER) is None:
        spool.remember(OWNER, edge)
    return spool


class _Agent:
    """Reader, spool and uplink of one box, wired together."""

    def __init__(self, settings: Settings, identity: Identity, spool: Spool) -> None:
        clock = settings.make_clock()
        self._settings = settings
        self._identity = identity
        self._spool = spool
        self._config = ConfigFile(settings.home / CONFIG)
        self._unkept = 0
        self._say = Voice(lambda frame, lane: self._keep((frame,), lane), clock, identity.edge)
        self._beat = Heartbeat(spool=spool, clock=clock, version=_version())
        self._uplink = Paths(
            spool,
            identity.link(),
            second_link(identity, settings),
            clock,
            heartbeat=self._beat,
            say=self._say,
            on_config=self._configured,
            on_command=self._commanded,
            after=settings.second_after,
        )
        self._renewal = Renewal(
            identity,
            settings.home,
            clock,
            connected=lambda: self._uplink.connected,
            renewed=self._renewed,
            say=self._say,
        )
        self._care = Care(spool, self._beat, self._say, self._uplink.tell)
        self._steps = Steps(clock)
        self._status = StatusFile(settings.home)
        self._reader = Reader(
            clock=clock,
            keep=self._keep,
            records=spool,
            told=self._radio,
            say=self._say,
            adapter=settings.adapter,
            patience=Patience(silence=settings.silence),
        )
        self._stop = asyncio.Event()
        self._code = OK
        self._lines = LastLines()
        logging.getLogger("edge").addHandler(self._lines)
        self._commands = self._asked(clock)

    def _asked(self, clock: Clock) -> Commands:
        """What the box does when it is asked; a restart that was asked for before is answered."""
        restarts = Restarts(self._spool, clock, self._restart)
        deeds = {
            **of_radio(self._reader if self._settings.radio else None),
            **of_box(self._last_lines, restarts),
        }
        if restarts.is_back and restarts.last is not None:
            self._uplink.reply(answer(*restarts.last))
        return Commands(clock, deeds, self._uplink.reply, restarts.last)

    async def run(self) -> int:
        """Until SIGTERM or SIGINT; "stopped" is said on the way out. Raises SpoolFailed."""
        self._follow()
        stop = self._stop
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part) for part in self._parts()]
            notify("READY=1")
            await stop.wait()
            notify("STOPPING=1")
            for task in tasks:
                task.cancel()
        self._write_status()
        return self._code

    def _restart(self) -> None:
        """End with every frame on disk, so that systemd starts the program again."""
        self._code = RESTART
        self._stop.set()

    def _last_lines(self) -> str:
        placed = self._config.current.devices.keys()
        return self._lines.text(placed, (self._settings.password,))

    def _parts(self) -> list[Any]:
        parts = [self._uplink.run(), self._tend(), self._care.check(), self._commands.run()]
        parts.append(self._renewal.run())
        if command := self._settings.hook_command:
            parts.append(self._hook(command).run())
        if self._settings.radio:
            self._beat.reader = "starting"
            parts.append(self._hear())
        return parts

    def _hook(self, command: Sequence[str]) -> Hook:
        every = self._settings.hook_every * 60
        after = self._settings.hook_after
        return Hook(command, self._spool, self._say, after=after, every=every)

    async def _hear(self) -> None:
        try:
            await self._reader.run()
        except Exception:
            self._uplink.drop()  # a box that fails must not say that it stopped on purpose
            raise

    async def _tend(self) -> None:
        """The box's housekeeping: the spool, the status file, systemd's watchdog."""
        while True:
            self._write_status()
            notify("WATCHDOG=1")
            self._care.look()
            if (stepped := self._steps.look()) is not None:
                self._say("clock.stepped", seconds=round(stepped[0]), first=stepped[1])
            await asyncio.sleep(CARE_EVERY)

    def _keep(self, frames: Sequence[Frame], lane: Lane) -> None:
        """A call that cannot be kept must end the agent: "lost" is then said, and people look."""
        try:
            self._spool.append_many(frames, lane)
        except SpoolFailed as failed:
            if lane == "urgent":
                raise
            self._unkept += len(frames)
            _log.error("%d frames of the bulk lane were not kept: %s", len(frames), failed)
        if self._spool.trouble != self._beat.trouble:
            self._care.tell()

    def _configured(self, payload: bytes) -> None:
        before = self._config.refused
        if self._config.take(payload) is not None:
            self._follow()
            self._uplink.tell()
        elif self._config.refused != before:
            self._refused(self._config.refused or "")
        self._write_status()

    def _refused(self, why: str) -> None:
        """The last good configuration is followed on; the gateway learns what is wrong."""
        field, _, reason = why.partition(": ")
        self._beat.refused = why
        self._say("config.refused", field=field, why=reason)
        self._uplink.tell()

    def _renewed(self, identity: Identity) -> None:
        """Prove the new certificate at once, while the one before is still good."""
        self._identity = identity
        self._uplink.follow(identity.link(), second_link(identity, self._settings))

    def _commanded(self, payload: bytes) -> None:
        self._commands.take(payload)

    def _follow(self) -> None:
        config = self._config.current
        self._reader.follow(config)
        self._beat.config, self._beat.keepalive = config.version, config.keepalive
        self._beat.refused = self._config.refused
        _log.info("config %d: %d devices", config.version, len(config.devices))

    def _radio(self, state: ReaderState) -> None:
        self._beat.reader = state
        self._beat.mode = self._reader.mode
        self._uplink.tell()
        self._write_status()

    def _write_status(self) -> None:
        self._status.write(
            {
                "edge": self._identity.edge,
                "broker": self._identity.broker,
                "at": self._beat.clock.now_ms(),
                "version": self._beat.version,
                "connected": self._uplink.connected,
                "path": self._beat.path,
                "reader": self._beat.reader,
                "heard": self._reader.placed_heard,
                "lately": self._reader.heard_lately(_LATELY) if self._settings.radio else None,
                "config": self._beat.config,
                "refused": self._config.refused,
                "unkept": self._unkept,
                "trouble": self._beat.trouble,
                "room_days": self._beat.room_days,
            },
            self._beat.clock.uptime(),
        )


def _version() -> str:
    try:
        return version("trygport")
    except PackageNotFoundError:
        return "0"


if __name__ == "__main__":
    sys.exit(main())
