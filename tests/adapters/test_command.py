"""`python -m adapters` says in one sentence what is wrong with an example, or with its file."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.test_plugins import run, shipped

DOOR: dict[str, Any] = {
    "says": "a door",
    "frame": {
        "device": "A4:C1:38:8D:18:B2",
        "heard": "advertisement",
        "at": 1,
        "uptime": 0.5,
        "data": {"fcd2": "401a01"},
    },
    "reads": [{"kind": "door", "value": 1.0}],
}
OTHER: dict[str, Any] = DOOR["frame"] | {"data": {}, "manufacturer": {"3870": "01"}}
OTHERWISE: list[tuple[dict[str, Any], str]] = [
    (
        {"reads": [{"kind": "door", "value": 0.0}]},
        (
            'reading 1: expected {"kind": "door", "value": 0.0}, '
            'read {"kind": "door", "value": 1.0}\n'
            '  all that is read: [{"kind": "door", "value": 1.0}]'
        ),
    ),
    (
        {"reads": [*DOOR["reads"], {"kind": "battery", "value": 9.0}]},
        'reading 2: expected {"kind": "battery", "value": 9.0}, read nothing',
    ),
    ({"reads": []}, 'reading 1: expected nothing, read {"kind": "door"'),
    ({"reads": [{"kind": "dampness"}]}, "no kind dampness; see adapters/catalogue.py"),
    ({"reads": [{"value": 1}]}, "is no reading: it has no kind"),
    ({"reads": {}}, "reads is a list"),
    ({"key": "zz"}, "key: 'zz' is no hexadecimal text"),
    ({"unreadable": "cut"}, 'expected unreadable "cut", read it whole'),
    ({"frame": OTHER}, "read nothing (no adapter reads company 0f1e)"),
    (
        {"frame": OTHER, "reads": []},
        'add "unreadable": "no adapter reads company 0f1e"',
    ),
    (
        {"frame": OTHER, "reads": [], "unreadable": "cut"},
        'expected unreadable "cut", unreadable is "no adapter',
    ),
    ({"frame": {}}, "no frame as a box sends it: frame.device: "),
    ({"frame": OTHER | {"manufacturer": {"0x0F1E": "01"}}}, "decimal, as 2654 for 0x0A5E"),
    ({"frame": OTHER | {"manufacturers": {}}}, "a frame has no manufacturers; it has "),
]
"""What is changed in the example, and what is said then."""


def tried(folder: Path, said: object) -> str:
    text = said if isinstance(said, str) else json.dumps(said)
    (folder / "my.examples.json").write_text(text)
    done = run(folder, "-m", "adapters", "my.examples.json")
    assert done.returncode in {1, 2}, done.stdout
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_it_says_how_it_is_used(tmp_path: Path) -> None:
    done = run(tmp_path, "-m", "adapters", "--help")

    assert done.returncode == 0
    assert "NAME.examples.json" in done.stdout


@pytest.mark.parametrize(
    ("text", "told"), [("[{", "my.examples.json is no JSON: "), ("{}", "is no list of examples")]
)
def test_a_file_that_is_none_is_told(tmp_path: Path, text: str, told: str) -> None:
    assert told in tried(tmp_path, text)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, "-m", "adapters", "missing.examples.json")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "missing.examples.json: No such file or directory\n"


@pytest.mark.parametrize(("changed", "told"), OTHERWISE)
def test_what_is_otherwise_is_told(tmp_path: Path, changed: dict[str, Any], told: str) -> None:
    assert told in tried(tmp_path, [DOOR | changed])


def test_an_example_without_its_parts_is_told(tmp_path: Path) -> None:
    said = tried(tmp_path, [{"says": "nothing"}, "text"])

    assert "wrong: nothing: the example has no frame and no reads" in said
    assert "wrong: ?: an example is an object" in said


def test_plug_ins_that_were_set_aside_are_told_where_an_example_is_wrong(tmp_path: Path) -> None:
    shipped(tmp_path, "broken", "raise RuntimeError('licence expired')")

    said = tried(tmp_path, [DOOR | {"frame": OTHER}])

    assert "broken: set aside: broken_vendor:ADAPTER does not load" in said
