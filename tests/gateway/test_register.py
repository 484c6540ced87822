"""A municipality's register from a file: row by row, safe to repeat, taken back as one."""

from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.observation import Kind
from deploy.runtime.services import OneDatabase
from gateway.store.register.lines import ROLES
from gateway.store.register.undo import CannotUndo
from tests.gateway.office import Office, office
from tests.gateway.registers import brought, everything, file, row, taken_back, written_out


@pytest.fixture
async def here(fresh_database: OneDatabase, tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(fresh_database, tmp_path) as made:
        await made.district("Nord")
        await made.district("Syd")
        yield made


def twenty_with_five_mistakes() -> bytes:
    rows = {number: row(number) for number in range(1, 21)}
    rows[3] = row(3, distrikt="Nrod")
    rows[7] = row(7, navn="Inger Holm 010150-1234")
    rows[11] = row(11, rolle="nødkalb")
    rows[14] = row(14, enhed="A4:C1:38:00:01:02")
    rows[18] = row(18, fra="31-02-2026")
    return file(*rows.values())


async def test_of_twenty_homes_five_mistakes_are_told_and_fifteen_placed(here: Office) -> None:
    body = twenty_with_five_mistakes()

    first = await brought(here, body)
    before = await everything(here)
    again = await brought(here, body)

    assert [(one.line, one.column, one.reason) for one in first.outcomes if one.reason] == [
        (4, "distrikt", "distriktet findes ikke; kendte distrikter: Nord, Syd"),
        (8, "navn", "feltet ligner et CPR-nummer, og det må ikke stå her"),
        (
            12,
            "rolle",
            f"»nødkalb« er ingen af: {', '.join(ROLES)}",
        ),
        (15, "enhed", "linje 3 siger noget andet om enhed A4:C1:38:00:01:02"),
        (19, "fra", "den dato eller det klokkeslæt findes ikke"),
    ]
    assert (first.count("new"), first.count("refused")) == (15, 5)
    assert await here.owner.fetchval("SELECT count(*) FROM placement WHERE role = 'call'") == 15
    assert (again.count("same"), again.count("refused"), again.public) == (15, 5, None)
    assert await everything(here) == before


async def test_a_dry_run_says_the_same_and_changes_nothing(here: Office) -> None:
    before = await everything(here)

    said = await brought(here, twenty_with_five_mistakes(), dry_run=True)

    assert (said.count("new"), said.count("refused"), said.public) == (15, 5, None)
    assert await everything(here) == before
    assert said.outcomes == (await brought(here, twenty_with_five_mistakes())).outcomes


async def test_nothing_of_a_name_or_an_address_is_readable_in_the_database(here: Office) -> None:
    await brought(here, file(row(1), row(2, boks="ny")))
    await brought(here, file(row(1, adresse="Havnegade 8")))

    kept = [
        str(tuple(one))
        for table in ("identity.citizen", "import", "import_change", "access_log")
        for one in await here.owner.fetch(f"SELECT * FROM {table}")  # noqa: S608 - our words
    ]

    assert len(kept) > 10
    for word in ("Borger Nummer", "Skovvej", "Havnegade", "12 34", "Nøgleboks", "Datter"):
        assert not [one for one in kept if word in one]


async def test_what_differs_is_changed_and_an_empty_field_changes_nothing(here: Office) -> None:
    await brought(here, file(row(1), row(2)))

    done = await brought(here, file(row(1, navn="", adresse="Havnegade 8", rum="Entré"), row(2)))

    now = await everything(here)
    assert [one.state for one in done.outcomes] == ["changed", "same"]
    assert now["identity"][0]["name"] == "Borger Nummer 1"
    assert now["identity"][0]["address"] == "Havnegade 8"
    assert now["placement"][0][4] == "Entré"


async def test_an_import_is_taken_back_as_one_and_only_once(here: Office) -> None:
    await brought(here, file(row(1), row(2)))
    before = await everything(here)
    here.clock.pass_(hours=1)
    done = await brought(here, file(row(1, adresse="Havnegade 8"), row(3, boks="ny")))
    assert len(done.codes) == 1
    assert await everything(here) != before

    await taken_back(here, done.public)

    assert await everything(here) == before
    with pytest.raises(CannotUndo, match="allerede fortrudt"):
        await taken_back(here, done.public)


async def test_what_was_changed_since_is_not_taken_back_nor_is_anything_else(here: Office) -> None:
    first = await brought(here, file(row(1), row(2)))
    await brought(here, file(row(2, navn="Inger Holm")))
    before = await everything(here)

    with pytest.raises(CannotUndo, match="linje 3 skrev, er ændret siden"):
        await taken_back(here, first.public)

    assert await everything(here) == before


async def test_a_placement_that_called_for_help_stays(here: Office) -> None:
    done = await brought(here, file(row(1)))
    device = await here.owner.fetchval("SELECT id FROM device")
    here.clock.pass_(minutes=5)
    await here.owner.execute(
        "INSERT INTO observation VALUES ($1, $2, $3, $3, 0, NULL, NULL, 0, 1)",
        device,
        int(Kind.CALL_PRESSED),
        here.clock.now(),
    )

    with pytest.raises(CannotUndo, match="Enheden på linje 2 har kaldt siden"):
        await taken_back(here, done.public)
    refused = await brought(here, file(row(1, til="02-03-2026 21:02")))

    assert refused.outcomes[0].reason.startswith("enheden kaldte senere, kl. 21:05")


@pytest.mark.parametrize(
    ("said", "column", "reason"),
    [
        ({"navn": ""}, "navn", "feltet er tomt, og borgeren er ny"),
        ({"hjemmel": ""}, "hjemmel", "feltet er tomt, men rækken har en enhed"),
        ({"enhed": ""}, "enhed", "feltet er tomt, men rolle er udfyldt"),
        ({"enhed": "A4:C1"}, "enhed", "det er ikke en adresse som A4:C1:38:00:00:01"),
        ({"boks": "box-unknown"}, "boks", "den boks findes ikke, eller den er taget ud af drift"),
        ({"fra": "03-03-2026"}, "fra", "tidspunktet er ikke kommet endnu"),
        ({"fra": "i går"}, "fra", "det er ikke en dato som 24-11-2026 eller 24-11-2026 08:30"),
        ({"fra": "01-02-2026", "til": "01-01-2026"}, "til", "slutningen ligger før begyndelsen"),
        ({"borger": "0101501234"}, "borger", "feltet ligner et CPR-nummer, og det må ikke stå her"),
        ({"navn": "x" * 101}, "navn", "højst 100 tegn"),
        ({"bolig": ""}, "bolig", "feltet er tomt"),
    ],
)
async def test_a_refusal_names_the_column_and_why(
    here: Office, said: dict[str, str], column: str, reason: str
) -> None:
    done = await brought(here, file(row(1, **said)))

    assert [(one.state, one.column, one.reason) for one in done.outcomes] == [
        ("refused", column, reason)
    ]
    assert not any((await everything(here)).values())


async def test_a_device_that_is_placed_with_somebody_else_is_refused(here: Office) -> None:
    await brought(here, file(row(1)))

    done = await brought(here, file(row(2, enhed="a4c138000101")))

    assert done.outcomes[0].reason == (
        "enheden er placeret hos en anden borger siden kl. 21:00 den 2. marts"
    )


async def test_a_device_moves_on_with_its_period(here: Office) -> None:
    await brought(here, file(row(1, fra="01-02-2026 08:00")))
    await brought(here, file(row(1, fra="01-02-2026 08:00", til="15-02-2026")))

    done = await brought(here, file(row(2, enhed="A4:C1:38:00:01:01", fra="15-02-2026")))

    assert [one.state for one in done.outcomes] == ["new"]
    stays = (await everything(here))["placement"]
    assert stays[0][7] == stays[1][6] == datetime.fromisoformat("2026-02-15T00:00+01:00")


async def test_the_file_that_is_written_out_changes_nothing_when_read_again(here: Office) -> None:
    await here.flat(name="=SUM(A1)", phone="+45 12 34 56 78")
    await brought(here, file(row(1), row(2, navn='Anne "Ann", Holm', boks="ny"), row(3)))
    before = await everything(here)

    body, citizens = await written_out(here)
    again = await brought(here, body)

    assert len(citizens) == 4
    assert [(one.state, one.reason) for one in again.outcomes] == [("same", "")] * 4
    assert await everything(here) == before
    assert b"'=SUM" in body


Rows = list[tuple[int, dict[str, str]]]
_NUMBERS = st.integers(1, 3)
_ROWS = st.lists(
    st.tuples(
        _NUMBERS,
        st.fixed_dictionaries(
            {},
            optional={
                "distrikt": st.sampled_from(["Nord", "Syd", "Vest"]),
                "bolig": st.sampled_from(["B1", "B2", "B9"]),
                "navn": st.sampled_from(["", "Inger", "Bent Å", "010150-1234"]),
                "adresse": st.sampled_from(["", "Havnegade 8"]),
                "boks": st.sampled_from(["", "ny", "box-1"]),
                "enhed": st.sampled_from(["", "A4:C1:38:00:01:01", "A4:C1:38:00:01:09"]),
                "rolle": st.sampled_from(["nødkald", "dør", ""]),
                "hjemmel": st.sampled_from(["samtykke", "SEL-128b"]),
                "fra": st.sampled_from(["", "01-02-2026", "2026-02-01 12:30"]),
                "til": st.sampled_from(["", "", "20-02-2026"]),
            },
        ),
    ),
    max_size=5,
)


@pytest.mark.slow
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(first=_ROWS, second=_ROWS)
async def test_twice_changes_nothing_and_undone_is_as_before(
    here: Office, first: Rows, second: Rows
) -> None:
    transaction = here.owner.transaction()
    await transaction.start()
    try:
        await here.owner.execute(
            "INSERT INTO edge (municipality, name, join_hash) "
            "VALUES ($1, 'box-1', '\\x00') ON CONFLICT DO NOTHING",
            await here.municipality(),
        )
        await brought(here, file(*(row(number, **said) for number, said in first)))
        before = await everything(here)
        here.clock.pass_(minutes=1)

        body = file(*(row(number, **said) for number, said in second))
        done = await brought(here, body)
        after = await everything(here)
        again = await brought(here, body)

        assert {one.state for one in again.outcomes} <= {"same", "refused"}
        assert [one.line for one in again.outcomes if one.state == "refused"] == [
            one.line for one in done.outcomes if one.state == "refused"
        ]
        assert await everything(here) == after
        if done.public:
            await taken_back(here, done.public)
        assert await everything(here) == before
    finally:
        await transaction.rollback()
