"""Sets aside what a box kept as another one, so that nothing is sent under a wrong name."""

import re
from pathlib import Path

from edge.files import set_aside
from edge.joining.identity import FILE, BadIdentity, read_identity
from edge.keeping.disk import SPOOL
from edge.told.config import CONFIG

OWNER = "edge"
"""The name under which a spool notes whose frames it holds."""


def joined_as(home: Path) -> str | None:
    """The id that this box has now; None when it has none that can be read."""
    try:
        return read_identity((home / FILE).read_bytes()).edge
    except (FileNotFoundError, BadIdentity):
        return None


def set_box_aside(home: Path, edge: str) -> list[Path]:
    """Rename the spool and the configuration of a box; where they are now. Raises OSError.

    Nothing is deleted: under their old names again, with the old identity, they are still good.
    An older agent noted any id at all: what no file may be called, or a pattern means, is left out.
    """
    name = re.sub(r"[^0-9A-Za-z-]", "_", edge)[:64]
    kept = [path for path in (home / SPOOL, home / CONFIG) if path.exists()]
    return [set_aside(path, f"of-{name}") for path in kept]
