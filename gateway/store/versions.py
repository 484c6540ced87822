"""Two people who edit one thing: whoever read an older version of it is told."""

Versions = frozenset[int] | None
"""The versions that a thing may have for a change to be made; None for whatever it has."""


class Stale(Exception):
    """Somebody else has changed it since the caller read it: read it again first."""


def agree(version: int, wanted: Versions) -> None:
    """Raises Stale when the thing has none of the wanted versions."""
    if wanted is not None and version not in wanted:
        raise Stale
