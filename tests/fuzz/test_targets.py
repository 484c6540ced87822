"""Whatever stands on the wire or in the air, who reads it answers or says why not; nothing else."""

import ast
from typing import Any

import pytest
from hypothesis import given, settings

from adapters import registry
from tests.fuzz import hostile
from tests.fuzz.mutants import mutants
from tests.fuzz.targets import TARGETS, Target

COUNT = 60


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_a_target_withstands(target: Target) -> None:
    @settings(
        max_examples=COUNT,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=hostile.UNHURRIED,
    )
    @given(target.inputs)
    def run(said: Any) -> None:
        for one in (said, *mutants(said, 5)):
            target.withstand(one)

    run()


def test_every_adapter_has_a_target() -> None:
    adapters = {*registry.SERVICE_DATA, *registry.MANUFACTURERS, *registry.CHARACTERISTICS}

    assert {f"adapter_{what}" for what in adapters} < TARGETS.keys()
    families = (*registry.FAMILIES, *registry.PLUGINS)
    assert {f"family_{one.name}" for one in families} < TARGETS.keys()


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(TARGETS["batch"].inputs)
def test_an_input_is_kept_as_a_literal_and_read_back(said: object) -> None:
    assert ast.literal_eval(repr(said)) == said
