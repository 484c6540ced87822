"""The command `edge` of the package: as the box's own user, and with the box's settings."""

import os
import pwd
import shlex
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edge.main import main
from edge.settings import PREFIX

USER = "trygport"
"""Of edge.service, which could neither read nor write what root wrote to the box's folder."""
SETTINGS = Path("/etc/trygport/edge.env")
"""EnvironmentFile= of edge.service, which a person's commands must agree with."""


def begin() -> int:
    """Run one command; its exit code. Root becomes the box's user."""
    for name, value in settings(SETTINGS):
        os.environ.setdefault(name, value)
    if os.geteuid() == 0:
        _become(USER)
    return main()


def settings(file: Path) -> Iterator[tuple[str, str]]:
    """The settings in the file, in systemd's way of writing them; none that cannot be read."""
    with suppress(OSError, UnicodeDecodeError):
        for line in file.read_text().splitlines():
            name, _, value = line.strip().partition("=")
            if name.startswith(PREFIX):
                yield name, _unquoted(value.strip())


def _unquoted(value: str) -> str:
    if value[:1] not in ("'", '"'):
        return value
    with suppress(ValueError):
        return "".join(shlex.split(value))
    return value


def _become(user: str) -> None:
    """For good, with the user's groups and nothing of root's."""
    try:
        who = pwd.getpwnam(user)
    except KeyError:
        sys.stderr.write(f"edge: there is no user {user}: install the package again\n")
        raise SystemExit(1) from None
    os.chdir("/")
    os.initgroups(user, who.pw_gid)
    os.setgid(who.pw_gid)
    os.setuid(who.pw_uid)
    os.umask(0o077)
    os.environ["HOME"] = who.pw_dir
