"""Installs an update that the box has fetched: root's part, which trusts a signature alone.

What the box has fetched lies in a folder of the user trygport, may be anything and may change under
our hands: it is copied to a folder of root's, and it is the copy that is checked and installed.
What ends an interrupted update stands in this one file and needs Python alone: a power cut while
dpkg puts files in their places may leave files of two versions, but no half file.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, cast

PACKAGE = "trygport-edge"
OUTCOME = "outcome.json"
"""What became of the last request, for the box to read in root's folder."""
STATUS = "status.json"
"""Of the running agent, in its own folder: version, connected, heard."""
WITHIN = 900.0
"""Seconds in which a new version must hear a placed device, where the one before heard any."""

_Unfit = Literal[
    "not_a_file", "size", "digest", "no_key", "signature", "other_package", "not_newer"
]
_Failed = Literal["bad_request", "nothing_previous", "system", "dpkg", "not_heard", "interrupted"]
Why = _Unfit | _Failed
Result = Literal["installed", "rolled_back", "refused", "broken"]
"""`rolled_back`: the version before runs again; `broken`: not even that could be installed."""

_LARGEST_NOTE = 16_384  # bytes of a request or a status
_LOCKED = 600.0  # seconds that another dpkg may be at work
_LOOK = 2.0  # seconds
_TOLD = 300  # characters of a program's words
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


class Refused(Exception):
    """It is not installed, or not kept; `why` is one word for programs, the text is for people."""

    def __init__(self, why: Why, sentence: str, *, result: Result = "refused") -> None:
        super().__init__(sentence)
        self.why: Why = why
        self.result: Result = result


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the box asks for, as the gateway told it; `id` comes back in the outcome.

    `size` in bytes, `digest` SHA-256 in hexadecimal, `signature` base64 as release.py says.
    """

    id: str
    do: Literal["install", "rollback"]
    version: str = ""
    size: int = 0
    digest: str = ""
    signature: str = ""

    @classmethod
    def read(cls, content: bytes) -> "Request":
        """Raises Refused."""
        from edge.updating.fetched import must_be_sane  # noqa: PLC0415 - as in Installer._taken

        try:
            said: Any = json.loads(content)
            given = {each.name: said[each.name] for each in fields(cls) if each.name in said}
            must_be_sane({**asdict(cls(id="", do="install")), **given})
            return cls(**given)
        except (ValueError, TypeError, KeyError, RecursionError) as bad:
            raise Refused("bad_request", f"the request cannot be read: {bad}") from bad


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things are on a box; `dpkg` are options for a root that is not the machine's."""

    box: Path = Path("/var/lib/trygport")
    own: Path = Path("/var/lib/trygport-update")
    keys: Path = Path("/usr/share/trygport/release-keys")
    root: Path = Path("/")
    dpkg: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How far it has come, on disk before it goes on. `heard`: the version before did hear."""

    phase: Literal["installing", "waiting"]
    request: Request
    before: str
    heard: bool


@dataclass(slots=True, kw_only=True)
class Installer:
    """One run: end what was interrupted, then do what is asked."""

    places: Places = field(default_factory=Places)
    within: float = WITHIN
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic

    def run(self) -> None:
        """What the box put there makes it refuse, never fail; the outcome says what it was."""
        self.places.own.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._clean()
        if (state := self._state()) is not None:
            self._tell(state.request, lambda: self._resume(state))
        if (content := self._taken()) is None:
            return
        try:
            request = Request.read(content)
        except Refused as refused:
            self._write_outcome(Request(id="unread", do="install"), "refused", refused)
        else:
            self._tell(request, lambda: self._do(request))

    # -- what is asked

    def _tell(self, request: Request, job: Callable[[], Result]) -> None:
        try:
            self._write_outcome(request, job(), None)
        except Refused as refused:
            self._write_outcome(request, refused.result, refused)
        except OSError as problem:
            refused = Refused("system", f"the system refuses: {problem}")
            self._write_outcome(request, "refused", refused)
        (self.places.own / "state.json").unlink(missing_ok=True)
        self._clean()

    def _do(self, request: Request) -> Result:
        before = self._installed()
        if request.do == "rollback":
            return self._roll_back(before)
        candidate = self._copied(request)
        self._check(candidate, request)
        self._keep_installed(before)
        heard = bool(self._status().get("heard"))
        state = State(phase="installing", request=request, before=before, heard=heard)
        self._note(state)
        try:
            self._dpkg_install(self._chosen(candidate))
            return self._wait(replace(state, phase="waiting"))
        except OSError as problem:
            raise self._gone_back(state, "system", f"the system refuses: {problem}") from problem
        except Refused as refused:
            if refused.result != "refused":
                raise
            raise self._gone_back(state, refused.why, str(refused)) from refused

    def _resume(self, state: State) -> Result:
        """After a power cut: a version that is half there goes back, a whole one is waited for."""
        if state.phase == "waiting":
            return self._wait(state)
        raise self._gone_back(state, "interrupted", "the power went while it was installed")

    def _wait(self, state: State) -> Result:
        """Until the new agent speaks with the gateway and hears; else back to the one before."""
        self._note(state)
        until = self.now() + self.within
        while not self._is_well(state):
            if self.now() >= until:
                what = "heard no sensor" if state.heard else "did not reach the gateway"
                sentence = f"{state.request.version} {what} in {self.within / 60:.0f} minutes"
                raise self._gone_back(state, "not_heard", sentence)
            self.sleep(_LOOK)
        return "installed"

    def _is_well(self, state: State) -> bool:
        said = self._status()
        speaks = said.get("version") == state.request.version and bool(said.get("connected"))
        return speaks and (bool(said.get("heard")) or not state.heard)

    def _gone_back(self, state: State, why: Why, sentence: str) -> Refused:
        """Install the version before; what is to be raised about it."""
        try:
            self._dpkg_install(self._previous())
        except Refused as refused:
            text = f"{sentence}; {state.before} could not be installed again: {refused}"
            return Refused(why, text, result="broken")
        return Refused(why, f"{sentence}; {state.before} runs again", result="rolled_back")

    def _roll_back(self, before: str) -> Result:
        """Only to what this machine kept itself, never to what the box brings."""
        previous = self._previous()
        if self._told_by(previous, "Version") == before:
            raise Refused("nothing_previous", f"{before} is the version before already")
        self._dpkg_install(previous)
        return "rolled_back"

    # -- what the box says, which may be anything

    def _taken(self) -> bytes | None:
        # not at the top, here and below: what ends an interrupted update must need no other file
        from edge.updating.fetched import take_request  # noqa: PLC0415

        return take_request(self.places.box, self.places.own / "taken")

    def _copied(self, request: Request) -> Path:
        """A copy of what was fetched, in root's folder, of the size and digest that were told."""
        from edge.updating.fetched import NotAsTold, copy_package  # noqa: PLC0415

        candidate = self.places.own / "candidate.deb"
        try:
            copy_package(self.places.box, candidate, size=request.size, digest=request.digest)
        except NotAsTold as odd:
            raise Refused(odd.why, str(odd)) from odd
        return candidate

    def _status(self) -> Mapping[str, Any]:
        """What the agent last said of itself; nothing when it says nothing sensible."""
        try:
            said = json.loads(_read(self.places.box / STATUS))
        except (OSError, ValueError, RecursionError):
            return {}
        return cast("dict[str, Any]", said) if isinstance(said, dict) else {}

    # -- whether it may be installed

    def _check(self, candidate: Path, request: Request) -> None:
        """Ours, for this machine, newer, and signed. Raises Refused."""
        from edge.updating.release import is_signed, statement  # noqa: PLC0415

        told = (PACKAGE, request.version, self._run("dpkg", "--print-architecture").strip())
        package, version, architecture = told
        words = statement(
            package=package,
            version=version,
            architecture=architecture,
            size=request.size,
            digest=request.digest,
        )
        keys = [file.read_bytes() for file in sorted(self.places.keys.glob("*.pem"))]
        if not keys:
            raise Refused("no_key", f"there is no release key in {self.places.keys}")
        if not is_signed(words, request.signature, keys):
            raise Refused("signature", "no release key has signed this package for this machine")
        inside = (*(self._told_by(candidate, n) for n in ("Package", "Version", "Architecture")),)
        if inside != told:
            raise Refused("other_package", f"it is {' '.join(inside)}, not {' '.join(told)}")
        if not self._is_newer(version, self._installed()):
            raise Refused("not_newer", f"{self._installed()} is installed, which is not older")

    def _chosen(self, candidate: Path) -> Path:
        """What is installed: the copy that was checked, nothing else."""
        return candidate

    def _is_newer(self, version: str, than: str) -> bool:
        command = ("dpkg", "--compare-versions", version, "gt", than)
        return subprocess.run(command, env=_ENVIRONMENT, check=False).returncode == 0  # noqa: S603

    # -- dpkg

    def _installed(self) -> str:
        query = ("dpkg-query", f"--root={self.places.root}", "-W", "-f", "${Version}", PACKAGE)
        return self._run(*query).strip()

    def _told_by(self, package: Path, name: str) -> str:
        return self._run("dpkg-deb", "-f", str(package), name).strip()

    def _dpkg_install(self, package: Path) -> None:
        """Raises Refused; waits for another dpkg at work."""
        until = self.now() + _LOCKED
        while True:
            try:
                self._run("dpkg", *self.places.dpkg, "--force-confold", "-i", str(package))
            except Refused as refused:
                if "lock" not in str(refused) or self.now() >= until:
                    raise
                self.sleep(_LOOK)
            else:
                return

    def _run(self, *command: str) -> str:
        done = subprocess.run(  # noqa: S603 - our own words, and no shell
            command,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise Refused("dpkg", f"{command[0]} failed: {done.stderr[-_TOLD:].strip()}")
        return done.stdout

    # -- the version before

    def _previous(self) -> Path:
        kept = sorted((self.places.own / "previous").glob("*.deb"))
        if not kept:
            raise Refused("nothing_previous", "no version before is kept")
        return kept[0]

    def _keep_installed(self, version: str) -> None:
        from edge.updating.repack import repack  # noqa: PLC0415

        fresh = self.places.own / "previous.new"
        fresh.mkdir()
        into = fresh / f"{PACKAGE}_{version}.deb"
        tree = self.places.own / "packing"
        repack(PACKAGE, root=self.places.root, tree=tree, into=into, run=self._run)
        _sync(into)
        _remove(self.places.own / "previous")
        fresh.rename(self.places.own / "previous")
        _sync(self.places.own)

    # -- notes

    def _clean(self) -> None:
        for name in ("candidate.deb", "packing", "previous.new", "taken"):
            _remove(self.places.own / name)

    def _state(self) -> State | None:
        try:
            said: Any = json.loads((self.places.own / "state.json").read_bytes())
        except FileNotFoundError:
            return None
        said["request"] = Request(**said["request"])
        return State(**said)

    def _note(self, state: State) -> None:
        self._write("state.json", asdict(state))

    def _write_outcome(self, request: Request, result: Result, refused: Refused | None) -> None:
        said: dict[str, object] = {
            **{name: getattr(request, name) for name in ("id", "do", "version")},
            "format": 1,
            "result": result,
            "why": refused and refused.why,
            "sentence": refused and str(refused),
            "installed": self._installed(),
            "at": int(time.time() * 1000),
        }
        self._write(OUTCOME, said)
        sys.stderr.write(f"{json.dumps(said)}\n")

    def _write(self, name: str, said: Mapping[str, object]) -> None:
        fresh = self.places.own / f"{name}.new"
        fresh.write_text(json.dumps(said))
        _sync(fresh)
        fresh.replace(self.places.own / name)
        _sync(self.places.own)


def _read(path: Path) -> bytes:
    """A small file of the user's. Raises OSError when it is a link, or no file."""
    handle = os.open(path, _FILE)
    with os.fdopen(handle, "rb") as opened:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError("no file")
        return opened.read(_LARGEST_NOTE)


def _remove(path: Path) -> None:
    """A file, or a folder with what is in it; a link itself."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    Installer(within=float(sys.argv[1]) if sys.argv[1:] else WITHIN).run()
