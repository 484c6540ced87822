"""Lays out what the broker reads, and mends what somebody else has done to it."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from gateway.edges import revocation
from gateway.edges.authority import CANARY, Authority
from gateway.edges.broker_files import ACL, AUTHORITY, CERTIFICATE, KEY, LIST, access_list, denied
from gateway.edges.keyfiles import put, refuse_open
from gateway.edges.revocation import BadList
from gateway.edges.signing import LEAF_LIFE

_SECRET, _OPEN = 0o640, 0o644
"""The broker is another user, in the folder's group; nobody else reads its key."""

_REMEMBERED = LEAF_LIFE + timedelta(days=2)
"""How long a revoked certificate can still be good: after that it has expired by itself."""


class BadLayout(Exception):
    """The broker's folder cannot be used; the text says what to type."""


def lay_out(
    folder: Path,
    authority: Authority,
    *,
    revoked: Mapping[int, datetime],
    shut_out: Iterable[str] | None,
    now: datetime,
) -> bool:
    """Put in place what is missing, spoilt or old. Whether anything was: then the broker must read.

    With None for `shut_out` whoever is shut out there stays so. Who is on a good list of ours that
    lies there stays on it, though the database has forgotten: it may have been restored from
    yesterday. Raises BadLayout, BadList, BadAuthority, BadFile, OSError.
    """
    if not folder.is_dir():
        raise BadLayout(f"{folder} is no folder: type gateway authority broker --out {folder}")
    refuse_open(folder, 0o002)
    if shut_out is None:
        shut_out = denied(_content(folder / ACL).decode(errors="replace"))
    wanted = {
        AUTHORITY: (authority.chain_pem, _OPEN),
        CERTIFICATE: ((authority.folder / "broker.pem").read_bytes(), _OPEN),
        KEY: ((authority.folder / "broker.key").read_bytes(), _SECRET),
        ACL: (access_list(shut_out).encode(), _SECRET),
    }
    changed = [_put_unless_there(folder / name, *each) for name, each in wanted.items()]
    return any([*changed, _list(folder / LIST, authority, revoked, now)])


def _put_unless_there(path: Path, content: bytes, mode: int) -> bool:
    if _content(path) == content and not path.stat().st_mode & 0o007 & ~mode:
        return False
    put(path, content, mode)
    return True


def _list(path: Path, authority: Authority, revoked: Mapping[int, datetime], now: datetime) -> bool:
    """Whether there is a new list of the revoked."""
    there = _content(path)
    canary = authority.own(CANARY)
    wanted = {
        **_remembered(there, authority, now),
        canary.serial_number: canary.not_valid_before_utc,
        **revoked,
    }
    try:
        revocation.check(there, authority, now, wanted)
        if not revocation.is_due(there, now):
            return False
    except BadList:
        pass  # a new one takes its place
    made = revocation.revocation_list(authority, wanted, int(now.timestamp()), now)
    revocation.install(path, made, authority, now, wanted)
    return True


def _remembered(there: bytes, authority: Authority, now: datetime) -> Mapping[int, datetime]:
    return {
        serial: at
        for serial, at in revocation.named(there, authority).items()
        if now - at < _REMEMBERED
    }


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
