"""FLOAT and SFLOAT by the standard: exact decimals, and five values that are no numbers."""

import pytest

from adapters.ieee11073 import Special, float_value, sfloat_value


@pytest.mark.parametrize(
    ("data", "number"),
    [
        ("710e00fe", 36.97),  # 3697 * 10^-2
        ("6c0100ff", 36.4),
        ("d60300ff", 98.2),
        ("00000000", 0.0),
        ("ffffffff", -0.1),  # -1 * 10^-1
        ("0100007f", 1e127),
        ("01000080", 1e-128),
        ("fdff7f00", 8388605.0),  # the largest mantissa that is a number
        ("03008000", -8388605.0),
        ("ffff7fff", 838860.7),  # NaN's mantissa with an exponent is a number
    ],
)
def test_a_float_is_its_mantissa_times_its_power_of_ten(data: str, number: float) -> None:
    assert float_value(bytes.fromhex(data)) == number


@pytest.mark.parametrize(
    ("data", "number"),
    [
        ("76b0", 0.00118),  # 118 * 10^-5
        ("d4f3", 98.0),
        ("2500", 37.0),
        ("25f0", 3.7),
        ("7800", 120.0),
        ("0cf1", 26.8),
        ("ff0f", -1.0),
        ("0170", 1e7),
        ("0180", 1e-8),
        ("fd07", 2045.0),
        ("0308", -2045.0),
        ("fff7", 204.7),
    ],
)
def test_an_sfloat_is_its_mantissa_times_its_power_of_ten(data: str, number: float) -> None:
    assert sfloat_value(bytes.fromhex(data)) == number


@pytest.mark.parametrize(
    ("data", "short", "special"),
    [
        ("ffff7f00", "ff07", Special.NOT_A_NUMBER),
        ("00008000", "0008", Special.NOT_AT_THIS_RESOLUTION),
        ("feff7f00", "fe07", Special.PLUS_INFINITY),
        ("02008000", "0208", Special.MINUS_INFINITY),
        ("01008000", "0108", Special.RESERVED),
    ],
)
def test_what_is_no_number_is_not_read_as_one(data: str, short: str, special: Special) -> None:
    assert float_value(bytes.fromhex(data)) is special
    assert sfloat_value(bytes.fromhex(short)) is special


def test_every_sfloat_is_one_number_and_written_back_the_same() -> None:
    for whole in range(0x10000):
        value = sfloat_value(whole.to_bytes(2, "little"))

        mantissa, exponent = whole & 0x0FFF, whole >> 12
        mantissa -= 0x1000 if mantissa >= 0x0800 else 0
        exponent -= 16 if exponent >= 8 else 0
        assert isinstance(value, Special) or value == float(f"{mantissa}e{exponent}")


@pytest.mark.parametrize("length", [0, 1, 3, 5])
def test_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="bytes make the number"):
        float_value(bytes(length))
    with pytest.raises(ValueError, match="bytes make the number"):
        sfloat_value(bytes(length))
