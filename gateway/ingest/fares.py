"""How many boxes fare ill and in which way, for /metrics: counts, and never which box."""

from collections.abc import Iterable

from gateway.health import Health
from gateway.store.cards import TROUBLES, Card

_OTHER = "other"


class Fares:
    """The gauges of who is on duty; whoever is not tells 0, so that the sum is right."""

    def __init__(self, health: Health) -> None:
        self._trouble = health.gauge("boxes_in_trouble", "Boxes by what is wrong", ("trouble",))
        self._second = health.gauge("boxes_on_second_path", "Boxes that send by their second way")
        self._deaf = health.gauge("boxes_deaf", "Boxes whose radio hears nothing")
        self._refused = health.gauge(
            "boxes_config_refused", "Boxes that do not follow their newest configuration"
        )
        self.begin(())

    def begin(self, cards: Iterable[Card]) -> None:
        """These are all; what was counted before is forgotten."""
        for word in (*TROUBLES, _OTHER):
            self._trouble.labels(word).set(0)
        self._second.set(0)
        self._deaf.set(0)
        self._refused.set(0)
        for card in cards:
            self._count(card, 1)

    def change(self, before: Card | None, now: Card) -> None:
        """A box says another thing."""
        if before is not None:
            self._count(before, -1)
        self._count(now, 1)

    def _count(self, card: Card, one: int) -> None:
        if card.trouble is not None:
            word = card.trouble if card.trouble in TROUBLES else _OTHER  # a label has few values
            self._trouble.labels(word).inc(one)
        if card.path is not None and card.path > 1:
            self._second.inc(one)
        if card.reader == "silent":
            self._deaf.inc(one)
        if card.refused is not None:
            self._refused.inc(one)
