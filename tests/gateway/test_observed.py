"""What a device observed is told even where this version of the gateway does not know the kind."""

from datetime import UTC, datetime

from gateway.api.devices import ObservationsBody, observation_body
from gateway.reads.devices import Observed

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)


def test_an_observation_of_a_newer_version_is_told_as_unknown() -> None:
    newer = Observed(NOW, NOW, 999, 1.0, None, 99, 99, "other", "Stue", 1)

    told = ObservationsBody(observations=[observation_body(newer)], next=None)

    [one] = told.model_dump()["observations"]
    assert (one["kind"], one["unit"], one["value"]) == ("unknown", None, 1.0)
    assert (one["quality"], one["clock"]) == ("unknown", "unknown")
