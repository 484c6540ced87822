"""A provider that is a process of its own, and an office whose people sign in there."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from deploy.runtime.services import OneDatabase
from tests.gateway.office import Office
from tests.gateway.provided import NURSE, Provided, office_at, provider


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provided]:
    with provider(tmp_path_factory.mktemp("provider")) as started:
        yield started


@pytest.fixture
async def there(process: Provided) -> Provided:
    await process.world(claims=NURSE)
    return process


@pytest.fixture
async def here(
    there: Provided, fresh_database: OneDatabase, tmp_path: Path
) -> AsyncGenerator[Office]:
    async with office_at(there, fresh_database, tmp_path) as made:
        yield made
