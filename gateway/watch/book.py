"""The rules with their settings, by municipality."""

from collections.abc import Sequence
from typing import Any

from gateway.rules.all import ALL_RULES
from gateway.rules.finding import Rule
from gateway.store.rules import StoredSettings


class RuleBook:
    """Which settings decide: those that planners stored, or those of the code."""

    def __init__(
        self, stored: Sequence[StoredSettings] = (), *, rules: Sequence[Rule[Any]] = ALL_RULES
    ) -> None:
        """Raises BadSettings when a stored version is not what its rule understands."""
        by_name = {rule.name: rule for rule in rules}
        self._stored = {
            (one.municipality, one.rule): (one.version, by_name[one.rule].configured(one.settings))
            for one in stored
            if one.rule in by_name
        }

    def settings(self, municipality: int, rule: Rule[Any]) -> tuple[int, Any]:
        """Return the version and the settings; version 0 is what stands in the code."""
        return self._stored.get((municipality, rule.name), (0, rule.defaults))
