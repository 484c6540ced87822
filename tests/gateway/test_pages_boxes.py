"""The pages of the boxes tell a technician in plain Danish how they fare, whatever they say."""

import json
import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.runtime.services import OneDatabase
from gateway.reads.box_events import Happened
from gateway.reads.edges import Edge
from gateway.store.cards import TROUBLES
from gateway.store.events import WORDS
from gateway.web.box import line
from gateway.web.box_words import SENTENCES, lasting, sentence
from gateway.web.boxes import TROUBLE, fares, faults
from tests.gateway.desks import Desk, desk, links

NOW = datetime(2026, 3, 2, 20, tzinfo=UTC)
THINNED = "1200 målinger blev kasseret, de ældste først, for der var ikke plads til dem."
DENIED = " men det blev afvist: Denied."
EDGE = Path(__file__).parents[2] / "edge"
SUBJECTS = "radio|device|spool|storage|line|clock|config|certificate"
WORD = re.compile(rf'"((?:{SUBJECTS})\.[a-z_]+)"')
FILES = {"spool.sqlite", "config.json"}


@pytest.fixture
async def here(emptied: OneDatabase, tmp_path: Path) -> AsyncGenerator[Desk]:
    async with desk(emptied, tmp_path) as made:
        yield made


def box(**said: Any) -> Edge:
    nothing = dict[str, Any].fromkeys(Edge.__dataclass_fields__)
    numbers: dict[str, Any] = dict.fromkeys(
        ("missing", "holes", "given_up", "card_early", "card_given_up"), 0
    )
    fields: dict[str, Any] = nothing | {"name": "box-1"} | numbers | said
    return Edge(**fields)


@pytest.mark.parametrize(
    ("said", "well", "wrong"),
    [
        ({}, "", []),
        ({"reader": "hearing", "mode": "active", "room_days": 42}, "Plads til 42 dage", []),
        ({"mode": "passive", "room_days": 60}, "Lytter passivt, plads til 60 dage", []),
        ({"reader": "off"}, "Radioen er slået fra", []),
        ({"reader": "silent"}, "", ["radioen hører ingenting"]),
        ({"path": 2}, "", ["bruger reserveforbindelsen"]),
        ({"room_days": 1}, "Plads til 1 dag", ["kun plads til 1 dag"]),
        ({"trouble": "storage_failed"}, "", ["hukommelseskortet fejler: skift det"]),
        ({"trouble": "card_full"}, "", ["hukommelseskortet er fuldt"]),
        ({"trouble": "of_tomorrow"}, "", ["boksen melder fejl: of_tomorrow"]),
        (
            {"refused": "config.calls: not a list"},
            "",
            ["følger ikke den nyeste opsætning, men den forrige: config.calls: not a list"],
        ),
        ({"reader": "asleep", "mode": "dozing"}, "Radio: asleep, lytter: dozing", []),
    ],
)
def test_what_a_box_says_is_told_in_danish(
    said: dict[str, Any], well: str, wrong: list[str]
) -> None:
    assert (fares(box(**said)), faults(box(**said), NOW, 3)) == (well, wrong)


async def test_words_of_tomorrow_do_not_break_the_page(here: Desk) -> None:
    flat = await here.flat("Nord")
    await here.here.owner.execute(
        "INSERT INTO edge (municipality, name, home) VALUES ($1, 'box-odd', $2)",
        flat.municipality,
        flat.home,
    )
    await here.here.owner.execute(
        "INSERT INTO edge_card (municipality, edge, at, mode, room_days, path, trouble) "
        "SELECT municipality, id, $1, 'dozing', 3, 3, '<b>odd</b>'"
        " FROM edge WHERE name = 'box-odd'",
        here.here.clock.now(),
    )
    technician = await here.person("technician", "Nord")

    page = await technician.opens("/bokse")

    assert "Boksen melder fejl: <b>odd</b>." in page.text
    assert "Bruger reserveforbindelsen." in page.text
    assert "Kun plads til 3 dage." in page.text


def event(word: str, **details: Any) -> Happened:
    at = datetime(2026, 3, 2, 18, 47, 12, tzinfo=UTC)
    return Happened(number=1, occurred=at, received=at, clock=0, word=word, details=details)


def test_each_word_that_a_box_says_has_a_danish_sentence() -> None:
    said = {word for file in EDGE.rglob("*.py") for word in WORD.findall(file.read_text())}

    assert len(said) > 10
    assert said - FILES <= WORDS
    assert set(SENTENCES) == WORDS
    assert set(TROUBLE) == TROUBLES


@pytest.mark.parametrize(
    ("happened", "text"),
    [
        (event("radio.silent"), "Radioen hører ingenting."),
        (event("radio.silent", trouble="no_adapter"), "Radioen hører ingenting: den er der ikke."),
        (
            event("radio.hearing", healed_by="power_cycle", silent_seconds=300.4),
            "Radioen hører igen efter 5 min: radioen blev slukket og tændt.",
        ),
        (
            event("radio.reboot", trouble="silent", refused="Denied"),
            "Hele boksen blev genstartet for at få radioen til at høre," + DENIED,
        ),
        (event("radio.mode", mode="passive", why="tried"), "Radioen lytter passivt."),
        (
            event("device.silent", device="A4:C1:38:00:00:01", silent_seconds=14_400),
            "Enheden A4:C1:38:00:00:01 er tavs på 4 t.",
        ),
        (event("device.heard", device="…"), "En enhed høres igen."),
        (
            event("device.clock_set", device="A4:C1:38:00:00:01", ahead_seconds=-7_300),
            "Enheden A4:C1:38:00:00:01 fik sit ur stillet; det var 2 t bagud.",
        ),
        (
            event("spool.thinned", frames=1200, unsaid=3),
            f"{THINNED} Det skete 3 gange mere, end der står her.",
        ),
        (
            event("storage.failed", trouble="card_full"),
            "Hukommelseskortet tager ikke imod: det er fuldt.",
        ),
        (
            event("line.second_path", waited=31, waiting=2),
            "Boksen skiftede til reserveforbindelsen efter 31 s.",
        ),
        (
            event("line.hook", said="waiting", seconds=60, calls=1, code=0, failed=None),
            "Et kald kom ikke igennem, og boksen gav besked på stedet.",
        ),
        (
            event("line.hook", said="over", seconds=0, calls=0, code=None, failed="timeout"),
            (
                "Kaldene er kommet igennem, og boksen gav besked på stedet, men det lykkedes ikke:"
                " programmet blev ikke færdigt."
            ),
        ),
        (event("clock.stepped", seconds=-259_200), "Boksens ur blev stillet 3 døgn tilbage."),
        (
            event("config.refused", field="config.calls", why="not a list"),
            (
                "Boksen følger ikke den nyeste opsætning, men den forrige;"
                " den kunne ikke bruge config.calls."
            ),
        ),
        (
            event("certificate.not_renewed", code=4),
            "Boksens certifikat blev ikke fornyet: ingen svarede. Boksen prøver igen.",
        ),
        (event("of.tomorrow", a=1, b="c"), "of.tomorrow (a: 1, b: c)"),
        (event("of.tomorrow"), "of.tomorrow"),
    ],
)
def test_what_happened_is_a_sentence(happened: Happened, text: str) -> None:
    assert sentence(happened) == text


@pytest.mark.parametrize("odd", [None, True, "x", 10**400, -1, 1.5, "<b>"])
def test_no_detail_breaks_a_sentence(odd: Any) -> None:
    names = "trouble refused mode device healed_by frames waited seconds first unsaid failed"
    details = dict.fromkeys([*names.split(), "silent_seconds", "ahead_seconds"], odd)

    for word in SENTENCES:
        assert sentence(event(word, **details))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 t"), (172_800, "2 døgn")],
)
def test_a_time_is_as_long_as_one_says_it(seconds: float, text: str) -> None:
    assert lasting(seconds) == text


def test_a_device_is_told_of_to_the_hour() -> None:
    assert line(event("radio.silent"), NOW).time == "Kl. 19:47"
    assert line(event("device.silent"), NOW).time == "I timen fra kl. 19:47"


async def test_a_technician_is_led_to_what_happened_to_a_box_and_a_planner_is_not(
    here: Desk,
) -> None:
    flat = await here.flat("Nord")
    await here.here.owner.execute(
        "INSERT INTO edge (municipality, name, home) VALUES ($1, 'box-led', $2)",
        flat.municipality,
        flat.home,
    )
    for word in ("radio.silent", "of.<b>tomorrow</b>", "device.silent"):
        await here.here.owner.execute(
            "INSERT INTO box_event (municipality, edge, occurred, received, clock, word)"
            " SELECT municipality, id, $1, $1, 0, $2 FROM edge WHERE name = 'box-led'",
            here.here.clock.now(),
            word,
        )
    technician = await here.person("technician", "Nord")
    planner = await here.person("planner", "Nord")

    assert "/bokse/box-led" in links(await technician.opens("/bokse"))
    assert "/bokse/box-led" not in links(await planner.opens("/bokse"))
    page = await technician.opens("/bokse/box-led")
    for words in ("Radioen hører ingenting.", "of.<b>tomorrow</b>", "En enhed er tavs."):
        assert words in page.text
    assert ("box_events.seen", flat.citizen) in await here.logged()
    gone = await technician.client.get("/bokse/box-none")
    assert gone.status_code == 404
    refused = await planner.client.get("/bokse/box-led")
    assert refused.status_code == 403


async def test_a_technician_asks_a_box_what_is_in_the_air_and_reads_the_answer(here: Desk) -> None:
    flat = await here.flat("Nord")
    await here.here.owner.execute(
        "INSERT INTO edge (municipality, name, home) VALUES ($1, 'box-air', $2)",
        flat.municipality,
        flat.home,
    )
    technician, colleague = [await here.person("technician", "Nord") for _ in range(2)]

    status, waiting = await technician.sends(
        await technician.opens("/bokse/box-air"), "/bokse/box-air/luften"
    )
    public = await here.here.owner.fetchval("SELECT max(public::text) FROM command")
    found = [
        {"address": f"C4:7C:8D:6A:3E:0{number}", "address_type": "random", "rssi": -60 - number}
        | {"companies": [76] * number, "services": ["fcd2"] * number, "times": number + 1}
        for number in (0, 1)
    ]
    await here.here.owner.execute(
        "UPDATE command SET answered = asked, found = $1::text::jsonb", json.dumps(found)
    )
    answer = await technician.opens(f"/bokse/box-air/luften/{public}")

    assert status == 200
    assert "Boksen er spurgt." in waiting.text
    assert "C4:7C:8D:6A:3E:00" in answer.text
    assert "styrke -60 dBm, hørt 1 gang, skiftende adresse" in answer.text
    assert (
        "styrke -61 dBm, hørt 2 gange, skiftende adresse, firma 004C, tjenester fcd2" in answer.text
    )
    other = await colleague.client.get(f"/bokse/box-air/luften/{public}")
    assert other.status_code == 404
    assert "C4:7C" not in other.text
    assert ("box.discovered", flat.citizen) in await here.logged()
