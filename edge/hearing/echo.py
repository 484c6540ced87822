"""Lets the first of repeated advertisements through; pure."""

from collections import OrderedDict
from dataclasses import dataclass, replace

from adapters.frame import Frame

WINDOW = 10.0
"""Seconds after a device's last hearing within which the same bytes are the same message."""
DEVICES = 1_024
"""Devices remembered at once. Random addresses come and go: the longest unheard is dropped."""


@dataclass(slots=True)
class _Heard:
    content: tuple[object, ...]
    frame: Frame
    at: float
    repeats: int = 0


class Echo:
    """Tells a repeat from news by the bytes alone, for each device by itself.

    The same bytes within `window` seconds of the device's last hearing are a repeat, however
    long that goes on; after a longer silence they are news again (a second press). Signal
    strength, name and order do not count. How often a message was repeated is told by
    `repeats` of the next frame of that device that passes.
    """

    def __init__(self, *, window: float = WINDOW, devices: int = DEVICES) -> None:
        self._window = window
        self._devices = devices
        self._heard = OrderedDict[str, _Heard]()

    def __len__(self) -> int:
        return len(self._heard)

    def hear(self, frame: Frame) -> Frame | None:
        """The frame as it is to be kept, or None for a repeat. Only advertisements can repeat."""
        if frame.heard != "advertisement":
            return frame
        last = self._heard.pop(frame.device, None)
        content = _content(frame)
        if last is not None and last.content == content and self._soon(last, frame):
            last.at, last.repeats = frame.uptime, last.repeats + 1
            self._remember(frame.device, last)
            return None
        self._remember(frame.device, _Heard(content, frame, frame.uptime))
        return frame if last is None else _news(frame, last)

    def _soon(self, last: _Heard, frame: Frame) -> bool:
        return frame.uptime - last.at <= self._window

    def _remember(self, device: str, heard: _Heard) -> None:
        self._heard[device] = heard
        while len(self._heard) > self._devices:
            self._heard.popitem(last=False)


def _content(frame: Frame) -> tuple[object, ...]:
    said = (tuple(sorted(frame.manufacturer.items())), tuple(sorted(frame.data.items())))
    return said if any(said) else (frame.name, frozenset(frame.services))


def _news(frame: Frame, last: _Heard) -> Frame:
    """Without the company ids that BlueZ only remembers.

    BlueZ hands over every company id that a device ever used. Where several are there and
    some are as they were, those were not heard now: an old press would ride along for ever.
    """
    old = last.frame.manufacturer
    fresh = {
        company: said for company, said in frame.manufacturer.items() if old.get(company) != said
    }
    if len(frame.manufacturer) > 1 and fresh:
        frame = replace(frame, manufacturer=fresh)
    return replace(frame, repeats=last.repeats)
