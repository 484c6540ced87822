"""Keeps what the broker reads as the database says it must be, and our own certificates fresh."""

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from gateway import log
from gateway.clock import Clock
from gateway.edges import broker_files, revocation
from gateway.edges.authority import OWN, SESSIONS, Authority, BadAuthority, hosts_of
from gateway.edges.broker_files import LIST
from gateway.edges.keyfiles import KEY_MODE, OPEN_MODE, BadFile, put
from gateway.edges.laying import BadLayout, lay_out
from gateway.edges.revocation import BadList
from gateway.edges.signing import RENEW_AFTER
from gateway.health import Health
from gateway.settings import Settings
from gateway.store.bell import Bell, listening
from gateway.store.certificates import REVOKED, revoked, shut_out, shut_out_again, told
from gateway.store.pool import DatabaseDown, Pool

LONGEST = 60.0
"""Seconds between two rounds: what nobody told us of is found by then."""

_AGAIN = 2.0
"""Seconds, while the broker or the database does not answer."""

LISTS = "edges: lists"
"""The part of the gateway's health that says whether the broker has what it must read."""

_log = log.get(__name__)
_FAULTS = (BadAuthority, BadFile, BadLayout, BadList, OSError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Who must not come in, as the database said last."""

    revoked: Mapping[int, datetime] = field(default_factory=dict[int, datetime])
    shut_out: Sequence[str] | None = None
    """None while it has not said anything: whoever is shut out stays so."""


class Lay(Protocol):
    """As `lay_out`."""

    def __call__(
        self,
        folder: Path,
        authority: Authority,
        *,
        revoked: Mapping[int, datetime],
        shut_out: Sequence[str] | None,
        now: datetime,
    ) -> bool: ...


class Keeper:
    """One round after another: the database, the files, the broker. `authority` is as of the last.

    While the database is away the files are kept as they were last known to be right. Tests give a
    `lay` that breaks the promise.
    """

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        clock: Clock,
        health: Health,
        authority: Authority,
        *,
        longest: float = LONGEST,
        lay: Lay = lay_out,
    ) -> None:
        self.authority = authority
        self._settings = settings
        self._pool = pool
        self._clock = clock
        self._health = health
        self._longest = longest
        self._lay = lay
        self._known = Known()
        self._unread = True
        self._lock = asyncio.Lock()
        health.bad(LISTS, "not looked at yet")

    async def run(self) -> None:
        """Until cancelled; also while the database is away."""
        while True:
            try:
                async with listening(self._pool, REVOKED) as bell:
                    await self._rounds(bell)
            except DatabaseDown as down:
                await self.look()
                _log.warning("the revoked cannot be asked for", why=str(down))
            await asyncio.sleep(min(self._longest, _AGAIN))

    async def look(self, *, anew: bool = False) -> None:
        """One round. With `anew` the broker reads its files again though nothing has changed."""
        async with self._lock:
            await self._learn()
            self._unread |= anew
            try:
                await asyncio.to_thread(self._keep)
            except _FAULTS as fault:
                self._health.bad(LISTS, str(fault))
                _log.error("the broker's files cannot be kept", why=str(fault))
            else:
                self._health.ok(LISTS)
                await self._tell()

    async def _rounds(self, bell: Bell) -> None:
        while True:
            await self.look()
            await bell.wait(min(self._longest, _AGAIN) if self._unread else self._longest)

    async def _learn(self) -> None:
        now = self._clock.now()
        listed = await asyncio.to_thread(self._listed)
        with contextlib.suppress(DatabaseDown):
            for name in await shut_out_again(self._pool, listed, now):
                _log.warning("shut out again: restored from before it was?", edge=name)
            self._known = Known(
                revoked=await revoked(self._pool, now), shut_out=await shut_out(self._pool, now)
            )

    def _listed(self) -> Collection[int]:
        """Whom our list at the broker names; the canary is no box."""
        folder = self._settings.broker_files
        try:
            there = b"" if folder is None else (folder / LIST).read_bytes()
        except OSError:  # said when it is to be kept
            there = b""
        return revocation.named(there, self.authority).keys()

    async def _tell(self) -> None:
        """The broker has been told, so whoever revoked a box need not wait any longer."""
        if self._unread or not self._known.shut_out:
            return
        with contextlib.suppress(DatabaseDown):
            await told(self._pool, self._known.shut_out, self._clock.now())

    # -- in a thread, for files and keys may be slow

    def _keep(self) -> None:
        now = self._clock.now()
        self.authority = Authority.read(self.authority.folder)
        self._renew_own(now)
        self._share_identity()
        folder = self._settings.broker_files
        if folder is None:
            return
        self._unread |= self._lay(
            folder,
            self.authority,
            revoked=self._known.revoked,
            shut_out=self._known.shut_out,
            now=now,
        )
        self._measure(folder, now)
        if self._unread:
            if self._settings.broker_pid_file is not None:
                broker_files.reload(self._settings.broker_pid_file)
            self._unread = False
            _log.info("the broker was told", revoked=len(self._known.revoked))

    def _renew_own(self, now: datetime) -> None:
        """At two thirds of their lives, or when another issuer has taken the place of theirs."""
        issuer = self.authority.issuer.certificate.subject
        for name in OWN:
            there = self.authority.own(name)
            if there.issuer != issuer or now >= there.not_valid_before_utc + RENEW_AFTER:
                self.authority.make_own(name, hosts_of(there), now)
                _log.info("a certificate of our own was renewed", name=name)

    def _share_identity(self) -> None:
        """The sessions' certificates go where ingest reads them, who must not read our keys."""
        folder = self._settings.broker_identity
        if folder is None or folder == self.authority.folder:
            return
        # open to a group where its folder is: ingest may run as another user
        secret = KEY_MODE | (folder.stat().st_mode & 0o040)
        names = [f"{name}.{kind}" for name in SESSIONS for kind in ("key", "pem")]
        for name in [*names, "root.pem"]:
            content = (self.authority.folder / name).read_bytes()
            there = folder / name
            if not there.exists() or there.read_bytes() != content:
                put(there, content, secret if name.endswith(".key") else OPEN_MODE)

    def _measure(self, folder: Path, now: datetime) -> None:
        left = revocation.good_until((folder / LIST).read_bytes()) - now
        gauge = self._health.gauge
        gauge(
            "revocation_list_seconds", "Until the broker would refuse everybody, if we stopped now"
        ).set(left.total_seconds())
        gauge("revoked_certificates", "Certificates of boxes that were revoked").set(
            len(self._known.revoked)
        )
