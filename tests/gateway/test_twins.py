"""Two boxes under one name are told from one that starts again."""

import pytest

from gateway.ingest.twins import Twins


@pytest.mark.parametrize(
    ("starts", "seen"),
    [
        ([100, 100, 100], [False, False, False]),
        ([100, 200, 200, 300], [False, False, False, False]),
        ([100, 50, 50, 200], [False, False, False, False]),  # its clock stepped back
        ([100, 200, 100, 200, 200, 100], [False, False, True, True, False, True]),
    ],
)
def test_who_comes_back_after_another_is_a_twin(starts: list[int], seen: list[bool]) -> None:
    twins = Twins()

    assert [twins.spoke("box-01", started) for started in starts] == seen
    assert not twins.spoke("box-02", 100), "of another box nothing follows"
