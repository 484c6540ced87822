"""The command `deploy/chaos power`: the power of a box's memory card is cut, again and again.

A process lives with the box's real spool on a real file system, on a disk with a volatile write
cache. At a drawn write or flush the power goes, and a random half of what was not flushed is lost.
Then the card is mounted again, the spool opened as at a start, and all that `append` had returned
for must be there. A card lives for some cuts, so that each falls upon what others have left.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.runtime.services import scratch_folder
from deploy.world.chaos.power_ledger import Ledger
from deploy.world.chaos.power_life import SPOOLS
from deploy.world.chaos.power_rig import JOURNALS, Card, CardRefused, card, make_sure_of_rig
from deploy.world.numbers import at_least_one

SABOTEURS = tuple(name for name in SPOOLS if name != "honest")

_CUTS_OF_A_CARD = 7
_HOURS_OF_A_LIFE = 10
_MOST_REQUESTS = (12, 70, 400)
"""Writes and flushes until a cut in mounting, in opening, and in the life after both."""
_MOST_APPENDS = 500
_PATIENCE = 30.0
_LEFT_ON_TIGHT = 2_600_000  # bytes: a few lives, then receipted frames go early and bulk is thinned
_MOST_SAID = 20


def main(words: Sequence[str]) -> int:
    """Cut so often as is asked; 0 only when nothing is lost and nothing unreadable."""
    asked = _parser().parse_args(words)
    make_sure_of_rig()
    series = Series(asked.cuts, asked.seed, asked.saboteur or "honest")
    with scratch_folder() as folder:
        series.run(folder)
    result = series.count()
    _say(f"  {series.besides()}")
    for line in series.complaints[:_MOST_SAID]:
        _say(f"  {line}")
    print(json.dumps(result), flush=True)  # noqa: T201 - the command's answer
    return 1 if result["lost"] or result["unreadable"] else 0


@dataclass(slots=True)
class Series:
    """Cuts on one card after another, and what each card owed."""

    cuts: int
    seed: int
    spool: str
    done: int = 0
    checked: int = 0
    ledgers: list[Ledger] = field(default_factory=list[Ledger])

    def run(self, folder: Path) -> None:
        """All cuts; the folder is for the cards, one at a time."""
        while self.done < self.cuts:
            number = len(self.ledgers)
            self.ledgers.append(Ledger())
            journal = JOURNALS[number % len(JOURNALS)]
            with card(folder / f"card-{number}", journal=journal) as made:
                self._wear_out(made, self.ledgers[-1], tight=number % 3 == 2)  # noqa: PLR2004
                self.checked += made.checked

    def count(self) -> dict[str, int]:
        """What the command answers."""
        return {
            "cuts": self.done,
            "appended": sum(ledger.appended for ledger in self.ledgers),
            "lost": sum(len(ledger.lost) for ledger in self.ledgers),
            "unreadable": sum(len(ledger.unreadable) for ledger in self.ledgers),
        }

    def besides(self) -> str:
        """What else the spools did meanwhile, in a line."""
        names = ("receipted", "forgotten", "thinned")
        counts = (f"{sum(getattr(one, name) for one in self.ledgers):,} {name}" for name in names)
        cards = f"{len(self.ledgers)} cards, {self.checked} torn superblocks"
        return f"{cards}; {', '.join(counts)}"

    @property
    def complaints(self) -> list[str]:
        """What is lost and what unreadable, each in a line."""
        lost = [f"lost: {line}" for ledger in self.ledgers for line in ledger.lost]
        return lost + [f"unreadable: {line}" for one in self.ledgers for line in one.unreadable]

    def _wear_out(self, made: Card, ledger: Ledger, *, tight: bool) -> None:
        """Cut until the card has had its share, or cannot be read; then look a last time."""
        ends = min(self.cuts, self.done + _CUTS_OF_A_CARD)
        if tight:
            made.fill(leave=_LEFT_ON_TIGHT)
        while self.done < ends and not ledger.unreadable:
            rng = random.Random(f"power {self.seed} {self.done}")  # noqa: S311 - play
            Cut(made, ledger, self.done, rng, self.spool, tight=tight).make()
            self.done += 1
            self._progress()
        if not ledger.unreadable:
            rng = random.Random(0)  # noqa: S311 - nothing is drawn
            Cut(made, ledger, self.done, rng, self.spool, tight=tight).look()

    def _progress(self) -> None:
        percent, step = 100 * self.done // self.cuts, max(1, self.cuts // 50)
        if self.done % step == 0 or self.done == self.cuts:
            found = self.count()
            _say(
                f"  {percent:3} %: {found['cuts']:,} cuts, {found['appended']:,} appended,"
                f" {found['lost']:,} lost, {found['unreadable']:,} unreadable"
            )


class Cut:
    """One start of the box, and the power cut in it."""

    def __init__(
        self,
        made: Card,
        ledger: Ledger,
        number: int,
        rng: random.Random,
        spool: str,
        *,
        tight: bool,
    ) -> None:
        self._card = made
        self._ledger = ledger
        self._hour = number * _HOURS_OF_A_LIFE
        self._rng = rng
        words = ["--hour", str(self._hour), "--seed", str(rng.random()), "--spool", spool]
        self._words = [*words, "--tight"] if tight else words

    def make(self) -> None:
        """Power on, mount, live until the cut, which falls in any of the three."""
        self._card.power_on()
        mounting, opening, living = (self._rng.randint(1, most) for most in _MOST_REQUESTS)
        when = self._rng.choices(("mounting", "opening", "living"), (10, 25, 65))[0]
        if when == "mounting":
            self._plan(mounting)
        if self._mount():
            if when != "mounting":
                self._plan(opening if when == "opening" else _MOST_REQUESTS[1] + living)
            self._live(appends=_MOST_APPENDS)
        self._end()

    def look(self) -> None:
        """Power on, mount, and only look."""
        self._card.power_on()
        if self._mount():
            self._live(appends=0)
        self._card.unmount()

    def _plan(self, after: int) -> None:
        self._card.plan_cut(after, seed=self._rng.getrandbits(63))

    def _mount(self) -> bool:
        try:
            self._card.mount()
        except CardRefused as refused:
            if not self._card.is_off:
                self._ledger.unreadable.append(str(refused))
            return False
        return True

    def _live(self, *, appends: int) -> None:
        for line in self._lines(appends):
            if line.get("opening") and not self._card.is_off:
                line = {"unusable": line["ended"]}  # noqa: PLW2901 - with its power it must open
            self._ledger.hear(line, hour=self._hour)

    def _lines(self, appends: int) -> Iterator[Mapping[str, Any]]:
        """What the life says until its end; it ends by itself when the disk fails."""
        life = [sys.executable, "-P", "-m", "deploy.world.chaos.power_life"]
        spool = self._card.mounted / "spool.sqlite"
        done = subprocess.run(
            [*life, str(spool), "--appends", str(appends), *self._words],
            stdout=subprocess.PIPE,
            timeout=_PATIENCE,
            check=False,
        )
        # SQLite maps a file into its memory, which is a SIGBUS once the card no longer answers
        if not (done.returncode == -signal.SIGBUS and self._card.is_off):
            done.check_returncode()
        return map(json.loads, done.stdout.splitlines())

    def _end(self) -> None:
        """A life that ended before its cut has it now, at the first write of the unmounting."""
        if not self._card.is_off:
            self._plan(1)
        self._card.unmount()


def _say(line: str) -> None:
    """Tell whoever waits, on standard error: the answer alone is on standard output."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deploy/chaos power", description=__doc__)
    parser.add_argument("--cuts", type=at_least_one, default=100, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of lives and cuts (%(default)s)")
    parser.add_argument("--saboteur", choices=SABOTEURS, help="a spool that breaks the promise")
    return parser
