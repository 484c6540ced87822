"""Our own danger has its own lint: a read outside `asking`, or one that no index serves."""

import inspect
import re
from collections.abc import Iterator
from types import ModuleType

import pytest

from gateway.reads import alerts, devices, edges, homes, live
from gateway.store.caller import Caller
from gateway.store.pool import Pool

ROOMS = (alerts, devices, edges, homes)
BEFORE_ASKING = {"_WHOSE": "whose alerts they are, in numbers: only those are asked for"}


def statements() -> Iterator[tuple[str, str, str]]:
    for room in (*ROOMS, live):
        for name, value in vars(room).items():
            if isinstance(value, str) and re.search(r"\bFROM\b", value):
                yield room.__name__, name, value


@pytest.mark.parametrize(("room", "name", "statement"), list(statements()))
def test_every_statement_keeps_to_the_callers_municipality(
    room: str, name: str, statement: str
) -> None:
    if name not in BEFORE_ASKING:
        assert re.search(r"municipality = \$1", statement), f"{room}.{name}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_read_takes_the_caller_and_a_transaction_that_was_begun_for_them(
    room: ModuleType,
) -> None:
    for name, read in inspect.getmembers(room, inspect.iscoroutinefunction):
        if read.__module__ == room.__name__:
            kinds = [each.annotation for each in inspect.signature(read).parameters.values()]
            assert Caller in kinds, name
            assert Pool not in kinds, f"{name} could read outside `asking`"


def test_the_lint_sees_the_statements() -> None:
    assert len(list(statements())) >= 12
