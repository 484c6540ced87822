"""Ingest gets its decoders ready beside its work, and says which plug-ins it does not use."""

import os
import subprocess
import sys
from pathlib import Path

from adapters import plugins

ROOT = Path(__file__).parents[2]
LOADING = """
import asyncio, sys, time
from gateway.ingest import readers
from adapters import library, makers

async def turning(longest):
    last = time.perf_counter()
    while True:
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest[0], last = max(longest[0], now - last), now

async def main():
    longest = [0.0]
    task = asyncio.create_task(turning(longest))
    await asyncio.sleep(0.05)
    if sys.argv[1] == "thread":
        await readers.get_ready()
    else:
        library.load()
        makers.load()
    await asyncio.sleep(0.05)
    task.cancel()
    print(longest[0], "xiaomi_ble" in sys.modules, "bleparser" in sys.modules)

asyncio.run(main())
"""
TELLING = """
from gateway import log
from gateway.health import Health
from gateway.ingest.readers import tell_set_aside
from prometheus_client import generate_latest
log.set_up("INFO")
health = Health()
tell_set_aside(health)
print(generate_latest(health.registry).decode())
"""


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))},
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return done.stdout + done.stderr


def stood_still(folder: Path, how: str) -> float:
    seconds, *loaded = run(folder, "-c", LOADING, how).split()
    assert loaded == ["True", "True"]
    return float(seconds)


def test_the_libraries_are_loaded_while_the_loop_turns(tmp_path: Path) -> None:
    in_the_loop = stood_still(tmp_path, "loop")

    assert stood_still(tmp_path, "thread") < in_the_loop / 3


def test_a_plug_in_that_is_set_aside_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "broken_vendor.py").write_text("1 / 0\n")
    told = tmp_path / "broken_vendor-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-vendor\nVersion: 1.0\n")
    points = f"[{plugins.GROUP}]\nbroken = broken_vendor:ADAPTER\n"
    (told / "entry_points.txt").write_text(points)

    said = run(tmp_path, "-c", TELLING)

    assert "an adapter is set aside" in said
    assert "ZeroDivisionError" in said
    assert "trygport_adapters_set_aside 1.0" in said
