"""CODE is read however it was typed, and a mistyped one is told before anything is sent."""

import random
import re
import string
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edges.code import BadCode, Code, label, make, parse, read_as
from gateway.store.secrets import CROCKFORD, new_code_secret

FINGERPRINT = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
CODE = make("gateway.example:8444", "0123456789AB", FINGERPRINT)


def test_a_code_is_as_the_box_expects_it() -> None:
    assert CODE == "gateway.example:8444/0123-4567-89AB-04HM-ASW9-NF6Y-Y093-S6KK"
    parts = ("gateway.example:8444", "0123456789AB", FINGERPRINT[:20])
    assert parse(CODE) == Code(address=parts[0], secret=parts[1], fingerprint=parts[2])


@pytest.mark.parametrize(
    "typed",
    [
        CODE.lower(),
        CODE.upper(),
        CODE.replace("-", ""),
        f"  {CODE}\n",
        CODE.replace("-", " "),
        CODE.partition("/")[0] + "/" + CODE.partition("/")[2].replace("1", "l").replace("0", "o"),
        CODE.partition("/")[0] + "/" + CODE.partition("/")[2].replace("1", "I").replace("0", "O"),
    ],
)
def test_case_dashes_and_letters_that_look_alike_do_not_matter(typed: str) -> None:
    assert parse(typed) == parse(CODE)


def test_ten_thousand_slips_are_told_as_mistyped() -> None:
    """A wrong letter, two swapped, one left out or put in: one in a million goes through."""
    chance, through = random.Random(7), 0  # noqa: S311 - the same every time
    for _ in range(10_000):
        slip = slipped(CODE, chance)
        try:
            through += parse(slip) != parse(CODE)
        except BadCode:
            continue
    assert through == 0


def slipped(code: str, chance: random.Random) -> str:
    at = chance.randrange(len(code) - 1)
    before, after = code[:at], code[at + 1 :]
    return chance.choice(
        (
            before + chance.choice(CROCKFORD) + after,
            before + after,
            before + chance.choice(CROCKFORD) + code[at] + after,
            before + code[at + 1] + code[at] + code[at + 2 :],
        )
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a:1/",
        "gateway.example/" + CODE.partition("/")[2],
        CODE.replace(":8444", ":0"),
        CODE.replace(":8444", ":99999"),
        CODE.replace("gateway.", "gate way!"),
        "x" * 100_000,
        CODE + "\x00",
        CODE + "/" + CODE,
        "\N{FULLWIDTH DIGIT ONE}" * 40,
        "https://" + CODE,
    ],
)
def test_what_is_no_code_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadCode, match=r"not a code|mistyped"):
        parse(text)


def test_an_older_code_is_told_to_be_replaced() -> None:
    with pytest.raises(BadCode, match="gateway edges code"):
        parse("trygport1.WyJnYXRld2F5Il0")


@given(st.text(max_size=200))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    for typed in (text, f"gateway.example:8444/{text}", CODE + text):
        try:
            read = parse(typed)
        except BadCode:
            continue
        assert re.fullmatch(f"[{CROCKFORD}]{{12}}", read.secret)


@given(
    st.text(alphabet=CROCKFORD, min_size=12, max_size=12),
    st.binary(min_size=32, max_size=32),
    st.sampled_from(["[::1]:8444", "10.0.0.1:1", "Gateway.Example:65535"]),
)
def test_what_was_made_is_read(secret: str, fingerprint: bytes, address: str) -> None:
    read = parse(make(address, secret, fingerprint.hex()))

    assert read == Code(address=address.lower(), secret=secret, fingerprint=fingerprint.hex()[:20])


def test_secrets_are_random_and_typed_easily() -> None:
    made = {new_code_secret() for _ in range(1000)}

    assert len(made) == 1000
    assert {letter for secret in made for letter in secret} == set(CROCKFORD)
    assert all(read_as(secret.lower()) == secret for secret in made)


def test_the_label_is_a_picture_of_the_code_in_capitals() -> None:
    drawn = ET.fromstring(label(CODE))  # noqa: S314 - our own

    assert drawn.tag.endswith("svg")
    assert int(drawn.attrib["width"]) == int(drawn.attrib["height"])
    assert set(CODE.upper()) <= set(string.ascii_uppercase + string.digits + "$%*+-./: ")
