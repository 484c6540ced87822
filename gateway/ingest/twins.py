"""Two boxes under one name, as two cards written from one image: seen by when each was started."""


class Twins:
    """Every agent tells when it started; two that live take turns at the broker, one does not."""

    def __init__(self) -> None:
        self._starts: dict[str, tuple[int, int]] = {}

    def spoke(self, name: str, started: int) -> bool:
        """A box says that it runs, started then (ms since 1970): whether it is back after another.

        A box that starts again, or whose clock was wrong, never tells an earlier start again.
        """
        before, last = self._starts.setdefault(name, (started, started))
        if started == last:
            return False
        self._starts[name] = (last, started)
        return started == before
