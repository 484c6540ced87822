"""Reads the fields of a JSON object strictly, and says where one is wrong."""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

_T = TypeVar("_T")
_MOST = 1_000  # entries of one list


class BadFields(ValueError):
    """A field is missing or not of its kind; the text begins with its place, as a.b[2].c."""


class Fields:
    """One JSON object, with its place in the whole for messages.

    Unknown names are left alone: a newer gateway may say more than this box understands.
    """

    def __init__(self, said: object, place: str) -> None:
        if not isinstance(said, dict):
            raise BadFields(f"{place}: not an object")
        self.place = place
        self._said = cast("Mapping[str, object]", said)

    def __contains__(self, name: str) -> bool:
        return self._said.get(name) is not None

    def bad(self, name: str, why: str) -> BadFields:
        return BadFields(f"{self.place}.{name}: {why}")

    def text(self, name: str, pattern: re.Pattern[str]) -> str:
        value = self._said.get(name)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self.bad(name, f"not a text of the form {pattern.pattern}")
        return value

    def word(self, name: str, words: tuple[_T, ...]) -> _T:
        value = self._said.get(name)
        if not isinstance(value, str) or value not in words:
            raise self.bad(name, f"not one of {', '.join(map(str, words))}")
        return cast("_T", value)

    def word_or_none(self, name: str, words: tuple[_T, ...]) -> _T | None:
        return self.word(name, words) if name in self else None

    def yes(self, name: str) -> bool:
        value = self._said.get(name)
        if not isinstance(value, bool):
            raise self.bad(name, "neither true nor false")
        return value

    def whole(self, name: str, least: int, most: int, *, default: int | None = None) -> int:
        value = self._said.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.bad(name, f"not a whole number from {least} to {most}")
        return value

    def number(self, name: str, least: float, most: float, *, default: float) -> float:
        value = self._said.get(name)
        if value is None:
            return default
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.bad(name, "not a number")
        if not least <= value <= most:
            raise self.bad(name, f"not from {least:g} to {most:g}")
        return float(value)

    def octets(self, name: str, *, most: int = 512) -> bytes:
        value = self._said.get(name)
        if not isinstance(value, str) or not re.fullmatch("([0-9a-fA-F]{2})*", value):
            raise self.bad(name, "not hexadecimal")
        if len(value) > 2 * most:
            raise self.bad(name, f"longer than {most} bytes")
        return bytes.fromhex(value)

    def texts(self, name: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
        listed = self._list(name)
        for value in listed:
            if not isinstance(value, str) or not pattern.fullmatch(value):
                raise self.bad(name, f"has an entry that is not of the form {pattern.pattern}")
        return tuple(cast("list[str]", listed))

    def several(self, name: str, read: Callable[["Fields"], _T]) -> tuple[_T, ...]:
        place = f"{self.place}.{name}"
        return tuple(
            read(Fields(value, f"{place}[{n}]")) for n, value in enumerate(self._list(name))
        )

    def perhaps(self, name: str, read: Callable[["Fields"], _T]) -> _T | None:
        return read(Fields(self._said[name], f"{self.place}.{name}")) if name in self else None

    def _list(self, name: str) -> list[object]:
        value = self._said.get(name, [])
        if not isinstance(value, list):
            raise self.bad(name, "not a list")
        listed = cast("list[object]", value)
        if len(listed) > _MOST:
            raise self.bad(name, f"more than {_MOST} entries")
        return listed
