"""One life of a spool on a card that may lose its power: everything it does is told beforehand.

Run as a process of its own, which ends by itself when the disk no longer keeps what it is given.
Each line on standard output is one JSON object. What `append` has returned for is told as kept
only afterwards; a receipt is told before it is taken.
"""

import argparse
import itertools
import json
import logging
import os
import random
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from adapters.frame import LANES, Frame, Lane, encode_frame
from edge.keeping.room import RESERVE
from edge.keeping.run import Place, Run
from edge.keeping.spool import Spool, SpoolFailed, SpoolFull, Terms

NOTE = "life"
"""The name of the value that a life remembers beside the frames."""

_EPOCH = "00000000-0000-4000-8000-00000000e90c"
_HOUR = 3_600_000
_BEGIN = 1_790_000_000_000
_NUMBERS = 1_000_000  # more frames than one life appends
_FRAMES, _OCTETS = 60, 50_000  # of a run, as the uplink asks for them
_TIGHT_RESERVE = 300_000
_TIGHT_LIMIT = 300_000  # bytes of the spool's file: some six hundred frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A clock that stands still for a whole life."""

    hour: int
    boot: str = "00000000-0000-4000-8000-000000000001"
    driven: bool = False

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.now_ms() / 1000, UTC)

    def now_ms(self) -> int:
        return _BEGIN + self.hour * _HOUR

    def uptime(self) -> float:
        return float(self.hour)

    def synchronised(self) -> bool:
        return True


class Normal(Spool):
    """The saboteur: `append` returns before the card has anything."""

    synchronous = "NORMAL"


SPOOLS: Mapping[str, type[Spool]] = {"honest": Spool, "synchronous-normal": Normal}


class Life:
    """What a box does with its spool, drawn from a seed."""

    def __init__(self, spool: Spool, hour: int, rng: random.Random) -> None:
        self._spool = spool
        self._hour = hour
        self._rng = rng
        self._number = hour * _NUMBERS

    def live(self, acts_to_do: int, *, heard: bool) -> None:
        """Append, and do all the rest in between; the gateway's receipts come often or seldom."""
        acts = (self._one, self._several, self._several, self._receive, self._forget, self._note)
        for act in self._rng.choices(acts, (30, 20, 20, 20 if heard else 2, 5, 5), k=acts_to_do):
            act()

    def _one(self) -> None:
        self._append([self._frame()], self._rng.choice(LANES))

    def _several(self) -> None:
        count = self._rng.randint(2, 30)
        self._append([self._frame() for _ in range(count)], "bulk")

    def _append(self, frames: Sequence[Frame], lane: Lane) -> None:
        tell(begins=lane, texts=[encode_frame(frame) for frame in frames])
        try:
            self._spool.append_many(frames, lane)
        except SpoolFull:
            if lane == "urgent":
                raise  # as the box does: it ends, and somebody looks
        else:
            tell(kept=len(frames))

    def _frame(self) -> Frame:
        """Most are as short as an advertisement; some are a record of many bytes."""
        self._number += 1
        octets = self._rng.choice((8, 12, 20, 20, 31, 400))
        said = self._number.to_bytes(8, "big") + self._rng.randbytes(octets)
        return Frame(device="A4:C1:38:00:00:01", heard="box", at=_BEGIN, uptime=1.0, value=said)

    def _receive(self) -> None:
        """The gateway's receipt for most of what waits, sometimes with a hole."""
        for lane in LANES:
            for run in itertools.islice(_runs(self._spool, lane), 2):
                self._take(run)

    def _take(self, run: Run) -> None:
        hole = self._rng.choice((0, 0, run.last, self._rng.randint(run.first, run.last)))
        ranges = [(run.first, hole - 1), (hole + 1, run.last)] if hole else [(run.first, run.last)]
        numbered = enumerate(run.frames, run.first)
        tell(receipts=[text for number, text in numbered if number != hole], hour=self._hour)
        self._spool.receipt({run.stream: [r for r in ranges if r[0] <= r[1]]}, epoch=_EPOCH)

    def _forget(self) -> None:
        self._spool.forget()

    def _note(self) -> None:
        self._number += 1
        self._spool.remember(NOTE, str(self._number))
        tell(remembered=self._number)


def look(spool: Spool) -> dict[str, object]:
    """All that a spool has after its opening, as the ledger is told it."""
    cost = spool.cost
    return {
        "look": {lane: [t for run in _runs(spool, lane) for t in run.frames] for lane in LANES},
        "file": _rows(spool.path),
        "spoilt": len(list(spool.path.parent.glob("*.spoilt-*"))),
        "noted": int(spool.recall(NOTE) or 0),
        "early": cost.early if cost else 0,
        "given_up": cost.given_up if cost else 0,
    }


def _runs(spool: Spool, lane: Lane) -> Iterator[Run]:
    after: Place | None = None
    while run := spool.cut(lane, after, frames=_FRAMES, octets=_OCTETS):
        yield run
        after = run.following


def tell(**words: object) -> None:
    """One line, which has left the process when this returns."""
    os.write(sys.stdout.fileno(), f"{json.dumps(words)}\n".encode())


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Open the spool as a start of the box does, look, live, and end without closing."""
    asked = _parser().parse_args(words)
    logging.disable()  # that a disk fails when its power is cut is no news
    reserve = _TIGHT_RESERVE if asked.tight else RESERVE
    terms = Terms(limit=_TIGHT_LIMIT) if asked.tight else None
    try:
        spool = SPOOLS[asked.spool](
            asked.path, Standing(hour=asked.hour), reserve=reserve, terms=terms
        )
        life = Life(spool, asked.hour, random.Random(asked.seed))  # noqa: S311 - play
        tell(**look(spool))
    except (SpoolFailed, sqlite3.Error, OSError) as error:
        _ended(f"{type(error).__name__}: {error}", opening=True)
    try:
        life.live(asked.appends, heard=not asked.tight)
    except (SpoolFailed, sqlite3.Error, OSError) as error:
        _ended(f"{type(error).__name__}: {error}", opening=False)
    _ended("all is done", opening=False)


def _ended(why: str, *, opening: bool) -> NoReturn:
    """No file is closed in good order: the power is gone, or will be."""
    tell(ended=why, opening=opening)
    os._exit(0)


def _rows(path: Path) -> list[str]:
    """Every frame in the file, also those that wait no more; read without the spool's code."""
    with closing(sqlite3.connect(path)) as file:
        checked = file.execute("PRAGMA integrity_check").fetchall()
        if checked != [("ok",)]:
            raise sqlite3.DatabaseError(str(checked))
        return [body for (body,) in file.execute("SELECT body FROM frame") if body is not None]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--hour", type=int, required=True, help="when it lives; a later life later")
    parser.add_argument("--seed", required=True)
    parser.add_argument("--appends", type=int, required=True)
    parser.add_argument("--spool", choices=SPOOLS, default="honest")
    parser.add_argument("--tight", action="store_true", help="on a card with little room")
    return parser


if __name__ == "__main__":
    main()
