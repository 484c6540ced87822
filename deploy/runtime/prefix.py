"""Unpacks Mosquitto, PostgreSQL and TimescaleDB from Debian's packages into a private folder.

Nothing of the system is touched: apt works on a configuration, lists and an empty status of its
own, the packages are unpacked beside each other, and every program is started through the
folder's own dynamic loader, so that Debian 13's programs run on Debian 12 as well. No root.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deploy.runtime.exits import Exit, Stop
from deploy.runtime.paths import PREFIX, RUNTIME
from deploy.runtime.sources import Mirror, mirrors, read_sources
from deploy.runtime.steps import Stamp, digest, known, last_line, replace_folder, run, step

RELEASE = "trixie"
LAYOUT = "1"
"""Changes when the way of unpacking changes, so that older folders are made again."""

PACKAGES = (
    *("postgresql-17", "postgresql-client-17", "postgresql-17-timescaledb", "mosquitto"),
    *("libpq5", "libc6", "libc-bin", "tzdata", "libaudit1", "libcap-ng0", "libcap2"),
    *("libcom-err2", "libgcc-s1", "libgssapi-krb5-2", "libicu76", "libk5crypto3"),
    *("libkeyutils1", "libkrb5-3", "libkrb5support0", "libldap2", "liblz4-1", "liblzma5"),
    *("libpam0g", "libsasl2-2", "libssl3t64", "libstdc++6", "libsystemd0", "libxml2"),
    *("libxxhash0", "libzstd1", "zlib1g", "libreadline8t64", "libtinfo6", "libdlt2"),
    *("libwebsockets19t64", "libwrap0", "libcjson1"),
)
LEFT_OUT = (
    *("./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./usr/share/lintian"),
    *("./usr/lib/postgresql/17/lib/bitcode", "./usr/lib/postgresql/17/lib/llvmjit*"),
    *("./etc/init.d", "./usr/lib/systemd", "./usr/share/bug"),
)
PROGRAMS = ("usr/lib/postgresql/17/bin", "usr/bin", "usr/sbin")
KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)

_WRAPPER = """\
#!/bin/sh
# Starts the program beside this file with this folder's own loader and libraries, found from the
# file's own place so that the folder may be moved. LD_LIBRARY_PATH would leak into children.
here="${{0%/*}}"
[ "$here" != "$0" ] || here=.
top="$here/{up}"
exec "$top/{loader}" --inhibit-cache --library-path "$top/{libraries}" \\
  --argv0 "$0" "$here/elf/{name}" "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apt:
    """An apt of our own: its folder, and the mirror that it fetches from."""

    folder: Path
    mirror: Mirror
    architecture: str

    def environment(self) -> dict[str, str]:
        """What apt must find in its environment to use this configuration and no other."""
        return {**os.environ, "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C.UTF-8"}

    def write(self, *, security: bool) -> None:
        """Write configuration and sources; the machine's proxy and such are carried over."""
        for needed in ("lists/partial", "cache/archives/partial"):
            (self.folder / needed).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        (self.folder / "apt.conf").write_text(self._configuration())
        (self.folder / "sources.list").write_text("\n".join(self._sources(security=security)))

    def _sources(self, *, security: bool) -> Iterable[str]:
        # Debian's own keys where the machine has them, so that an archive of somebody else that
        # uses Debian's names is refused and the next one tried
        keyring = next((str(k) for k in KEYRINGS if k.exists()), self.mirror.signed_by)
        options = f"[signed-by={keyring}] " if keyring else ""
        yield f"deb {options}{self.mirror.main} {RELEASE} main"
        if security and self.mirror.security:
            yield f"deb {options}{self.mirror.security} {RELEASE}-security main"
        yield ""

    def _configuration(self) -> str:
        settings = {
            "Dir": "/",
            "Dir::State": self.folder,
            "Dir::State::lists": self.folder / "lists",
            "Dir::State::status": self.folder / "status",
            "Dir::Cache": self.folder / "cache",
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::Etc::sourcelist": self.folder / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Log": self.folder,
            "APT::Architecture": self.architecture,
            # root's apt would otherwise fetch as a user who cannot enter every folder
            "APT::Sandbox::User": "root",
            "APT::Update::Error-Mode": "any",
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
            "Acquire::http::Timeout": "15",
            "Acquire::https::Timeout": "15",
        }
        ours = "".join(f'{name} "{value}";\n' for name, value in settings.items())
        return ours + machines_own_access()


def build_prefix(*, architecture: str) -> None:
    """Make `.runtime/prefix` if it is not there as these inputs want it.

    Raises Stop: no network, no disk, no Debian mirror, or packages that were refused.
    """
    stamp = prefix_stamp(architecture=architecture)
    if stamp.is_current() and PREFIX.is_dir():
        return
    downloads, fresh = RUNTIME / "download", RUNTIME / "prefix.new"
    shutil.rmtree(fresh, ignore_errors=True)
    with step("broker and database: read the package lists"):
        apt = updated_apt(downloads, architecture)
    with step(f"broker and database: fetch {len(PACKAGES)} packages"):
        packages = fetch(apt, PACKAGES, downloads / "packages")
    with step("broker and database: unpack"):
        for package in packages:
            unpack(package, fresh)
        wrap_programs(fresh)
        (fresh / "packages.txt").write_text(_versions(packages))
        replace_folder(fresh, PREFIX)
        stamp.write()
        shutil.rmtree(downloads)


def prefix_stamp(*, architecture: str) -> Stamp:
    """The note that the prefix is complete."""
    inputs = digest(LAYOUT, architecture, RELEASE, *PACKAGES, *LEFT_OUT)
    return Stamp(file=RUNTIME / "stamps" / "prefix", inputs=inputs)


def updated_apt(downloads: Path, architecture: str) -> Apt:
    """An apt whose lists are fresh, from the first mirror that works; security if reachable."""
    found = mirrors(read_sources(Path("/etc/apt")))
    failure = Stop(
        Exit.UNSUPPORTED_SYSTEM,
        "No Debian mirror is named in /etc/apt/sources.list or /etc/apt/sources.list.d.",
    )
    for mirror in found:
        apt = Apt(folder=downloads / "apt", mirror=mirror, architecture=architecture)
        for security in (True, False) if mirror.security else (False,):
            apt.write(security=security)
            try:
                run(["apt-get", "update"], env=apt.environment(), failed=_refused)
            except Stop as stop:
                failure = stop
            else:
                return apt
    raise failure


def fetch(apt: Apt, packages: Iterable[str], folder: Path) -> list[Path]:
    """The files of these packages, and of no others. Raises Stop."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["apt-get", "download", *packages]
    run(command, folder=folder, env=apt.environment(), failed=_refused)
    return sorted(folder.glob("*.deb"))


def _refused(output: str) -> Stop:
    said = output.lower()
    if "no_pubkey" in said or "not signed" in said or "missing key" in said:
        return Stop(
            Exit.PACKAGE_MISSING,
            f"The machine does not know Debian {RELEASE}'s keys; type: "
            "apt-get update && apt-get install debian-archive-keyring",
        )
    return Stop(Exit.DOWNLOAD_REFUSED, f"apt could not fetch the packages: {last_line(output)}")


def unpack(package: Path, target: Path) -> None:
    """Add a package's files to a folder, as our own. Raises Stop."""
    target.mkdir(parents=True, exist_ok=True)
    options = ["--no-same-owner", "--no-same-permissions", "-C", str(target)]
    excluded = [f"--exclude={pattern}" for pattern in LEFT_OUT]
    english = {**os.environ, "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE, env=english
    ) as reader:
        done = subprocess.run(
            ["tar", "-x", "-f", "-", *options, *excluded],
            stdin=reader.stdout,
            stderr=subprocess.PIPE,
            env=english,
            text=True,
            check=False,
        )
    if done.returncode or reader.returncode:
        raise known(done.stderr) or Stop(
            Exit.DOWNLOAD_REFUSED,
            f"{package.name} could not be unpacked: {last_line(done.stderr)}",
        )


def wrap_programs(prefix: Path) -> None:
    """Put a wrapper in the place of every program, which starts it with the folder's libraries."""
    loader = next((prefix / "usr/lib").glob("*-linux-gnu/ld-linux-*.so.*"))
    for place in PROGRAMS:
        if not (prefix / place).is_dir():
            continue
        (prefix / place / "elf").mkdir(exist_ok=True)
        for file in sorted((prefix / place).iterdir()):
            if file.is_file() and not file.is_symlink() and _is_elf(file):
                _wrap(file, prefix=prefix, loader=loader)


def _wrap(file: Path, *, prefix: Path, loader: Path) -> None:
    file.rename(file.parent / "elf" / file.name)
    text = _WRAPPER.format(
        up="/".join(".." for _ in file.parent.relative_to(prefix).parts),
        loader=loader.relative_to(prefix),
        libraries=loader.parent.relative_to(prefix),
        name=file.name,
    )
    file.write_text(text)
    file.chmod(0o755)


def _is_elf(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(4) == b"\x7fELF"


def _versions(packages: Iterable[Path]) -> str:
    names = (package.stem.replace("%3a", ":").split("_") for package in packages)
    return "".join(f"{name} {version}\n" for name, version, *_ in names)


def machines_own_access() -> str:
    """How this machine reaches its mirror: proxies, certificates and time-outs of its apt."""
    dump = subprocess.run(
        ["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=False
    )
    wanted = ("::proxy", "::cainfo", "::cert", "::timeout", "::auto")
    lines = (line for line in dump.stdout.splitlines() if line.endswith(";"))
    return "".join(f"{line}\n" for line in lines if any(w in line.lower() for w in wanted))
