"""A database of an operator's own, whose owner may not do everything there."""

from pathlib import Path

import asyncpg
import pytest

from deploy.runtime.services import Database
from gateway.store.migrate import migrate

STAGES = ("trygport_ingest", "trygport_watch", "trygport_notify", "trygport_api")


@pytest.mark.slow
async def test_an_owner_who_is_no_superuser_can_migrate_as_the_readme_says(tmp_path: Path) -> None:
    cluster = Database.start(tmp_path / "cluster")
    try:
        cluster.execute("CREATE ROLE trygport_owner LOGIN CREATEROLE")
        cluster.execute("CREATE DATABASE theirs OWNER trygport_owner")
        cluster.execute("CREATE EXTENSION timescaledb", database="theirs")

        assert await migrate(cluster.dsn("theirs", user="trygport_owner"))

        for stage in STAGES:
            db = await asyncpg.connect(cluster.dsn("theirs", user=stage))
            assert await db.fetchval("SELECT count(*) FROM edge") == 0
            await db.close()
    finally:
        cluster.stop()
