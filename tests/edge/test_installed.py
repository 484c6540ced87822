"""What a person types has the settings of the service, as systemd reads them."""

from pathlib import Path

import pytest

from edge.installed import settings


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("EDGE_SPOOL_MB=64", [("EDGE_SPOOL_MB", "64")]),
        ("  EDGE_SPOOL_MB=64  ", [("EDGE_SPOOL_MB", "64")]),
        ('EDGE_HOOK="/usr/local/bin/call now"', [("EDGE_HOOK", "/usr/local/bin/call now")]),
        ("EDGE_HOOK='/usr/local/bin/call now'", [("EDGE_HOOK", "/usr/local/bin/call now")]),
        ("EDGE_HOOK=/usr/local/bin/call now", [("EDGE_HOOK", "/usr/local/bin/call now")]),
        ('EDGE_PASSWORD="half', [("EDGE_PASSWORD", '"half')]),
        ("EDGE_PASSWORD=a=b", [("EDGE_PASSWORD", "a=b")]),
        ("# EDGE_SPOOL_MB=64", []),
        ("; EDGE_SPOOL_MB=64", []),
        ("PATH=/tmp", []),
        ("LD_PRELOAD=/tmp/x.so", []),
        ("", []),
    ],
)
def test_a_line_is_read_as_systemd_reads_it(
    tmp_path: Path, line: str, said: list[tuple[str, str]]
) -> None:
    file = tmp_path / "edge.env"
    file.write_text(f"{line}\n")

    assert list(settings(file)) == said


def test_a_file_that_is_not_there_or_not_readable_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"EDGE_ID=\xff\n")

    assert list(settings(tmp_path / "none")) == []
    assert list(settings(tmp_path / "odd")) == []
    assert list(settings(tmp_path)) == []
