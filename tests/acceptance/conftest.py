"""One centre for all tests that break nothing; those that do start their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.runtime.database import Database
from tests.acceptance.home import Centre


@pytest.fixture(scope="session")
def centre(database: Database, service_folder: Path) -> Iterator[Centre]:
    """Broker, database and gateway for the whole run: use homes of your own, and break nothing."""
    started = Centre.start(service_folder / "centre", database=database, nurses=True)
    yield started
    started.stop()


@pytest.fixture
def own_centre(tmp_path: Path) -> Iterator[Centre]:
    """A centre of the test's own, with its own broker and cluster: to be killed."""
    started = Centre.start(tmp_path / "centre")
    yield started
    started.stop()
