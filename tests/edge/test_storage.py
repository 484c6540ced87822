"""A card that fails costs no call: it leaves from memory, and the fault is told within 10 s."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.runtime.broker import Broker
from deploy.runtime.paths import ROOT
from deploy.world.bluez import Bluez
from deploy.world.peripheral import Advertisement, Peripheral
from edge.keeping.spool import Spool
from tests.edge.frames import HandClock, heard
from tests.edge.gateway import Gateway, gateway
from tests.edge.test_main import BOX, BUTTON, CONFIG, PRESSED, environment, running, to

WITHIN = 10.0
"""Seconds in which a fault of the card must be known at the gateway."""


@pytest.fixture
def card(tmp_path: Path) -> Generator[Path]:
    """A file system of its own, which can be filled and turned read-only."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "card"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def button(bluez: Bluez) -> Peripheral:
    made = Peripheral(BUTTON, address_type="random", advertisement=Advertisement())
    bluez.add(made)
    return made


@pytest.fixture
def ext4(tmp_path: Path) -> Generator[Path]:
    """A card with the file system of a box, which turns itself read-only at its first error."""
    folder, image = tmp_path / "ext4", tmp_path / "image"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(24_000_000)
    mount = ["mount", "-o", "loop,errors=remount-ro", str(image), str(folder)]
    for command in (["mkfs.ext4", "-q", str(image)], mount):
        if os.geteuid() != 0 or shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not here, or not for us")
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("a file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def spoil(card: Path) -> None:
    """Let the kernel find an error on the card, as it does on a worn one."""
    find = ["findmnt", "-no", "SOURCE", str(card)]
    device = Path(subprocess.run(find, check=True, capture_output=True, text=True).stdout.strip())
    trigger = Path("/sys/fs/ext4") / device.name / "trigger_fs_error"
    if not trigger.exists():
        pytest.skip("this kernel has no errors to give")
    trigger.write_text("1")


async def ready(there: Gateway) -> None:
    await there.sees(lambda: [s for s in there.states if s["config"] == 3])


async def press(there: Gateway, button: Peripheral) -> None:
    """Until the press is stored at the gateway."""
    for _ in range(40):
        button.advertise(manufacturer_data=PRESSED)
        await asyncio.sleep(0.1)
        if any(frame["device"] == BUTTON for frame in there.frames.values()):
            return
    pytest.fail("the press did not arrive")


async def told(there: Gateway, since: float, word: str) -> None:
    await there.sees(lambda: there.states[-1].get("trouble") == word)
    await there.sees(lambda: [f for f in there.frames.values() if f.get("uuid") is not None])
    assert time.monotonic() - since < WITHIN


def remounted(card: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(card)], check=True)


async def test_on_a_card_that_turned_read_only_a_call_leaves_and_the_fault_is_told(
    broker: Broker, button: Peripheral, ext4: Path
) -> None:
    async with gateway(broker, BOX) as there:
        there.configure(CONFIG)
        async with running(ext4, **to(broker)):
            await ready(there)
            since = time.monotonic()
            spoil(ext4)
            await press(there, button)
            await told(there, since, "storage_failed")
        there.configure(None)


async def test_a_box_starts_on_a_read_only_card_sends_what_waits_and_takes_a_call(
    broker: Broker, button: Peripheral, card: Path
) -> None:
    with Spool(card / "spool.sqlite", HandClock()) as spool:
        spool.remember("edge", BOX)
        spool.append(heard(7), "urgent")
    remounted(card)

    async with gateway(broker, BOX) as there:
        there.configure(CONFIG)
        since = time.monotonic()
        async with running(card, **to(broker)):
            await ready(there)
            await told(there, since, "storage_failed")
            await press(there, button)
            devices = {frame["device"] for frame in there.frames.values()}
        there.configure(None)

    assert {heard(7).device, BUTTON} <= devices


async def test_on_a_full_card_a_call_leaves_and_the_fault_is_told(
    broker: Broker, button: Peripheral, card: Path
) -> None:
    async with gateway(broker, BOX) as there:
        there.configure(CONFIG)
        async with running(card, **to(broker)):
            await ready(there)
            (card / "spool.sqlite.reserve").unlink(missing_ok=True)
            since = time.monotonic()
            fill(card)
            await press(there, button)
            await told(there, since, "card_full")
        there.configure(None)


def fill(card: Path) -> None:
    with (card / "log").open("ab", buffering=0) as log:
        try:
            while True:
                log.write(b"x" * 4_096)
        except OSError:
            return


@asynccontextmanager
async def traced(home: Path, fault: str, **settings: str) -> AsyncGenerator[None]:
    """`edge run` under strace, which gives the process this fault."""
    command = [sys.executable, "-m", "edge.main", "run"]
    process = await asyncio.create_subprocess_exec(
        "strace",
        "-fD",  # the box itself is our child, so that a signal reaches it
        "-o",
        os.devnull,
        "-e",
        fault,
        *command,
        cwd=ROOT,
        env=environment(home, **settings),
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
async def test_where_no_fsync_succeeds_a_call_leaves_and_the_fault_is_told(
    broker: Broker, button: Peripheral, tmp_path: Path
) -> None:
    fault = "inject=fdatasync:error=EIO:when=6+"
    async with gateway(broker, BOX) as there:
        there.configure(CONFIG)
        since = time.monotonic()
        async with traced(tmp_path, fault, **to(broker)):
            await ready(there)
            await press(there, button)
            await told(there, since, "storage_failed")
        there.configure(None)
