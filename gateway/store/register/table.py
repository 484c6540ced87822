"""Reads a CSV file as Danish offices write it: any usual separator and encoding; pure."""

import csv
import io
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.store.register.cpr import is_like_cpr

COLUMNS: Sequence[str] = (
    "distrikt",
    "bolig",
    "borger",
    "navn",
    "adresse",
    "telefon",
    "adgang",
    "pårørende",
    "boks",
    "enhed",
    "model",
    "rolle",
    "rum",
    "hjemmel",
    "fra",
    "til",
)
"""The columns by their Danish names, in the order in which they are written out."""
NEEDED: Sequence[str] = ("distrikt", "bolig", "borger")
"""Without these no row says who and where."""
STAFF_COLUMNS: Sequence[str] = (
    "login",
    "navn",
    "telefon",
    "rolle",
    "distrikt",
    "team",
    "fratrådt",
)
"""The columns of a file of colleagues; `login` is needed, and tells such a file by its head."""
STAFF_NEEDED: Sequence[str] = ("login",)

BOX_COLUMNS: Sequence[str] = ("mærkat", "bolig", "kommune")
"""The columns of a file of boxes; `mærkat`, what stands on the carton, is needed."""
BOX_NEEDED: Sequence[str] = ("mærkat",)

Sheet = Literal["homes", "people", "boxes"]
"""What a file is of: homes and all that belongs to them, colleagues, or boxes."""

MOST_ROWS = 10_000
LARGEST = 8 * 1024 * 1024
"""Bytes of a file: ten thousand homes with all that may stand about them."""

_SEPARATORS = (";", "\t", ",")
FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for a formula: written with an apostrophe before it, read without."""


class BadFile(Exception):
    """The file as a whole cannot be read; the text is Danish and says which line, and why."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row with the number of its line in the file. `fault` says why it cannot be read."""

    number: int
    cells: Mapping[str, str]
    fault: str = ""
    sheet: Sheet = "homes"


def read(body: bytes) -> list[Line]:
    """The rows of a file of homes or of colleagues, empty ones left out. Raises BadFile."""
    return _read(body, _header)


def read_boxes(body: bytes) -> list[Line]:
    """The rows of a file of boxes, empty ones left out. Raises BadFile."""
    return _read(body, _box_header)


def _read(body: bytes, kinds: Callable[[Sequence[str]], tuple[list[str], Sheet]]) -> list[Line]:
    if len(body) > LARGEST:
        raise BadFile(f"Filen er for stor: højst {LARGEST // 1024 // 1024} MB.")
    rows = _rows(_text(body))
    first = next(rows, None)
    if first is None:
        raise BadFile("Filen er tom.")
    header, sheet = kinds(first[1])
    lines: list[Line] = []
    for number, cells in rows:
        if len(lines) == MOST_ROWS:
            raise BadFile(f"Filen har flere end {MOST_ROWS} rækker; del den i flere filer.")
        lines.append(_line(number, header, cells, sheet))
    return lines


def write(rows: Sequence[Mapping[str, str]]) -> bytes:
    """A file that a Danish spreadsheet opens as it is: UTF-8 with its mark, semicolons, CRLF."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, delimiter=";", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _shielded(cell) for name, cell in row.items()} for row in rows)
    return out.getvalue().encode("utf-8-sig")


def _text(body: bytes) -> str:
    """By its byte order mark, as UTF-8, or else as Windows in Denmark writes (code page 1252)."""
    where = ""
    marked = body.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "cp1252"):
        try:
            text = body.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            before = text[: text.index("\0")]
            column = len(before) - before.rfind("\n")
            where = f" (linje {before.count(chr(10)) + 1}, tegn {column})"
            break
        return unicodedata.normalize("NFC", text)
    raise BadFile(f"Filen er ikke tekst{where}: gem den som CSV (UTF-8).")


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not empty, with the line it begins on. Raises BadFile."""
    # not splitlines: a form feed or a line separator inside a cell ends no line
    lines = io.StringIO(text, newline="")
    head = next((line for line in lines if line.strip()), "")
    separator = max(_SEPARATORS, key=head.count)
    lines.seek(0)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as fault:
            raise BadFile(
                f"Linje {number}: anførselstegnene passer ikke sammen, eller et felt er for langt."
            ) from fault
        if any(cell.strip() for cell in cells):
            yield number, cells


def _header(cells: Sequence[str]) -> tuple[list[str], Sheet]:
    names = _names(cells)
    if "login" in names:
        _check(names, STAFF_COLUMNS, STAFF_NEEDED)
        return names, "people"
    _check(names, COLUMNS, NEEDED)
    return names, "homes"


def _box_header(cells: Sequence[str]) -> tuple[list[str], Sheet]:
    names = _names(cells)
    _check(names, BOX_COLUMNS, BOX_NEEDED)
    return names, "boxes"


def _names(cells: Sequence[str]) -> list[str]:
    names = [cell.strip().casefold() for cell in cells]
    while names and not names[-1]:
        names.pop()
    return names


def _check(names: Sequence[str], columns: Sequence[str], needed: Sequence[str]) -> None:
    for name in names:
        if "cpr" in name or "personnummer" in name:
            raise BadFile("Filen har en kolonne til CPR-numre. Fjern den: de må ikke stå her.")
        if name not in columns:
            known = ", ".join(columns)
            shown = "uden navn" if not name or is_like_cpr(name) else repr(name[:40])
            raise BadFile(f"Kolonnen {shown} kendes ikke. Kolonnerne er: {known}.")
        if names.count(name) > 1:
            raise BadFile(f"Kolonnen {name} står der to gange.")
    if missing := [name for name in needed if name not in names]:
        raise BadFile(f"Kolonnen {missing[0]} mangler.")


def _line(number: int, header: Sequence[str], cells: Sequence[str], sheet: Sheet) -> Line:
    if any(cell.strip() for cell in cells[len(header) :]):
        return Line(number, {}, "rækken har flere felter, end der er kolonner", sheet)
    found = {name: _plain(cell) for name, cell in zip(header, cells, strict=False)}
    return Line(number, found, sheet=sheet)


def _plain(cell: str) -> str:
    plain = cell.strip()
    return plain[1:] if plain.startswith("'") and plain[1:].startswith(FORMULA) else plain


def _shielded(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell
