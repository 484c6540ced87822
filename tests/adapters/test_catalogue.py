"""The catalogue says of every kind what it means, once."""

import re

import pytest

from adapters.bthome_objects import FIELDS
from adapters.catalogue import CATALOGUE, Meaning
from adapters.dispenser import EVENTS
from adapters.observation import Kind

# base units and prefixes that occur in the catalogue, by https://ucum.org
UCUM = re.compile(
    r"1|%|Cel|deg(/s)?|lx|hPa|\[ppm\]|ug/m3|uS/cm|m{1,2}|m/s2?|kg|kW\.h|W|A|V|L|m3(/h)?|s|/min"
    r"|mm\[Hg\]|kg/m2|kJ(/d)?|Ohm|mmol/L(/min)?"
)


def test_every_kind_has_its_row() -> None:
    assert set(CATALOGUE) == set(Kind)


def test_the_numbers_of_kinds_are_stored_and_stay() -> None:
    assert [kind.value for kind in (Kind.MOTION, Kind.BUTTON, Kind.DOSES_LEFT)] == [1, 6, 41]
    assert [kind.value for kind in (Kind.UNKNOWN_EVENT, Kind.VIBRATION)] == [42, 101]
    assert len({kind.value for kind in Kind}) == len(Kind)


@pytest.mark.parametrize("meaning", CATALOGUE.values(), ids=lambda meaning: meaning.name)
def test_a_row_is_whole(meaning: Meaning) -> None:
    assert re.fullmatch(r"[a-z0-9_]+", meaning.name)
    assert meaning.danish.strip() == meaning.danish != ""
    assert (meaning.value == "number") == (meaning.unit is not None)
    assert meaning.unit is None or UCUM.fullmatch(meaning.unit)
    assert meaning.low is None or meaning.high is None or meaning.low < meaning.high
    assert meaning.scaip is None or all(re.fullmatch(r"\d{4}", code) for code in meaning.scaip)
    assert meaning.loinc is None or re.fullmatch(r"\d+-\d", meaning.loinc)


def test_no_two_kinds_have_the_same_words() -> None:
    words = [meaning.danish for meaning in CATALOGUE.values()]

    assert len(set(words)) == len(words)


def test_both_ends_of_a_range_are_plausible() -> None:
    battery = CATALOGUE[Kind.BATTERY]

    assert [battery.plausible(value) for value in (-1, 0, 100, 101)] == [False, True, True, False]
    assert CATALOGUE[Kind.COUNT].plausible(1e12)


def test_every_object_of_bthome_and_every_event_of_the_dispenser_has_a_meaning() -> None:
    kinds = {field.kind for field in FIELDS.values()} | set(EVENTS.values())

    assert kinds <= set(CATALOGUE)
