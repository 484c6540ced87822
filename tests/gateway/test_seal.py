"""What is sealed opens with the right key in its own place, and nowhere else."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.settings import BadSetting, Settings
from gateway.store import seal
from gateway.store.seal import Place, Seal, Unsealable, new_line, of_settings, parse

NAME = Place(1, "citizen", 7, "name")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
OLD, NEW = parse(new_line()), parse(new_line())
BOTH = Seal(NEW.current, {**NEW.keys, **OLD.keys})


@given(TEXTS)
def test_what_is_sealed_opens_again_and_shows_nothing(text: str) -> None:
    kept = OLD.seal(text, NAME)

    assert OLD.open(kept, NAME) == text
    assert not text or kept.startswith(seal.MARK)
    assert len(text) < 4 or text not in kept


def test_the_same_name_is_never_kept_twice_alike() -> None:
    assert OLD.seal("Inger Holm", NAME) != OLD.seal("Inger Holm", NAME)


@pytest.mark.parametrize(
    "elsewhere",
    [
        Place(2, "citizen", 7, "name"),
        Place(1, "person", 7, "name"),
        Place(1, "citizen", 8, "name"),
        Place(1, "citizen", 7, "address"),
    ],
)
def test_what_is_moved_to_another_place_does_not_open(elsewhere: Place) -> None:
    kept = OLD.seal("Inger Holm", NAME)

    with pytest.raises(Unsealable):
        OLD.open(kept, elsewhere)


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    kept = OLD.seal("Inger Holm", NAME)

    assert BOTH.open(kept, NAME) == "Inger Holm"
    assert not BOTH.is_current(kept)
    assert BOTH.is_current(BOTH.seal("Inger Holm", NAME))
    with pytest.raises(Unsealable):
        NEW.open(kept, NAME)


def test_what_was_kept_before_there_was_a_key_is_given_as_it_is() -> None:
    assert OLD.open("Inger Holm", NAME) == "Inger Holm"
    assert OLD.open_bytes(b"0123456789abcdef", NAME) == b"0123456789abcdef"


@given(st.binary(max_size=64))
def test_bytes_are_sealed_too(value: bytes) -> None:
    assert OLD.open_bytes(OLD.seal_bytes(value, NAME), NAME) == value


@given(st.text(max_size=80) | st.from_regex(r"sealed1:[a-z]{1,9}:[A-Za-z0-9_=-]*", fullmatch=True))
def test_whatever_stands_in_the_database_opens_or_is_unsealable(kept: str) -> None:
    named = re.sub("(?<=^sealed1:)[a-z]+(?=:)", OLD.current, kept)
    for one in (kept, named):
        try:
            assert OLD.open(one, NAME) == one
        except Unsealable:
            assert one.startswith(seal.MARK)


@example(at=89_979_148_608, by=1)  # bits of the last letter before the "=" that say nothing
@given(st.integers(min_value=len(seal.MARK)), st.integers(1, 127))
def test_every_changed_letter_is_noticed(at: int, by: int) -> None:
    kept = OLD.seal("Inger Holm", NAME)
    place = len(seal.MARK) + at % (len(kept) - len(seal.MARK))
    other = kept[:place] + chr((ord(kept[place]) + by) % 128) + kept[place + 1 :]

    with pytest.raises(Unsealable):
        OLD.open(other, NAME)


@given(st.text(max_size=200))
def test_whatever_a_key_file_holds_is_read_or_refused_in_words(text: str) -> None:
    try:
        assert parse(text).keys
    except ValueError as refused:
        assert str(refused)  # noqa: PT017 - it may also be read


def test_no_key_is_ever_shown(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    line = new_line()
    file.touch(mode=0o600)
    file.write_text(f"# ours\n{line}{line}")

    with pytest.raises(BadSetting) as refused:
        of_settings(Settings(identity_key=file))

    assert str(refused.value).endswith("line 3: the id stands there twice")
    key = line.split()[1]
    assert key not in str(refused.value)
    assert key not in repr(parse(line))


def test_production_does_not_go_without_a_key(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="GATEWAY_IDENTITY_KEY: in production"):
        of_settings(Settings())
    with pytest.raises(BadSetting, match=r"GATEWAY_IDENTITY_KEY: .*No such file"):
        of_settings(Settings(identity_key=tmp_path / "nothing"))
    (tmp_path / "danish").touch(mode=0o600)
    (tmp_path / "danish").write_text("nøgle æ\n")
    with pytest.raises(BadSetting, match=r"danish: line 1: not an id and a key"):
        of_settings(Settings(identity_key=tmp_path / "danish"))

    assert of_settings(Settings(production=False)).current == "development"
