"""Which placed devices have fallen silent while the radio hears others; pure."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from edge.hearing.rhythm import Rhythm


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A device fell silent, or was heard again after `silent` seconds; `usual` is its gap."""

    address: str
    speaks: bool
    silent: float
    usual: float | None = None


@dataclass(slots=True)
class Silence:
    """Says each silence once, and its end once.

    That no event comes is no proof: BlueZ 5.82, and each passive scan, may tell unchanged data
    once only. So a device is called silent when BlueZ has told unchanged data in this scan
    (`told_repeats`), or has itself forgotten the device, which it does 30 s after the last
    advertisement of one that is not paired. Otherwise nothing is said.
    """

    rhythm: Rhythm = field(default_factory=Rhythm)
    told_repeats: bool = False
    _silent: dict[str, float] = field(default_factory=dict[str, float])

    def begun(self, now: float) -> None:
        """A scan begins: what it proves is not known yet, and nobody was heard before it."""
        self.told_repeats = False
        for address in self.rhythm.known():
            if address not in self._silent:
                self.rhythm.excuse(address, now)

    def look(
        self, placed: Collection[str], now: float, remembered: Callable[[str], bool]
    ) -> list[Change]:
        """What has changed; `remembered` tells whether BlueZ still has a device."""
        self._silent = {a: at for a, at in self._silent.items() if a in placed}
        return [
            change
            for address in placed
            if (change := self._change(address, now, remembered)) is not None
        ]

    def _change(self, address: str, now: float, remembered: Callable[[str], bool]) -> Change | None:
        silent = self.rhythm.silence(address, now)
        if silent is None and address in self._silent:
            since = self._silent.pop(address)
            return Change(address=address, speaks=True, silent=now - since)
        if silent is None or address in self._silent:
            return None
        if not self.told_repeats and remembered(address):
            return None
        self._silent[address] = now - silent
        usual = self.rhythm.usual(address)
        return Change(address=address, speaks=False, silent=silent, usual=usual)
