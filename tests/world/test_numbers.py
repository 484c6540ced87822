"""What cannot be measured or broken is refused before anything is started, and a loss is told."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from deploy.runtime.exits import Exit
from deploy.world.bench import main as bench
from deploy.world.chaos import __main__ as chaos

_COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {"bench": bench.main, "chaos": chaos.main}
_ARGPARSE = 2


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("bench", "ingest", "--homes", "0"), _ARGPARSE, "--homes/--boxes: at least 1"),
        (("bench", "ingest", "--seconds", "nan"), _ARGPARSE, "--seconds: a finite number above 0"),
        (("bench", "ingest", "--rate", "-1"), _ARGPARSE, "--rate: a finite number above 0"),
        (("bench", "ingest", "--batch", "1e3"), _ARGPARSE, "--batch: a whole number, not '1e3'"),
        (("bench", "alert", "--presses", "0"), _ARGPARSE, "--presses: at least 1"),
        (("bench", "alert", "--draining", "-1"), _ARGPARSE, "--draining: not below 0"),
        (("bench", "alert", "--boxes", "5"), Exit.USAGE, "--draining 20 is more than --boxes 5."),
        (("bench", "alert", "--seconds", "1e9"), Exit.NO_DISK, "Too little room on the disk"),
        (("bench", "growth", "--homes", ","), _ARGPARSE, "--homes: at least one number"),
        (("bench", "growth", "--homes", "100,50"), _ARGPARSE, "50 after 100: each is at least 10"),
        (
            ("bench", "growth", "--homes", "5"),
            _ARGPARSE,
            "--homes: the first is at least 20, not 5",
        ),
        (("bench", "growth", "--rows", "9,9"), _ARGPARSE, "9 after 9: each is more than the one"),
        (("bench", "growth", "--rows", "1,x"), _ARGPARSE, "--rows: a whole number, not 'x'"),
        (("bench", "growth", "--streams", "0"), _ARGPARSE, "--streams: at least 1"),
        (("bench", "growth", "--homes", "20,2000000"), _ARGPARSE, "--homes: at most 1,000,000"),
        (("bench", "growth", "--picture", "/no/such/a.svg"), Exit.USAGE, "there is no such folder"),
        (("bench", "ingest", "--frames", "251"), _ARGPARSE, "--frames: at most 250"),
        (
            ("bench", "ingest", "--homes", "1000001"),
            _ARGPARSE,
            "--homes/--boxes: at most 1,000,000",
        ),
        (("bench", "ingest", "--batch", "300001"), _ARGPARSE, "--batch: at most 300,000"),
        (("bench", "ingest", "--processes", "65"), _ARGPARSE, "--processes: at most 64"),
        (
            ("bench", "outage", "--homes", "100", "--boxes", "100"),
            *(Exit.USAGE, "--boxes 100 is not below --homes 100: real boxes are of them."),
        ),
        (("bench", "outage", "--hours", "0"), _ARGPARSE, "--hours: a finite number above 0"),
        (("chaos", "--rounds", "0"), _ARGPARSE, "--rounds: at least 1"),
        (("chaos", "restore", "--minute", "0"), _ARGPARSE, "--minute: a finite number above 0"),
    ],
)
def test_a_number_that_cannot_be_is_refused_with_the_reason(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, why: str
) -> None:
    command, *said = words

    with pytest.raises(SystemExit) as end:
        sys.exit(_COMMANDS[command](said))

    answer, complaints = capsys.readouterr()
    assert (end.value.code, answer) == (code, "")
    assert why in complaints


@pytest.mark.parametrize(
    ("figures", "wrong"),
    [
        ({"lost": 0, "duplicated": 0, "findings_missing": 0, "p99_ms": 12.0}, False),
        ({"lost": 0, "duplicated": 1}, True),
        ({"lost": 0, "observations_lost": 2}, True),
        ({"points": [{"lost": 0}, {"lost": 0}], "picture": "growth.svg"}, False),
        ({"points": [{"lost": 0}, {"lost": 1}], "picture": "growth.svg"}, True),
    ],
)
def test_a_benchmark_in_which_something_was_lost_does_not_end_well(
    figures: dict[str, Any], *, wrong: bool
) -> None:
    assert bench.is_wrong(figures) == wrong
