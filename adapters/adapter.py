"""What an adapter is to the registry: a name, what it is asked about, and how it reads a frame.

This is the interface of plug-ins too (`adapters.plugins`): it changes only by growing.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from adapters.errors import UnreadableFrame
from adapters.frame import Frame
from adapters.observation import Kind, Observation, Quality

Read = Callable[[Frame, bytes | None], tuple[Observation, ...]]
"""A frame and its device's key, if it has one, to observations.

Same bytes, same answer: no clock, no memory of earlier frames, nothing from outside. Raises
UnknownFormat where the frame is not this family's after all, MissingKey, or UnreadableFrame with
the part that could be read.
"""

NAME_LENGTH: Final = 3
"""So many letters at the beginning of a device's name choose the adapter, in lower case."""

_SMALLINT: Final = range(-(2**15), 2**15)
_LONGEST_TEXT: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """One device family. What it is asked about is found by one look in a table for each.

    `data`: UUIDs of service data; `manufacturers`: company ids; `services`: UUIDs that the device
    lists; `names`: how its name begins, three letters in lower case; `characteristics`: UUIDs that
    are read or notified over a connection. UUIDs of 16 bits are four lower-case digits.

    `plan`: how a box connects to a device that is registered with this name as its model, in the
    words of `adapters.plans`; None where it is only listened to.
    """

    name: str
    read: Read
    data: frozenset[str] = frozenset()
    manufacturers: frozenset[int] = frozenset()
    services: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    characteristics: frozenset[str] = frozenset()
    plan: Mapping[str, Any] | None = field(default=None, hash=False)

    @property
    def silent(self) -> bool:
        """Whether it reads nothing in an advertisement, which then need not be kept."""
        return not (self.data or self.manufacturers or self.services or self.names)

    def asked(self, frame: Frame, key: bytes | None) -> tuple[Observation, ...]:
        """What the adapter reads, held to what can be stored; its faults are the frame's.

        Raises UnreadableFrame and its kinds, and nothing else.
        """
        try:
            return self._held(frame, key)
        except UnreadableFrame:
            raise
        except Exception as fault:
            reason = readable(f"{self.name} failed: {type(fault).__name__}: {fault}")
            raise UnreadableFrame(reason) from fault

    def _held(self, frame: Frame, key: bytes | None) -> tuple[Observation, ...]:
        try:
            return checked(self.name, self.read(frame, key))
        except UnreadableFrame as unreadable:
            partial = checked(self.name, unreadable.partial)
            raise type(unreadable)(readable(str(unreadable)), partial=partial) from None


def checked(name: str, said: object) -> tuple[Observation, ...]:
    """The observations, as far as a database takes them. Raises UnreadableFrame for anything else.

    A number that is none (NaN, infinite) is marked, as a device's own would be.
    """
    if not isinstance(said, tuple):
        raise UnreadableFrame(f"{name} gave {type(said).__name__}, no observations")
    return tuple(_checked(name, one) for one in cast("tuple[object, ...]", said))


def readable(text: str) -> str:
    """Text that can be logged and stored: no half of a surrogate pair, no U+0000, not endless."""
    whole = text[:_LONGEST_TEXT].encode("utf-8", "replace").decode()
    return whole.replace("\0", "\N{REPLACEMENT CHARACTER}") or "no reason was given"


def _checked(name: str, one: object) -> Observation:
    if not isinstance(one, Observation):
        raise UnreadableFrame(f"{name} gave {type(one).__name__} for an observation")
    _refuse_words(name, one)
    if one.code is not None and one.code not in _SMALLINT:
        raise UnreadableFrame(f"{name} gave the code {one.code}, which is no small number")
    if one.record is not None and not 0 <= one.record < 2**63:
        raise UnreadableFrame(f"{name} gave the record number {one.record}")
    if one.occurred is not None and abs(one.occurred) >= 2**52:
        raise UnreadableFrame(f"{name} gave the time {one.occurred}")
    if not _are_texts(one.details.items()):
        raise UnreadableFrame(f"{name} gave details that are no text")
    if one.value is not None and not math.isfinite(one.value):
        quality = Quality.NOT_A_NUMBER if math.isnan(one.value) else Quality.INFINITE
        return Observation(one.kind, code=one.code, quality=quality, details=one.details)
    return one


def _refuse_words(name: str, one: Observation) -> None:
    """What stands for a number that is stored for ever is one of ours, and no text or number."""
    kind, quality = cast("tuple[object, object]", (one.kind, one.quality))
    if not isinstance(kind, Kind):
        raise UnreadableFrame(f"{name} gave the kind {kind!r}; adapters/catalogue.py has them")
    if not isinstance(quality, Quality):
        raise UnreadableFrame(
            f"{name} gave the quality {quality!r}; adapters/observation.py has them"
        )


def _are_texts(details: Iterable[tuple[object, object]]) -> bool:
    return all(
        isinstance(text, str) and readable(text) == text for pair in details for text in pair
    )
