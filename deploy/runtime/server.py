"""Whom PostgreSQL's programs run as: root starts them as `nobody`, anybody else as themselves."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

_NOBODY = 65534
"""The user and group `nobody`, fixed by Debian's base-passwd: PostgreSQL refuses root."""


def belonging_to_the_server(path: Path) -> None:
    """Give a file or folder to the server; a folder that is not there is made."""
    if not path.exists():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(path, _NOBODY, _NOBODY)


def as_the_server(folder: Path) -> Sequence[str]:
    """What to put before a program that works in the folder, so that it does not run as root."""
    if os.geteuid() != 0:
        return ()
    command = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
    if not _everybody_may_enter(folder):
        caps = "+dac_override,+dac_read_search"
        command += [f"--inh-caps={caps}", f"--ambient-caps={caps}"]
        # access(2) of another user than root would otherwise be asked without them
        command += ["--securebits=+no_setuid_fixup"]
    # a change of user forgets whose death to follow, so it is said again
    return (*command, "--pdeathsig", "KILL", "--no-new-privs")


def _everybody_may_enter(folder: Path) -> bool:
    everybody = stat.S_IROTH | stat.S_IXOTH
    modes = (place.stat().st_mode for place in (folder, *folder.parents))
    return all(mode & everybody == everybody for mode in modes)
