"""Holds for every test: no task is left running; the real broker and database, shared."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis.configuration
import pytest

from deploy.runtime.paths import ROOT, RUNTIME
from deploy.runtime.services import Broker, Database, OneDatabase, scratch_folder
from gateway.store.migrate import migrate

GATEWAY_PASSWORD = "the gateway's, in tests"  # noqa: S105 -- opens a broker that lives for one test run
BOXES = tuple(f"box-{number:02}" for number in range(1, 21))
"""Boxes that the shared broker knows; the password of each is its name."""

TEMPLATE = "migrated"
SLOW, LONG = 300, 600
"""Seconds that a test so marked may take instead of the usual 20."""

hypothesis.configuration.set_hypothesis_home_dir(RUNTIME / "cache" / "hypothesis")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked long as well")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        # a worker of xdist ignores Ctrl-C, and what it starts would inherit that
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        if "timeout" not in marks and "long" in marks:
            item.add_marker(pytest.mark.timeout(LONG))
        elif "timeout" not in marks and "slow" in marks:
            item.add_marker(pytest.mark.timeout(SLOW))
    if not config.getoption("--long"):
        left_out = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if not item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(autouse=True)
async def no_task_is_left_running() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    for task in left:
        task.cancel()

    assert not left


@pytest.fixture(scope="session")
def service_folder() -> Iterator[Path]:
    """Where this run's services keep their files; gone afterwards, also after a crash."""
    with scratch_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def broker(service_folder: Path) -> Iterator[Broker]:
    """A real Mosquitto for the whole run: do not stop it, and use topics of your own box."""
    gateway = dict.fromkeys(("gateway-urgent", "gateway-bulk", "gateway-config"), GATEWAY_PASSWORD)
    started = Broker.start(
        service_folder / "broker", passwords={**gateway, **{box: box for box in BOXES}}
    )
    yield started
    started.stop()


@pytest.fixture(scope="session")
def database(service_folder: Path) -> Iterator[Database]:
    """A real TimescaleDB for the whole run, its database `migrated` on the newest schema."""
    started = Database.start(service_folder / "database")
    template = started.create(TEMPLATE)
    asyncio.run(migrate(template.dsn()))
    yield started
    started.stop()


@pytest.fixture
def fresh_database(database: Database) -> Iterator[OneDatabase]:
    """A database of the test's own on the newest schema, dropped afterwards."""
    made = database.create(f"test_{secrets.token_hex(6)}", template=TEMPLATE)
    yield made
    database.drop(made.name)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The recorded data that lie beside the checkout, not in it."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the recorded data are not beside the checkout (../shared)")
    return folder
