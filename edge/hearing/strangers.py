"""How much is heard of call devices that nobody placed in this home: never a flood; pure."""

from collections import deque

DEVICES = 32
"""Addresses known at a time: the buttons of a whole stairway, and more."""
KNOWN = 120.0
"""Seconds without a word after which an address gives up its place: two heartbeats of ours."""
FRAMES, MINUTE = 10, 60.0
"""Frames of one address in so many seconds; a frame is news, its repeats are none."""
TELLING = 3_600.0
"""Seconds between two complaints."""


class Strangers:
    """Lets a call device through that is not of this home, within bounds.

    Anybody can send the bytes of a call, from any number of addresses. Each would be a frame on
    the card, in the lane of the calls. What is refused is counted. Told the time in seconds of any
    clock that does not step.
    """

    def __init__(self) -> None:
        self._heard = dict[str, deque[float]]()
        self._refused = 0
        self._told: float | None = None

    def __len__(self) -> int:
        return len(self._heard)

    def admit(self, address: str, now: float) -> bool:
        """Whether this frame may be kept."""
        heard = self._heard.get(address) or self._new(address, now)
        if heard is None or (len(heard) == FRAMES and now - heard[0] < MINUTE):
            self._refused += 1
            return False
        heard.append(now)
        return True

    def complaint(self, now: float) -> int | None:
        """How many were refused since this was last told; None when it is not to be told yet."""
        if not self._refused or (self._told is not None and now - self._told < TELLING):
            return None
        self._told, refused, self._refused = now, self._refused, 0
        return refused

    def _new(self, address: str, now: float) -> deque[float] | None:
        if len(self._heard) >= DEVICES:
            self._heard = {a: h for a, h in self._heard.items() if now - h[-1] < KNOWN}
        if len(self._heard) >= DEVICES:
            return None
        return self._heard.setdefault(address, deque(maxlen=FRAMES))
