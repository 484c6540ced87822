"""Makes the virtual environment: exactly the locked packages, and the project itself.

It is made in its final place, since a virtual environment names its own folder in every command;
a stamp is written only when a part is complete, and an unstamped environment is made anew.
"""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.runtime.exits import Exit, Stop
from deploy.runtime.paths import DEPLOY, PREFIX, PYTHON, ROOT, RUNTIME, VENV
from deploy.runtime.steps import Stamp, digest, last_line, run, step

LOCK = DEPLOY / "requirements.lock"
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
"""What Debian's ca-certificates makes; a bare system has none, and uv brings its own."""
BUILDERS = ("uv", "setuptools")


def build_venv() -> None:
    """Make `.runtime/venv` as the lock wants it, if it is not.

    Raises Stop: no network, no disk, or a package that was refused.
    """
    made, synced, installed = venv_stamps()
    if not made.is_current():
        shutil.rmtree(VENV, ignore_errors=True)
        with step("python packages: make the virtual environment"):
            run([sys.executable, "-m", "venv", VENV], env=_building(os.environ), failed=_refused)
            _install_builders()
            made.write()
    if not synced.is_current():
        with step("python packages: fetch and install what is locked"):
            # interrupted in the middle of a package it could not be trusted, and is made anew
            made.file.unlink()
            _uv("sync", "--require-hashes", "--no-build-isolation", str(LOCK))
            made.write()
            synced.write()
    if not installed.is_current():
        with step("python packages: install the project itself"):
            _uv("install", "--offline", "--no-build-isolation", "--no-deps", "-e", str(ROOT))
            _write_versions()
            installed.write()


def venv_stamps() -> tuple[Stamp, Stamp, Stamp]:
    """The notes that the environment, its packages and the project in it are complete."""
    folder = RUNTIME / "stamps"
    made = digest(sys.version, os.path.realpath(sys.executable), str(VENV))
    synced = digest(made, LOCK)
    installed = digest(synced, ROOT / "pyproject.toml")
    return (
        Stamp(file=folder / "venv", inputs=made),
        Stamp(file=folder / "packages", inputs=synced),
        Stamp(file=folder / "project", inputs=installed),
    )


def install_for(lock: Path, into: Path, *, platform: str, python: str) -> None:
    """Unpack the wheels of a lock for another machine than this one into a folder. Raises Stop.

    `platform` as uv names it, with the C library it has: x86_64-manylinux_2_40.
    """
    machine = ["--python-platform", platform, "--python-version", python]
    strict = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--link-mode", "copy"]
    _uv("install", "--quiet", "--target", str(into), *machine, *strict, "-r", str(lock))


def environment() -> dict[str, str]:
    """The environment in which the project's programs run: the virtual one first."""
    known = {**os.environ, "VIRTUAL_ENV": str(VENV), "UV_CACHE_DIR": str(RUNTIME / "cache" / "uv")}
    known["PATH"] = f"{VENV / 'bin'}:{known.get('PATH', '/usr/bin:/bin')}"
    known["UV_PYTHON_DOWNLOADS"] = "never"
    known.pop("PYTHONPATH", None)
    return known


def _install_builders() -> None:
    """By pip, with the hashes that the lock has for them, so that each version stands once.

    A package that comes only as source is built with these, not with what its build asks for.
    """
    wanted = RUNTIME / "cache" / "builders.lock"
    wanted.parent.mkdir(parents=True, exist_ok=True)
    wanted.write_text("".join(_locked(name) for name in BUILDERS))
    quiet = ["--quiet", "--no-cache-dir", "--disable-pip-version-check", "--no-input"]
    command = [PYTHON, "-m", "pip", "install", *quiet, "--require-hashes", "--no-deps"]
    run([*command, "-r", wanted], env=_building(environment()), failed=_refused)


def _locked(name: str) -> str:
    """The lines that the lock has for one package."""
    _, found, rest = f"\n{LOCK.read_text()}".partition(f"\n{name}==")
    following = itertools.takewhile(lambda line: line.startswith(" "), rest.splitlines()[1:])
    return "\n".join((found.strip() + rest.splitlines()[0], *following, ""))


def _building(env: Mapping[str, str]) -> dict[str, str]:
    """The environment with our own folder for what an interrupted installer leaves behind."""
    temporary = RUNTIME / "cache" / "temporary"
    temporary.mkdir(parents=True, exist_ok=True)
    return {**env, "TMPDIR": str(temporary)}


def _uv(*arguments: str) -> None:
    env = _building(environment())
    if SYSTEM_CERTIFICATES.exists():
        # a municipality's proxy signs with an authority that only the machine knows
        env.setdefault("UV_SYSTEM_CERTS", "true")
    index = _pips_index()
    if index and not {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & env.keys():
        env["UV_DEFAULT_INDEX"] = index
    run([VENV / "bin" / "uv", "pip", *arguments], folder=ROOT, env=env, failed=_refused)


def _pips_index() -> str | None:
    """Where this machine's pip was told to look, which uv would not read by itself."""
    asked = [PYTHON, "-m", "pip", "config", "get", "global.index-url"]
    told = subprocess.run(asked, env=environment(), capture_output=True, text=True, check=False)
    return os.environ.get("PIP_INDEX_URL") or told.stdout.strip() or None


def _write_versions() -> None:
    asked = [VENV / "bin" / "uv", "pip", "freeze", "--exclude-editable"]
    frozen = subprocess.run(asked, env=environment(), capture_output=True, text=True, check=True)
    text = f"python {sys.version}\n\n{(PREFIX / 'packages.txt').read_text()}\n{frozen.stdout}"
    (RUNTIME / "versions.txt").write_text(text)


def _refused(output: str) -> Stop:
    return Stop(
        Exit.DOWNLOAD_REFUSED, f"The Python packages could not be installed: {last_line(output)}"
    )
