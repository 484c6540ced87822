"""Every command of the gateway says in a sentence that the schema is not there yet."""

from collections.abc import Iterator

import pytest

from deploy.runtime.services import Database, OneDatabase
from gateway.main import COMMANDS, WRONG_SCHEMA
from tests.gateway.test_main import gateway

_PEOPLE = ("add", "--municipality", "By", "--login", "anna", "--role", "staff")
WORDS = {
    "begin": (),
    "people": _PEOPLE,
    "edges": ("list",),
    "audit": ("verify",),
    "restored": (),
    "reread": (),
    "seal": (),
    "register": ("export",),
    "walk": ("box-1",),
}
WITHOUT = frozenset({"authority"})
"""Commands that have nothing to ask the database."""


@pytest.fixture(scope="module")
def empty(database: Database) -> Iterator[OneDatabase]:
    made = database.create("never_migrated")
    yield made
    database.drop(made.name)


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - WITHOUT))
def test_before_it_is_migrated_a_command_says_so(command: str, empty: OneDatabase) -> None:
    done = gateway(
        command, *WORDS[command], database_owner=empty.dsn(), database=empty.address, log="ERROR"
    )

    assert (done.returncode, done.stdout) == (WRONG_SCHEMA, ""), done.stderr
    assert "Run `gateway migrate` first." in done.stderr
    assert len(done.stderr.splitlines()) == 1
