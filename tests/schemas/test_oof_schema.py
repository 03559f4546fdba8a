"""What may be said of an out of office state, field by field."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from postroom.schemas.oof import LONGEST_SUBJECT, OofSchema
from postroom.schemas.values.users import LONGEST_TEXT

SCHEMA = OofSchema()
SUBJECTS = ["internalSubject", "externalSubject"]
REPLIES = ["internalReply", "externalReply"]
TIMES = ["startTime", "endTime"]
NUMBERS = ["state", "externalAudience"]


def assert_taken(name: str, value: Any) -> None:
    """The value loads as it is."""
    assert SCHEMA.load({name: value}) == {name: value}


def assert_refused(name: str, value: Any) -> None:
    """The value is an error of that field and no other."""
    with pytest.raises(ValidationError) as refused:
        SCHEMA.load({name: value})
    assert list(refused.value.messages_dict) == [name]


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name: str) -> None:
    """State and audience are 0, 1 or 2, and nothing that looks like it; they cannot be removed."""
    for value in (0, 1, 2):
        assert_taken(name, value)
    wrongs: list[Any] = [-1, 3, 2**70, "1", True, 1.0, None, [1], {}]
    for wrong in wrongs:
        assert_refused(name, wrong)


@pytest.mark.parametrize("name", TIMES)
def test_times(name: str) -> None:
    """A time is one that exists, in the one form; null removes it."""
    for value in ("2024-02-29 23:59:59", "0001-01-01 00:00:00", "9999-12-31 23:59:59", None):
        assert_taken(name, value)
    wrongs: list[Any] = [
        "2023-02-29 00:00:00",
        "2026-13-01 00:00:00",
        "2026-01-01 24:00:00",
        "2026-01-01 00:00:60",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00",
        "2026-01-01",
        "2026-01-01 00:00:00 ",
        "2026-01-01 00:00:00\n",
        "٢٠٢٦-01-01 00:00:00",
        "0000-01-01 00:00:00",
        "",
        "tomorrow",
        1_767_225_600,
        True,
        [],
    ]
    for wrong in wrongs:
        assert_refused(name, wrong)


@pytest.mark.parametrize("name", SUBJECTS)
def test_subjects(name: str) -> None:
    """A subject is one line, possibly empty, in any script; null removes it."""
    for value in ("", "Away", "Fährt weg 🏖️", "x" * LONGEST_SUBJECT, None):
        assert_taken(name, value)
    wrongs: list[Any] = ["x" * (LONGEST_SUBJECT + 1), 5, True, [], {}]
    for character in "\n\r\t\0\x0b\x0c\x1b\x7f\x85\x9f\u2028\u2029":
        wrongs += [f"a{character}b", character, f"a{character}"]
    for wrong in wrongs:
        assert_refused(name, wrong)


@pytest.mark.parametrize("name", REPLIES)
def test_replies(name: str) -> None:
    """A reply is any text without NUL, up to its length; null removes it."""
    for value in ("", "one\r\ntwo\n\tthree", "Subject: not one\n\nbody", "x" * LONGEST_TEXT, None):
        assert_taken(name, value)
    wrongs: list[Any] = ["x" * (LONGEST_TEXT + 1), "nul\0nul", 5, True, ["x"]]
    for wrong in wrongs:
        assert_refused(name, wrong)


def test_unknown_fields_are_ignored() -> None:
    """What a client's interface adds is dropped, whatever it is."""
    assert SCHEMA.load({"state": 1, "loading": True, "": None, "user_id": 7, "inForce": True}) == {"state": 1}


@given(st.text(max_size=LONGEST_SUBJECT))
def test_a_subject_is_one_line_or_refused(text: str) -> None:
    """No text that passes has more than one line."""
    try:
        taken = SCHEMA.load({"internalSubject": text})["internalSubject"]
    except ValidationError:
        return
    assert taken == text
    assert len(f"{text}.".splitlines()) == 1
