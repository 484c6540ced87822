"""How much a home says in a day, and for how many days there is room; pure."""

import json
from collections.abc import Iterable

OVERHEAD = 24
"""Bytes of a row beside the frame's text, its numbers and its share of the pages above it."""
FILLING = 1.15
"""File over content: pages are never quite full. Measured: 290 bytes for a frame of 232."""

_HOURS = 72  # the rate is that of the last days, whose ends and nights differ
_HOUR_MS = 3_600_000
_HIGHEST = 2**53  # no home says as much in an hour


class Rate:
    """Frames and bytes of each of the last hours, counted since 1970."""

    def __init__(self, text: str | None = None) -> None:
        """From what `note` wrote; nothing for None, and for a note that cannot be read."""
        self._hours = _hours(text)

    def add(self, now_ms: int, texts: Iterable[int]) -> bool:
        """Count frames by the lengths of their texts; whether an hour began with them."""
        hour, lengths = now_ms // _HOUR_MS, list(texts)
        frames, octets = self._hours.get(hour, (0, 0))
        began = hour not in self._hours
        grown = sum(int((length + OVERHEAD) * FILLING) for length in lengths)
        self._hours[hour] = frames + len(lengths), octets + grown
        self._hours = {h: said for h, said in self._hours.items() if abs(hour - h) < _HOURS}
        return began

    def note(self) -> str:
        return json.dumps([[hour, *said] for hour, said in self._hours.items()])

    def days(self, *, capacity: int, depth: int, now_ms: int) -> float | None:
        """How long bytes of room last with so many frames waiting; None in the first hour."""
        if not self._hours or (hours := now_ms // _HOUR_MS - min(self._hours)) < 1:
            return None
        frames, octets = (sum(said[n] for said in self._hours.values()) for n in (0, 1))
        left = max(0.0, capacity - depth * octets / frames)
        return round(left / (octets / min(hours, _HOURS) * 24), 1)


def _hours(text: str | None) -> dict[int, tuple[int, int]]:
    try:
        return {
            int(hour): (int(frames), int(octets))
            for hour, frames, octets in json.loads(text or "[]")
            if 0 < frames < _HIGHEST and 0 < octets < _HIGHEST
        }
    except (ValueError, TypeError, OverflowError, RecursionError):
        return {}
