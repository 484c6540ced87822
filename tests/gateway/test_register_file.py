"""Whatever bytes a file holds, it is read as rows or refused in a Danish sentence."""

import csv
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.register.cpr import is_like_cpr
from gateway.store.register.lines import BASES, ROLES, Refused, wanted
from gateway.store.register.table import COLUMNS, MOST_ROWS, BadFile, read, write

HEAD = "distrikt;bolig;borger;navn;adresse;pårørende"
ROW = "Nord;B1;K1;Søren Ærø Åse;Skovvej 4;Datter"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_usual_encoding_separator_and_line_end_says_the_same(
    encoding: str, separator: str, end: str
) -> None:
    text = end.join([HEAD, ROW, "", ROW.replace("K1", "K2"), ""]).replace(";", separator)

    rows = read(text.encode(encoding))

    assert [(one.number, one.cells["borger"]) for one in rows] == [(2, "K1"), (4, "K2")]
    assert rows[0].cells["navn"] == "Søren Ærø Åse"
    assert rows[0].cells["pårørende"] == "Datter"


def test_letters_that_a_mac_takes_apart_are_the_same() -> None:
    (row,) = read((HEAD + "\nNord;B1;K1;A\u030ase;;\n").replace("å", "a\u030a").encode())

    assert row.cells["navn"] == "Åse"


def test_quoted_cells_hold_separators_quotes_and_line_ends() -> None:
    text = f'{HEAD}\nNord;B1;K1;"Holm; ""Inger""";"Skovvej 4\n4400 Kalundborg";\nNord;B2;K2;Bo;;\n'

    first, second = read(text.encode())

    assert first.cells["navn"] == 'Holm; "Inger"'
    assert (first.number, second.number) == (2, 4)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "Filen er tom"),
        (b"\n\n;;\n", "Filen er tom"),
        (b"\x00\x01\x02", "Filen er ikke tekst"),
        (HEAD.encode("utf-16-le"), "Filen er ikke tekst"),
        (HEAD.encode() + b"\nNord;B1;K\x001", "Filen er ikke tekst"),
        (b"distrikt;bolig", "Kolonnen borger mangler"),
        (HEAD.encode() + b";CPR-nr", "Filen har en kolonne til CPR-numre"),
        (HEAD.encode() + b";farve", "Kolonnen 'farve' kendes ikke"),
        (HEAD.encode() + b";navn", "Kolonnen navn står der to gange"),
        (HEAD.encode() + b'\nNord;B1;"K1', "Linje 2: anførselstegnene passer ikke"),
        (HEAD.encode() + b'\nNord;B1;"K1"x;', "Linje 2: anførselstegnene passer ikke"),
        (HEAD.encode() + b"\nNord;B1;K1;" + b"x" * 200_000, "Linje 2: "),
    ],
)
def test_a_file_that_cannot_be_read_says_why(body: bytes, said: str) -> None:
    with pytest.raises(BadFile) as refused:
        read(body)

    assert said in str(refused.value)


def test_of_a_file_with_too_many_rows_no_more_is_read_than_tells_it() -> None:
    too_wide = "x" * (
        csv.field_size_limit() + 1
    )  # the reader itself refuses it where it comes to it
    rows = [ROW] * (MOST_ROWS + 1)

    with pytest.raises(BadFile, match=f"flere end {MOST_ROWS} rækker"):
        read("\n".join([HEAD, *rows, too_wide]).encode())
    with pytest.raises(BadFile) as refused:
        read("\n".join([HEAD, *rows[: MOST_ROWS // 2], too_wide]).encode())
    assert "flere end" not in str(refused.value)


def test_a_row_with_too_many_fields_is_refused_alone() -> None:
    first, second = read(f"{HEAD}\n{ROW};more\n{ROW}\n".encode())

    with pytest.raises(Refused, match="flere felter"):
        wanted(first)
    assert wanted(second).identity["name"] == "Søren Ærø Åse"


@pytest.mark.parametrize(
    "text",
    [
        "0101501234",
        "010150-1234",
        "010150 1234",
        "01-01-50-1234",
        "Inger 311299-0000 Holm",
        "31 12 99 00 00",
        "cpr:010150-1234.",
    ],
)
def test_what_looks_like_a_cpr_number_is_known(text: str) -> None:
    assert is_like_cpr(text)


@pytest.mark.parametrize(
    "text",
    ["+45 12 34 56 78", "12345678", "4512345678", "A4:C1:38:00:00:01", "990150-1234", "K-100"],
)
def test_what_is_no_cpr_number_may_stand(text: str) -> None:
    assert not is_like_cpr(text)


_ODD = (
    *('"', ";", ",", "\n", "\r\n", "\t", "\ufeff", "\x00", "\u2028", "\x0c", "å", "'=1", " "),
    *("Nord", "ny", "A4:C1:38:00:00:01", "24-11-2026", "010150-1234"),
)
_WORDS = st.sampled_from([*COLUMNS, *ROLES, *BASES, *_ODD])


@given(st.lists(_WORDS, max_size=60).map("".join) | st.text(max_size=200))
def test_whatever_is_written_is_read_or_refused(said: str) -> None:
    for head in ("", HEAD + "\n", ";".join(COLUMNS) + "\n"):
        for encoding in ("utf-8", "cp1252", "utf-16"):
            withstand((head + said).encode(encoding, "replace"))


@given(st.binary(max_size=400))
def test_whatever_bytes_there_are_they_are_read_or_refused(said: bytes) -> None:
    withstand(said)
    withstand(HEAD.encode() + b"\n" + said)


def withstand(body: bytes) -> None:
    try:
        rows = read(body)
    except BadFile as refused:
        assert str(refused).endswith(".")  # noqa: PT017 - it may also be read
        return
    for row in rows:
        try:
            want = wanted(row)
        except Refused as refused:
            assert refused.reason  # noqa: PT017 - it may also be read
        else:
            assert want.district
            assert want.home
            assert want.citizen
            assert not any(is_like_cpr(cell) for cell in row.cells.values())
            "".join(want.identity.values()).encode()


_CELL = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30).map(str.strip)


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS[:8], _CELL)), max_size=5))
def test_what_is_written_out_is_read_as_it_was(rows: list[dict[str, str]]) -> None:
    again = [one.cells for one in read(write(rows))]

    assert [{name: cell for name, cell in one.items() if cell} for one in again] == [
        {name: normal(cell) for name, cell in one.items() if cell}
        for one in rows
        if any(one.values())
    ]


def normal(cell: str) -> str:
    return unicodedata.normalize("NFC", cell)
