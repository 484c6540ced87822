"""What grows is measured and drawn, and a country that comes back loses nothing."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree.ElementTree import fromstring

import asyncpg
import pytest

from deploy.runtime.services import OneDatabase
from deploy.world.bench import making
from deploy.world.bench.filling import add_rows, add_streams
from deploy.world.bench.load import Shape
from deploy.world.bench.picture import picture
from deploy.world.bench.table import Column, table
from tests.world.test_bench_ingest import bench

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
_HOME = """
    INSERT INTO municipality (name) VALUES ('Prøvekommune');
    INSERT INTO district (municipality, name) VALUES (1, 'Nord');
    INSERT INTO home (municipality, district) VALUES (1, 1);
    INSERT INTO citizen (municipality, district, home) VALUES (1, 1, 1);
    INSERT INTO edge (municipality, name, home) VALUES (1, 'bench-000000', 1);
    INSERT INTO device (municipality, address) VALUES (1, 'C0:BE:00:00:00:00');
    INSERT INTO placement (municipality, device, citizen, role, "from")
    VALUES (1, 1, 1, 'motion', '2020-01-01');
"""


@dataclass(frozen=True, slots=True)
class Measured:
    observations_per_s: int
    p99_ms: float | None


@pytest.mark.long
async def test_a_country_comes_back_in_turns_and_loses_neither_telemetry_nor_a_call() -> None:
    words = ("--homes", "60", "--connected", "20", "--boxes", "4", "--presses", "20")

    figures = await bench("outage", *words, "--seconds", "4")

    assert (figures["lost"], figures["duplicated"]) == (0, 0)
    assert figures["connected"] == 24
    assert figures["backlog"] == pytest.approx(60 * 380, rel=0.1)
    assert figures["calls"]["presses"] == 20
    assert figures["complaints"] == 0


@pytest.mark.long
async def test_every_size_is_a_point_with_a_rate_and_a_latency(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    drawn = tmp_path_factory.mktemp("growth") / "growth.svg"
    words = ("--homes", "40", "--rows", "20000", "--streams", "500", "--picture", str(drawn))

    figures = await bench("growth", *words, "--seconds", "2")

    first, second, third = figures["points"]
    assert (first["homes"], second["homes"], third["homes"]) == (40, 50, 60)
    assert second["rows"] >= 20_000
    assert third["streams"] >= 500
    assert all(point["lost"] == 0 < point["observations_per_s"] for point in figures["points"])
    assert fromstring(drawn.read_text()).tag.endswith("svg")  # noqa: S314 - our own
    assert figures["complaints"] == 0


def test_a_point_is_drawn_higher_the_more_there_is() -> None:
    steps = {"homes": [(100, Measured(10, 5.0)), (100_000, Measured(20, 5.0))]}

    drawn = fromstring(picture(steps))  # noqa: S314 - our own

    dots = [one for one in drawn.iter() if one.tag.endswith("circle")]
    (low, high, *_) = [float(dot.attrib["cy"]) for dot in dots]
    assert len(dots) == 4
    assert high < low
    assert {"100", "100k"} <= {one.text for one in drawn.iter() if one.tag.endswith("text")}


def test_a_scale_begins_at_zero_and_is_the_same_for_all_that_grew() -> None:
    steps = {
        "homes": [(100, Measured(50_589, 44.6)), (160_000, Measured(61_249, 36.1))],
        "streams": [(4_000_000, Measured(30_000, 12.0))],
    }

    drawn = fromstring(picture(steps))  # noqa: S314 - our own

    said = [one.text for one in drawn.iter() if one.tag.endswith("text")]
    assert said.count("0") == 4
    assert said.count("60,000") == said.count("40") == 2
    assert {"observations/s", "ms", "1M", "10M", "50,589", "44.6"} <= set(said)


def test_a_point_that_nobody_was_called_at_has_no_place_in_the_picture() -> None:
    drawn = fromstring(picture({"rows": [(1, Measured(0, None))], "streams": []}))  # noqa: S314 - our own

    assert len([one for one in drawn.iter() if one.tag.endswith("circle")]) == 1


def test_points_are_lines_whose_figures_stand_under_their_titles() -> None:
    columns = (Column("homes", "homes", 9), Column("p99_ms", "p99 ms", 6, decimals=1))

    said = table(columns, [{"homes": 160_000, "p99_ms": 44.61}, {"homes": 100, "p99_ms": None}])

    assert said.splitlines() == [
        "    homes  p99 ms",
        "  160,000    44.6",
        "      100       -",
    ]


def test_boxes_that_are_connected_in_turns_have_their_batches_made_in_turns() -> None:
    load = Shape(homes=5, frames=4, frames_a_message=2, until=0, run="turns")

    pipe = b"".join(making.made(load, 0, 1, 2))

    homes = [home for home, _ in making.records(pipe)[0]]
    assert homes == [0, 1, 0, 1, 2, 3, 2, 3, 4, 4]


async def test_a_store_is_filled_to_a_size_and_not_beyond(fresh_database: OneDatabase) -> None:
    db = await asyncpg.connect(fresh_database.dsn())
    try:
        await db.execute(_HOME)

        for _ in range(2):
            await add_rows(fresh_database.dsn(), 1_000, until=NOW, say=lambda _: None)
            await add_streams(fresh_database.dsn(), 30)

        counts = Counter(
            {
                table: await db.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - our own names
                for table in ("observation", "stream", "watched")
            }
        )
        latest = await db.fetchval("SELECT max(occurred) FROM observation")
    finally:
        await db.close()
    assert counts == {"observation": 1_000, "stream": 30, "watched": 30}
    assert latest < NOW
