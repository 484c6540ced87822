"""What a spool owes after a power cut, by what was told before; shares no code with the spool."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

KEPT_HOURS = 72
"""For so long a frame stays after its receipt (the box's `keep_days`)."""


@dataclass(slots=True)
class Owed:
    """A frame for which `append` has returned: its lane, and the hour of its receipt if any."""

    lane: str
    receipted: int | None = None


@dataclass(slots=True)
class Ledger:
    """All that the spool on one card owes; fed with the lines of every life on it."""

    appended: int = 0
    receipted: int = 0
    forgotten: int = 0
    thinned: int = 0
    lost: list[str] = field(default_factory=list[str])
    unreadable: list[str] = field(default_factory=list[str])
    _owed: dict[str, Owed] = field(default_factory=dict[str, Owed])
    _begun: dict[str, str] = field(default_factory=dict[str, str])
    _early: int = 0
    _noted: int = 0

    def hear(self, line: Mapping[str, Any], *, hour: int) -> None:
        """One line of a life that lives at that hour."""
        match line:
            case {"begins": lane, "texts": texts}:
                self._begun |= dict.fromkeys(texts, lane)
            case {"kept": count}:
                self._keep(list(self._begun)[-count:])
            case {"receipts": texts}:
                self._receipt(texts, hour)
            case {"remembered": number}:
                self._noted = number
            case {"look": waiting}:
                self._judge(waiting, line, hour)
            case {"unusable": why}:
                self.unreadable.append(why)
            case _:
                pass

    def _keep(self, texts: Sequence[str]) -> None:
        self.appended += len(texts)
        for text in texts:
            self._owed[text] = Owed(self._begun.pop(text))

    def _receipt(self, texts: Sequence[str], hour: int) -> None:
        self.receipted += len(texts)
        for text in texts:
            self._owed[text].receipted = hour

    def _judge(
        self, waiting: Mapping[str, Sequence[str]], told: Mapping[str, Any], hour: int
    ) -> None:
        """Hold what an opened spool shows to what it owes; what it shows it owes from then on."""
        if told["spoilt"]:
            self.unreadable.append(f"{told['spoilt']} files were set aside as spoilt")
        if told["noted"] < self._noted:
            self.lost.append(f"the note {self._noted}: it is {told['noted']} again")
        shown = self._shown(waiting)
        gone = {text: owed for text, owed in self._owed.items() if text not in shown}
        self._judge_receipted(
            {t: owed.receipted for t, owed in gone.items() if owed.receipted is not None},
            file=frozenset(told["file"]),
            early=told["early"],
            hour=hour,
        )
        self._judge_waiting([t for t, owed in gone.items() if owed.receipted is None], shown, told)
        for text, lane in shown.items():
            self._owed[text] = Owed(lane)
        self._begun.clear()

    def _shown(self, waiting: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """Text and lane of what waits; each must have been appended, to that lane, and once."""
        shown = dict[str, str]()
        for lane, texts in waiting.items():
            for text in texts:
                owed = self._owed.get(text)
                known = owed.lane if owed else self._begun.get(text)
                if known != lane or text in shown:
                    self.unreadable.append(f"nobody appended this to {lane}, or once: {text}")
                shown[text] = lane
        return shown

    def _judge_receipted(
        self, gone: Mapping[str, int], *, file: Collection[str], early: int, hour: int
    ) -> None:
        """A receipted frame stays in the file for its days, but for those that a full card took."""
        for text, receipted in gone.items():
            if text in file:
                continue
            old = hour > receipted + KEPT_HOURS
            self._early += not old
            if not old and self._early > early:
                self.lost.append(f"receipted, and deleted {hour - receipted} h later: {text}")
            self.forgotten += 1
            del self._owed[text]

    def _judge_waiting(
        self, gone: Sequence[str], shown: Mapping[str, str], told: Mapping[str, Any]
    ) -> None:
        """Nothing that waits may go, but for the oldest of the bulk lane where room was made."""
        bulk = (text for text, lane in shown.items() if lane == "bulk" and text in self._owed)
        order = {text: place for place, text in enumerate(self._owed)}
        oldest = min((order[text] for text in bulk), default=len(order))
        for text in gone:
            room = self.thinned < told["given_up"] and self._owed[text].lane == "bulk"
            if room and order[text] < oldest:
                self.thinned += 1
            else:
                self.lost.append(f"{self._owed[text].lane}: {text}")
            del self._owed[text]
