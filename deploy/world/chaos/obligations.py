"""Writes down, beside the spool and apart from it, what the spool has promised to keep.

One file a box, a JSON object a line: `try` before the spool is asked, `kept` after it said yes,
`refused` after it said no. A box that dies in between finds out at its next start which it was,
before anything leaves: nothing is sent between the spool's yes and the line that says so.
"""

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.frame import Frame, Lane, encode_frame
from deploy.world.oracle_stored import fingerprint
from edge.keeping.spool import Spool, SpoolFull
from edge.keeping.stream import NEXT

Meaning = tuple[str, float | None, int | None]
"""What a device means by one thing it says: word, value, code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """A frame, and what its device meant by it.

    `record` is the number and the device's own second of what the device stores. `at` is None
    when the box's clock is so far ahead that the gateway will not believe it.
    """

    frame: Frame
    meant: tuple[Meaning, ...]
    at: int | None
    record: tuple[int, int] | None = None

    def line(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {
            "sha": fingerprint(json.loads(encode_frame(self.frame))),
            "device": self.frame.device,
            "at": self.at,
            "meant": self.meant,
            "record": self.record,
        }


class Obligations:
    """The record of one box."""

    def __init__(self, path: Path, spool: Path) -> None:
        """The spool's file must be there, and nothing may have been sent from it yet."""
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._spool = sqlite3.connect(f"file:{spool}?mode=ro", uri=True, isolation_level=None)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        self.starts = sum("start" in line for line in lines)
        self._tries = sum("try" in line for line in lines)
        if lines and "try" in lines[-1]:
            self._settle(lines[-1])
        self._write({"start": self.starts})

    def close(self) -> None:
        self._spool.close()
        os.close(self._file)

    def keep(self, spool: Spool, lane: Lane, sayings: Sequence[Saying]) -> bool:
        """Have the spool keep them in one transaction; whether it does.

        Raises SpoolFailed, and SpoolFull for calls: then the process must end.
        """
        self._tries += 1
        before = self._newest(lane)
        frames = [saying.line() for saying in sayings]
        self._write({"try": self._tries, "lane": lane, "after": before, "frames": frames})
        try:
            spool.append_many([saying.frame for saying in sayings], lane)
        except SpoolFull:
            self._write({"refused": self._tries})
            if lane == "urgent":
                raise
            return False
        self._kept(lane, before, self._tries)
        return True

    def _settle(self, last: dict[str, Any]) -> None:
        """Say what came of the try in the middle of which the box died."""
        if self._newest(last["lane"]) == last["after"]:
            self._write({"refused": last["try"]})
        else:
            self._kept(last["lane"], last["after"], last["try"])

    def _kept(self, lane: Lane, before: list[Any] | None, number: int) -> None:
        stream, _ = self._newest(lane) or ("", 0)
        first = before[1] if before is not None and before[0] == stream else 1
        self._write({"kept": number, "stream": stream, "first": first})

    def _newest(self, lane: Lane) -> list[Any] | None:
        """The lane's newest stream and the number that its next frame will have."""
        with closing(
            self._spool.execute(
                f"SELECT s.stream, {NEXT} FROM stream s WHERE s.lane = ?"  # noqa: S608 - ours
                " ORDER BY s.id DESC LIMIT 1",
                (lane,),
            )
        ) as found:
            row = found.fetchone()
        return None if row is None else list(row)

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")
