"""The first of repeated advertisements passes; a press after a silence is a new one."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from adapters.frame import Frame
from edge.hearing.echo import WINDOW, Echo

BUTTON = "D4:0E:84:00:00:01"
OURS, OTHER = 0xFFFF, 0x004C


def said(at: float, payload: bytes = b"TP", *, device: str = BUTTON, other: bytes = b"") -> Frame:
    manufacturer = {OURS: payload} | ({OTHER: other} if other else {})
    return Frame(
        device=device, heard="advertisement", at=0, uptime=at, rssi=-60, manufacturer=manufacturer
    )


def test_five_hearings_of_one_press_are_one_frame() -> None:
    echo = Echo()

    passed = [echo.hear(said(at)) for at in (0.0, 0.2, 0.4, 0.6, 0.8)]

    assert [frame is not None for frame in passed] == [True, False, False, False, False]


def test_signal_strength_and_name_are_not_news() -> None:
    echo = Echo()
    echo.hear(said(0))

    assert echo.hear(replace(said(1), rssi=-80, name="Knap", services=("1809",))) is None


def test_the_same_bytes_after_ten_seconds_of_silence_are_a_second_press() -> None:
    echo = Echo()
    echo.hear(said(0))

    assert echo.hear(said(WINDOW)) is None, "still within ten seconds of its last hearing"
    assert echo.hear(said(2 * WINDOW + 0.1)) is not None


def test_a_device_that_repeats_for_ever_is_one_message_for_ever() -> None:
    echo = Echo()

    assert [at for at in range(100) if echo.hear(said(at * 5.0))] == [0]


def test_other_bytes_are_news_at_once_and_tell_how_often_the_last_were_repeated() -> None:
    echo = Echo()
    for at in (0.0, 0.1, 0.2):
        echo.hear(said(at))

    news = echo.hear(said(0.3, b"TP2"))

    assert news is not None
    assert news.repeats == 2


def test_going_back_to_earlier_bytes_is_news() -> None:
    echo = Echo()

    assert all(echo.hear(said(at, payload)) for at, payload in enumerate((b"a", b"b", b"a")))


def test_an_old_press_does_not_ride_along_with_another_company_id() -> None:
    echo = Echo()
    echo.hear(said(0, b"pressed"))

    first = echo.hear(said(60, b"pressed", other=b"1"))
    second = echo.hear(said(120, b"pressed", other=b"2"))
    again = echo.hear(said(130, b"pressed again", other=b"2"))

    assert first is not None
    assert second is not None
    assert again is not None
    assert [dict(frame.manufacturer) for frame in (first, second, again)] == [
        {OTHER: b"1"},
        {OTHER: b"2"},
        {OURS: b"pressed again"},
    ]


def test_what_a_characteristic_says_is_never_a_repeat() -> None:
    echo = Echo()
    value = Frame(device=BUTTON, heard="characteristic", at=0, uptime=0, uuid="2a19", value=b"d")

    assert echo.hear(value) is value
    assert echo.hear(value) is value


def test_devices_do_not_silence_one_another() -> None:
    echo = Echo()

    assert echo.hear(said(0)) is not None
    assert echo.hear(said(0, device="D4:0E:84:00:00:02")) is not None


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 20)), max_size=200))
def test_the_table_is_bounded_whatever_walks_past(heard: list[tuple[int, float]]) -> None:
    echo, now = Echo(devices=8), 0.0

    for device, pause in heard:
        now += pause
        echo.hear(said(now, device=f"{device:02X}:00:00:00:00:00"))

        assert len(echo) <= 8
