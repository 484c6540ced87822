"""Our own danger has its own lint: a read that could show another district's rows fails here."""

import inspect
import re
from collections.abc import Iterator
from types import ModuleType

import pytest

from gateway.reads import alerts, devices, homes, live
from gateway.store.caller import Caller

ROOMS = (alerts, devices, homes, live)

BY_NUMBER = {
    "_FINDINGS": "of alerts that were read for this caller",
    "_MOVES": "of alerts that were read for this caller",
    "_SLOTS": "of placements that were read for this caller",
    "_WHICH": "spread by Listener.may_hear, which asks the caller of each stream",
}
"""Statements that need no district, and why."""


def statements() -> Iterator[tuple[str, str, str]]:
    for room in ROOMS:
        for name, value in vars(room).items():
            if isinstance(value, str) and re.search(r"\bFROM\b", value):
                yield room.__name__, name, value


@pytest.mark.parametrize(("room", "name", "statement"), list(statements()))
def test_every_statement_keeps_to_the_callers_municipality_and_districts(
    room: str, name: str, statement: str
) -> None:
    if name != "_WHICH":
        assert re.search(r"municipality = \$1", statement), f"{room}.{name}"
    if name not in BY_NUMBER:
        assert re.search(r"district( IS NULL OR \w+\.district)? = ANY \(\$2\)", statement), name


@pytest.mark.parametrize("room", ROOMS)
def test_every_read_takes_the_caller(room: ModuleType) -> None:
    for name, read in inspect.getmembers(room, inspect.iscoroutinefunction):
        if read.__module__ == room.__name__ and not name.startswith("_"):
            parameters = inspect.signature(read).parameters.values()
            assert Caller in [parameter.annotation for parameter in parameters], name


def test_the_lint_sees_the_statements() -> None:
    assert len(list(statements())) >= 12
