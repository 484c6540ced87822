"""Steps of the set-up: shown with their seconds, done once, done again when their inputs change."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.runtime.exits import Exit, Stop

NO_NETWORK = (
    "could not resolve",
    "temporary failure resolving",
    "temporary failure in name resolution",
    "name or service not known",
    "failed to lookup address",
    "dns error",
    "network is unreachable",
    "no route to host",
    "connection refused",
    "could not connect",
    "cannot initiate the connection",
    "connection timed out",
    "connection failed",
    "connecterror",
    "newconnectionerror",
    "operation timed out",
    "tcp connect error",
)
NO_DISK = ("no space left on device", "not enough free space", "disk quota exceeded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A note of the inputs that a step was last completed with.

    It is written after the step's result is in place, so an interrupted step is done again.
    """

    file: Path
    inputs: str

    def is_current(self) -> bool:
        """Whether the step was completed with these very inputs."""
        return self.file.is_file() and self.file.read_text() == self.inputs

    def write(self) -> None:
        """Note that the step is complete."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(self.inputs)
        fresh.replace(self.file)


def digest(*inputs: str | bytes | Path) -> str:
    """One hash over texts and the contents of files."""
    total = hashlib.sha256()
    for item in inputs:
        body = item.read_bytes() if isinstance(item, Path) else item
        whole = body.encode() if isinstance(body, str) else body
        total.update(len(whole).to_bytes(8, "big") + whole)
    return total.hexdigest()


def say(line: str) -> None:
    """A line of progress, on standard error: standard output belongs to results."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@contextmanager
def step(name: str) -> Generator[None]:
    """Shows a step and the seconds that it took."""
    begun = time.monotonic()
    yield
    say(f"  {name}: {time.monotonic() - begun:.1f} s")


def run(
    command: Sequence[str | Path],
    *,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
    failed: Callable[[str], Stop],
) -> str:
    """Run a program and return what it said; `failed` makes a sentence of its output.

    Raises Stop: no network or no disk when the output says so, else what `failed` returns.
    """
    done = subprocess.run(
        # should we be killed, the next set-up must not meet this program still at work
        ["setpriv", "--pdeathsig", "TERM", *(str(part) for part in command)],
        cwd=folder,
        # what is known below is known in English
        env={**(os.environ if env is None else env), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise known(done.stdout) or failed(done.stdout)
    return done.stdout


def last_line(output: str) -> str:
    """The last line that says something, to be quoted in a sentence."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def replace_folder(fresh: Path, final: Path) -> None:
    """Put a finished folder in its place; what stood there goes."""
    old = final.with_name(f"{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    fresh.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def known(output: str) -> Stop | None:
    """The reason that a program gave for its failure, when it is the network or the disk."""
    said = output.lower()
    if any(words in said for words in NO_DISK):
        return Stop(Exit.NO_DISK, "The disk is full: free some space and start again.")
    if any(words in said for words in NO_NETWORK):
        return Stop(
            Exit.NO_NETWORK,
            "No network: the package mirror could not be reached; start again when it can, "
            "and the set-up goes on from here.",
        )
    return None
