"""What `./deploy/package` runs: build for both kinds of machine, make a release key, sign."""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.packaging.build import build
from deploy.packaging.signing import make_key, sign
from deploy.packaging.target import TARGETS
from deploy.runtime.command import told
from deploy.runtime.paths import DEPLOY, RUNTIME
from deploy.runtime.steps import say, step

KEYS = DEPLOY / "release-keys"
"""Public keys that every package carries, *.pem; private ones lie elsewhere."""
PACKAGES = RUNTIME / "packages"


def main() -> int:
    """One command; its exit code."""
    words = sys.argv[1:]
    jobs = {"key": _key, "sign": _sign}
    job = jobs.get(words[0] if words else "", _build)
    return told(lambda: job(words if job is _build else words[1:]))


def _build(words: Sequence[str]) -> int:
    asked = _build_words().parse_args(words)
    keys = sorted(asked.release_keys.glob("*.pem"))
    if not keys:
        say(f"No public key in {asked.release_keys}: boxes with this package take no updates.")
    for name in (asked.arch,) if asked.arch else TARGETS:
        with step(f"package for {name}"):
            package = build(TARGETS[name], asked.out, version=asked.version, keys=keys)
        content = package.read_bytes()
        line = f"{hashlib.sha256(content).hexdigest()}  {package}  {len(content)} bytes\n"
        sys.stdout.write(line)
    return 0


def _key(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="deploy/package key", description="Make a release key; keep FILE off every network."
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    public = make_key(parser.parse_args(words).file)
    say(f"What boxes must know is {public}; put it into {KEYS} and build.")
    return 0


def _sign(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="deploy/package sign", description="Sign packages; a file .json beside each says how."
    )
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="the private key")
    parser.add_argument("packages", type=Path, nargs="+", metavar="PACKAGE")
    asked = parser.parse_args(words)
    for package in asked.packages:
        sys.stdout.write(f"{sign(package, asked.key)}\n")
    return 0


def _build_words() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/package",
        description="Build the Debian packages of the box. Besides: key FILE, sign --key FILE …",
    )
    parser.add_argument("--arch", choices=tuple(TARGETS), help="one alone; else both")
    parser.add_argument("--version", help="else the project's, with the number of commits")
    parser.add_argument("--out", type=Path, default=PACKAGES, help="folder; else %(default)s")
    parser.add_argument(
        "--release-keys", type=Path, default=KEYS, help="folder of *.pem; else %(default)s"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
