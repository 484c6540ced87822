"""A receipt is read strictly: what is not one changes nothing."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sending.receipt import BadReceipt, Receipt, read_receipt

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def test_a_receipt_tells_the_ranges_of_each_stream() -> None:
    said = b'{"format":1,"epoch":"e","streams":{"s":[[1,5],[7,7]],"t":[]}}'

    assert read_receipt(said) == Receipt("e", {"s": ((1, 5), (7, 7)), "t": ()})


def test_a_receipt_may_ask_for_what_is_missing() -> None:
    said = b'{"format":1,"epoch":"e","streams":{},"missing":{"s":[[2,3]]}}'

    assert read_receipt(said) == Receipt("e", {}, {"s": ((2, 3),)})


@pytest.mark.parametrize(
    "missing", ["[]", "null", '{"s":[[3,2]]}', '{"s":1}', f'{{"s":[[1,{2**70}]]}}']
)
def test_an_asking_that_is_none_is_refused(missing: str) -> None:
    said = f'{{"format":1,"epoch":"e","streams":{{}},"missing":{missing}}}'.encode()

    with pytest.raises(BadReceipt):
        read_receipt(said)


@pytest.mark.parametrize(
    "ranges",
    [
        *("[[0,5]]", "[[5,1]]", "[[1,2,3]]", "[[1.0,2]]", "[[true,2]]", "{}", "[1]", "null"),
        *(f"[[1,{2**53}]]", f"[[1,{2**70}]]", f"[[{2**70},{2**71}]]"),
    ],
)
def test_ranges_that_are_none_are_refused(ranges: str) -> None:
    said = f'{{"format":1,"epoch":"e","streams":{{"s":{ranges}}}}}'.encode()

    with pytest.raises(BadReceipt):
        read_receipt(said)


@given(st.binary() | JSON.map(lambda said: json.dumps(said).encode()))
def test_anything_at_all_is_a_receipt_or_a_bad_receipt(payload: bytes) -> None:
    with contextlib.suppress(BadReceipt):
        read_receipt(payload)


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(BadReceipt):
        read_receipt(b"[" * 100_000)
