"""The page on how to add a device holds: what it shows is installed by it, found, and reads."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from adapters.plans import WORDS, flaw

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "deploy" / "add-a-device.md"


def shown(page: str) -> dict[str, str]:
    """The files that the page shows: a line with the name, then the text in a fence."""
    found = re.findall(r"^`([\w.]+)`\n\n```\w+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return dict(found)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join((str(folder / "installed"), str(ROOT)))
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": paths, "PIP_NO_INPUT": "1"},
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


def test_the_adapter_on_the_page_is_installed_found_and_reads_its_examples(tmp_path: Path) -> None:
    chair = tmp_path / "chair"
    chair.mkdir()
    for name, text in shown(PAGE.read_text("utf-8")).items():
        (chair / name).write_text(text)

    pip = ("-m", "pip", "install", "--quiet", "--no-index", "--disable-pip-version-check")
    place = ("--no-deps", "--no-build-isolation", "--target", "installed", "./chair")
    installed = run(tmp_path, *pip, *place)
    listed = run(tmp_path, "-m", "adapters")
    tried = run(tmp_path, "-m", "adapters", "chair/chair.examples.json")

    assert installed.returncode == 0, installed.stderr
    assert "chair: a plug-in" in listed.stdout
    assert tried.stdout.count("right:") == 4, tried.stdout
    assert tried.returncode == 0


def test_the_plan_on_the_page_is_good_and_every_word_of_plans_is_told() -> None:
    page = PAGE.read_text("utf-8")
    [plan] = re.findall(r"^```json\n(\{.*\})\n```$", page, re.MULTILINE)

    assert flaw(json.loads(plan)) is None
    assert {word for word in WORDS if f'"{word}": ' not in page} == set()
