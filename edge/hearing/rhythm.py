"""How often each placed device is usually heard, learned from its hearings; pure."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

APART = 10.0
"""Seconds by which two hearings count as two: a press repeated for some seconds is one."""
GAPS = 16
"""Gaps remembered of each device."""
ENOUGH = 8
"""Gaps before a rhythm is spoken of."""
EVEN = 3.0
"""The longest gap is so many times the middle one at most; presses are not so even."""
SLOWEST = 3_600.0
"""Seconds; what is heard more seldom has no rhythm that the box could speak of in time."""
MISSED = 3.0
"""So many of its longest usual gaps without a word are silence, and `LEAST` seconds at least."""
LEAST = 120.0
DEVICES = 1_024
"""Devices remembered at once."""


@dataclass(slots=True)
class _Heard:
    at: float
    counted: float
    gaps: deque[float] = field(default_factory=lambda: deque[float](maxlen=GAPS))


class Rhythm:
    """Learns from every hearing, repeats too. Told seconds of any clock that does not step.

    A device that speaks only when somebody presses it has gaps of every length, so no rhythm,
    and is never called silent.
    """

    def __init__(
        self, *, devices: int = DEVICES, apart: float = APART, least: float = LEAST
    ) -> None:
        self._devices = devices
        self._apart = apart
        self._least = least
        self._heard = OrderedDict[str, _Heard]()

    def __len__(self) -> int:
        return len(self._heard)

    def heard_since(self, then: float) -> int:
        """How many were heard at that time or later."""
        return sum(heard.at >= then for heard in self._heard.values())

    def hear(self, address: str, now: float) -> None:
        """A device was heard; on the hot path, so it only looks when ten seconds have passed."""
        heard = self._heard.get(address)
        if heard is None:
            self._heard[address] = _Heard(now, now)
            if len(self._heard) > self._devices:
                self._heard.popitem(last=False)
            return
        heard.at = now
        if now - heard.counted >= self._apart:
            heard.gaps.append(now - heard.counted)
            heard.counted = now

    def excuse(self, address: str, now: float) -> None:
        """It could not be heard until now (in a connection): that is no gap and no silence."""
        if (heard := self._heard.get(address)) is not None:
            heard.at = heard.counted = now

    def usual(self, address: str) -> float | None:
        """The longest usual gap in seconds; None for a device without a rhythm."""
        heard = self._heard.get(address)
        if heard is None or len(heard.gaps) < ENOUGH:
            return None
        gaps = sorted(heard.gaps)
        even = gaps[-1] <= EVEN * gaps[len(gaps) // 2]
        return gaps[-1] if even and gaps[-1] <= SLOWEST else None

    def silence(self, address: str, now: float) -> float | None:
        """Seconds of a silence that is not usual; None while all is as usual, or nothing known."""
        usual = self.usual(address)
        if usual is None:
            return None
        silent = now - self._heard[address].at
        return silent if silent > max(MISSED * usual, self._least) else None

    def known(self) -> list[str]:
        """The devices that have been heard."""
        return list(self._heard)

    def only(self, addresses: frozenset[str]) -> None:
        """Forget every device but these."""
        for address in self._heard.keys() - addresses:
            del self._heard[address]
