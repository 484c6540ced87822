"""Changes bytes at random without asking hypothesis: many times as many inputs in the same time."""

import random
from collections.abc import Iterator
from typing import Any, cast
from zlib import crc32

EACH = 25
"""Mutants of each input that hypothesis makes."""

_HEX = b"0123456789abcdef"


def mutants(said: Any, number: int = EACH) -> Iterator[Any]:
    """Inputs of the same form; the same ones for the same input, so that what fails fails again."""
    chance = random.Random(crc32(repr(said).encode(errors="replace")))  # noqa: S311 - no secret
    for _ in range(number):
        yield _mutant(said, chance)


def _mutant(said: Any, chance: random.Random) -> Any:
    if isinstance(said, bytes):
        return _bytes(bytearray(said), chance)
    if isinstance(said, tuple):
        return tuple(_mutant(one, chance) for one in cast("tuple[Any, ...]", said))
    return said


def _bytes(said: bytearray, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        if not said:
            return bytes(said)
        place = chance.randrange(len(said))
        part = said[place : place + chance.choice((1, 2, 4, 16))]
        match chance.randrange(8):
            case 0:
                said[place] = chance.randrange(256)
            case 1:
                del said[place : place + len(part)]
            case 2:
                said[place:place] = part
            case 3:
                said[place:place] = chance.randbytes(len(part))
            case _:
                _digit(said, place, chance)
    return bytes(said)


def _digit(said: bytearray, place: int, chance: random.Random) -> None:
    """Another digit where there is one, so that what is hexadecimal or a number stays it."""
    for there in range(place, len(said)):
        if said[there] in _HEX:
            said[there] = chance.choice(_HEX[:10] if said[there] in _HEX[:10] else _HEX)
            return
