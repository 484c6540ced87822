"""What this box must be told, read once from the environment, refused early."""

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from edge.broker import Link
from edge.clock import BadClock, Clock, Synchronised, clock_from

PREFIX = "EDGE_"
"""Every setting is a variable of the environment: this prefix and the field's name in capitals."""
ID = re.compile(r"[0-9A-Za-z-]{1,64}")
"""A box's id: one level of a topic, and part of a file's name."""

_FOR_THE_SECOND_WAY = 10.0  # seconds
_MOST = 1_000_000
_INTERFACE = re.compile(r"(?!\.{1,2}$)[^\s/:]{1,15}")  # dev_valid_name() of Linux


class BadSetting(ValueError):
    """A setting cannot be followed; the text names the variable, its value and what it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each setting with what it is for; where one is empty, what `edge join` wrote is used."""

    home: Annotated[Path, "folder of spool, identity and config"] = Path("/var/lib/trygport")
    clock: Annotated[str, "wall, offset:SECONDS or driven:PATH"] = "wall"
    synchronised: Annotated[Synchronised, "auto (ask the kernel), yes or no"] = "auto"
    production: Annotated[
        bool, "yes refuses every clock but wall, and a broker in clear on another machine"
    ] = True
    broker: Annotated[str, "mqtt:// or mqtts://HOST:PORT in place of the joined one"] = ""
    broker_ca: Annotated[str, "PEM file of the broker's authority in place of the joined one"] = ""
    id: Annotated[str, "the box's id in place of the joined one"] = ""
    username: Annotated[str, "broker user in place of the joined one"] = ""
    password: Annotated[str, "broker password in place of the joined one"] = field(
        default="", repr=False
    )
    second_broker: Annotated[
        str, "mqtt:// or mqtts://HOST:PORT, best a number, for calls when the first way is dead"
    ] = ""
    second_interface: Annotated[str, "network interface of the second way, as wwan0"] = ""
    second_after: Annotated[float, "seconds that a call waits before the second way, 5 to 600"] = (
        20.0
    )
    hook: Annotated[
        str, "program, full path and words, run when a call reaches nobody; empty runs none"
    ] = ""
    hook_after: Annotated[float, "seconds that a call waits before the hook runs, 10 to 3600"] = (
        60.0
    )
    hook_every: Annotated[float, "minutes before it runs again while calls wait, 1 to 1440"] = 5.0
    radio: Annotated[bool, "no runs without Bluetooth: nothing is heard"] = True
    adapter: Annotated[str, "Bluetooth adapter, as hci0; empty takes the first"] = ""
    silence: Annotated[float, "seconds of radio silence before the scan is begun anew"] = 75.0
    keep_days: Annotated[float, "days that frames stay after their receipt, at least 3"] = 3.0
    spool_mb: Annotated[float, "megabytes the spool may take on the card, at least 16"] = 256.0
    log: Annotated[str, "DEBUG, INFO, WARNING or ERROR"] = "INFO"

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """The settings in the environment. Raises BadSetting."""
        given = os.environ if environment is None else environment
        names = {PREFIX + each.name.upper(): each.name for each in fields(cls)}
        unknown = [name for name in given if name.startswith(PREFIX) and name not in names]
        if unknown:
            raise BadSetting(f"{min(unknown)}: there is no such setting")
        told: dict[str, Any] = {
            names[name]: _value(name, names[name], text)
            for name, text in given.items()
            if name in names
        }
        settings = cls(**told)
        settings.make_clock()
        settings.check_order()
        return settings

    @property
    def has_second_way(self) -> bool:
        return bool(self.second_broker or self.second_interface)

    @property
    def hook_command(self) -> tuple[str, ...]:
        """The hook's program and words; empty: there is none."""
        return tuple(shlex.split(self.hook))

    def check_order(self) -> None:
        """The second way is tried before the hook says that nobody is reached.

        Raises BadSetting.
        """
        earliest = self.second_after + _FOR_THE_SECOND_WAY
        if self.hook and self.has_second_way and self.hook_after < earliest:
            raise BadSetting(
                f"EDGE_HOOK_AFTER={self.hook_after:g}: with EDGE_SECOND_AFTER="
                f"{self.second_after:g} at least {earliest:g} seconds"
            )

    def make_clock(self) -> Clock:
        """The clock that the settings ask for. Raises BadSetting."""
        if self.production and self.clock != "wall":
            raise BadSetting(f"EDGE_CLOCK={self.clock}: in production only wall is allowed")
        try:
            return clock_from(self.clock, synchronised=self.synchronised)
        except BadClock as bad:
            raise BadSetting(f"EDGE_CLOCK: {bad}") from bad


def _value(name: str, setting: str, text: str) -> object:
    """One variable's text as its field's type. Raises BadSetting."""
    try:
        return _READERS.get(setting, str)(text)
    except ValueError as bad:
        shown = re.sub(r"//.*@", "//...@", text)  # a password may stand there
        raise BadSetting(f"{name}={shown}: {bad}") from bad


def _yes_or_no(text: str) -> bool:
    words = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if text.lower() not in words:
        raise ValueError("neither yes nor no")
    return words[text.lower()]


def _one_of(*words: str) -> Any:  # noqa: ANN401 - a reader, as the others
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"not one of {', '.join(words)}")
        return text

    return read


def _at_least(least: float, unit: str) -> Any:  # noqa: ANN401 - a reader, as the others
    def read(text: str) -> float:
        number = float(text)
        if not least <= number <= _MOST:  # also refuses nan and infinities
            raise ValueError(f"at least {least:g} {unit}, at most {_MOST:,}")
        return number

    return read


def _between(least: float, most: float, unit: str) -> Any:  # noqa: ANN401 - a reader
    def read(text: str) -> float:
        number = float(text)
        if not least <= number <= most:
            raise ValueError(f"between {least:g} and {most:g} {unit}")
        return number

    return read


def _interface(text: str) -> str:
    if text and not _INTERFACE.fullmatch(text):
        raise ValueError("not the name of a network interface: see `ip link`")
    return text


def _command(text: str) -> str:
    """No shell reads it: what only a shell understands would be handed on as a word."""
    words = shlex.split(text)
    if words and not words[0].startswith("/"):
        raise ValueError("the program's full path is needed, as /usr/local/bin/call-for-help")
    if shell := [word for word in words if set(word) <= set("|&;<>")]:
        raise ValueError(f"no shell is used, so {shell[0]!r} means nothing: write a script")
    return text


def _id(text: str) -> str:
    if text and not ID.fullmatch(text):
        raise ValueError("1 to 64 letters, digits and hyphens, as `gateway edges add` prints it")
    return text


def _broker(text: str) -> str:
    if "@" in text:
        raise ValueError("name and password have settings of their own")
    if text:
        Link.to(text, edge="")
    return text


_READERS: Mapping[str, Any] = {
    "home": Path,
    "synchronised": _one_of("auto", "yes", "no"),
    "production": _yes_or_no,
    "broker": _broker,
    "second_broker": _broker,
    "id": _id,
    "second_interface": _interface,
    "second_after": _between(5, 600, "seconds"),
    "hook": _command,
    "hook_after": _between(10, 3_600, "seconds"),
    "hook_every": _between(1, 1_440, "minutes"),
    "radio": _yes_or_no,
    "silence": _at_least(5, "seconds"),
    "keep_days": _at_least(3, "days"),
    "spool_mb": _at_least(16, "MB"),
    "log": _one_of("DEBUG", "INFO", "WARNING", "ERROR"),
}
