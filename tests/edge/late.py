"""A spool that breaks its promise, beside the honest one, for the boxes that tests kill."""

from collections.abc import Mapping, Sequence

from adapters.frame import Frame, Lane
from edge.keeping.spool import Spool


class Late(Spool):
    """The saboteur: what it is given it writes with the next, and says at once that it is kept."""

    _left: tuple[Sequence[Frame], Lane] | None = None

    def append_many(self, frames: Sequence[Frame], lane: Lane) -> None:
        left = self._left
        self._left = frames, lane
        if left is not None:
            super().append_many(*left)


SPOOLS: Mapping[str, type[Spool]] = {"honest": Spool, "late": Late}
