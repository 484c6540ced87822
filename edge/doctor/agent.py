"""Whether the agent runs, what it last said of itself, and whether it follows its configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.doctor.verdict import Verdict, bad, ok, warn
from edge.keeping.disk import SPOOL

LOCKS = Path("/proc/locks")
_START = "systemctl start edge; if it ends again: journalctl -u edge -n 50"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """`refused`: why the newest configuration is not followed; `unkept` frames the card cost."""

    joined: bool
    running: bool
    version: str = ""
    config: int = 0
    refused: str = ""
    unkept: int = 0
    path: int = 1


def read_agent(said: Mapping[str, Any], *, joined: bool, running: bool) -> Agent:
    """`said` is what is in its status file."""
    return Agent(
        joined=joined,
        running=running,
        version=str(said.get("version") or "")[:40],
        config=_whole(said.get("config")),
        refused=str(said.get("refused") or "")[:200],
        unkept=_whole(said.get("unkept")),
        path=_whole(said.get("path")) or 1,
    )


def judge_agent(agent: Agent) -> Verdict:
    """Without it nothing is heard."""
    if not agent.joined:
        return bad("the box has not joined", "edge join CODE, with a code of: gateway edges add")
    if not agent.running:
        return bad("the agent does not run: nothing is heard", _START)
    found = f"running, version {agent.version or 'unknown'}, configuration {agent.config}"
    if agent.unkept:
        return bad(f"{found}; {agent.unkept} frames could not be kept", "see disk below")
    if agent.refused:
        return warn(
            f"{found}; a newer configuration was refused: {agent.refused}",
            "update the box's program; meanwhile it goes on with the configuration before",
        )
    if agent.config == 0:
        return warn(f"{found}: it has not been told what to hear", "place a device in this home")
    return ok(found + (", by the second way" if agent.path > 1 else ""))


def is_running(home: Path, locks: Path = LOCKS) -> bool:
    """Whether a process holds the spool's lock, by the kernel's list of all locks.

    To try the lock would be to hold it for a moment, and an agent that starts just then would find
    it taken. Source: proc_locks(5); the number is the file's inode.
    """
    try:
        lock = (home / f"{SPOOL}.lock").stat()
        held = [line.split() for line in locks.read_text().splitlines()]
    except OSError:
        return False
    return any(
        words[1:2] == ["FLOCK"] and words[5].rpartition(":")[2] == str(lock.st_ino)
        for words in held
        if len(words) > 5  # noqa: PLR2004 - number, kind, way, access, process, place
    )


def _whole(said: object) -> int:
    return said if isinstance(said, int) and not isinstance(said, bool) else 0
