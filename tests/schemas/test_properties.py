"""Property values: each kind takes what it is, and nothing else."""

import base64
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from postroom.schemas.properties import parse_names, parse_value
from postroom.schemas.values import proptags
from postroom.schemas.values.proptags import PropTag
from postroom.schemas.values.users import LONGEST_TEXT


def proptag(name: str) -> PropTag:
    """The property of a name that is known."""
    found = proptags.find(name)
    assert found is not None
    return found


INTEGER = proptag("displaytypeex")
QUOTA = proptag("storagequotalimit")
BOOLEAN = proptag("alternaterecipientallowed")
TEXT = proptag("displayname")
TIME = proptag("creationtime")
BINARY = proptag("entryid")

GOOD: list[tuple[PropTag, Any, Any]] = [
    (INTEGER, 0, 0),
    (INTEGER, -(2**31), -(2**31)),
    (INTEGER, 2**31 - 1, 2**31 - 1),
    (QUOTA, 1000, 1000),
    (QUOTA, "10 GiB", 10 * 1024 * 1024),
    (QUOTA, "1.5MiB", 1536),
    *(
        (QUOTA, f"1{space}{letter}{rest}", 1024**power)
        for power, letter in enumerate("KMGT")
        for rest in ("", "B", "iB", "ib")
        for space in ("", " ")
    ),
    (QUOTA, "10m", 10 * 1024),
    (QUOTA, "5 KiB", 5),
    (BOOLEAN, True, True),
    (TEXT, "", ""),
    (TEXT, "two\nlines 👩‍🚀", "two\nlines 👩‍🚀"),
    (TEXT, "x" * LONGEST_TEXT, "x" * LONGEST_TEXT),
    (TIME, "2024-02-29 23:59:59", "2024-02-29 23:59:59"),
    (BINARY, "", ""),
    (BINARY, "AAEC", "AAEC"),
]


@pytest.mark.parametrize(("tag", "value", "expected"), GOOD)
def test_good_values(tag: PropTag, value: Any, expected: Any) -> None:
    """A value of the right kind is stored as it is; a quota with a unit in KiB."""
    assert parse_value(tag, value) == expected


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (INTEGER, "5"),
        (INTEGER, 5.0),
        (INTEGER, True),
        (INTEGER, 2**31),
        (INTEGER, [1]),
        (INTEGER, "10 GiB"),
        (QUOTA, "10"),
        (QUOTA, "10B"),
        (QUOTA, "10  MB"),
        (QUOTA, "10 PiB"),
        (QUOTA, "M"),
        (QUOTA, "-1 GiB"),
        (QUOTA, -1),
        (QUOTA, "2 TiB"),
        (QUOTA, "1e3 KiB"),
        (BOOLEAN, 1),
        (BOOLEAN, "true"),
        (TEXT, 5),
        (TEXT, ["x"]),
        (TEXT, "nul\0"),
        (TEXT, "x" * (LONGEST_TEXT + 1)),
        (TIME, "2023-02-29 00:00:00"),
        (TIME, "2023-02-28T00:00:00"),
        (TIME, "2023-02-28 24:00:00"),
        (TIME, 0),
        (BINARY, "A"),
        (BINARY, "AAF="),
        (BINARY, "AA EC"),
        (BINARY, "ää=="),
        (BINARY, b"x"),
    ],
)
def test_wrong_values(tag: PropTag, value: Any) -> None:
    """A value of another kind is refused with a reason that does not repeat it."""
    with pytest.raises(ValidationError) as refused:
        parse_value(tag, value)
    assert str(value)[:40] not in str(refused.value) or len(str(value)) < 6


@given(st.binary(max_size=300))
def test_binary_comes_back_byte_for_byte(raw: bytes) -> None:
    """Base64 of any bytes is taken and stays the same text."""
    text = base64.b64encode(raw).decode()
    assert parse_value(BINARY, text) == text


@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)))  # noqa: DTZ001 - times have no zone
def test_every_moment_is_taken(moment: datetime) -> None:
    """Any second of any year that the form can say is a time."""
    text = moment.replace(microsecond=0).isoformat(" ")
    assert parse_value(TIME, text) == text


def test_multi_valued_properties_are_lists_in_order() -> None:
    """A property of several values takes a list, each of the right kind, and keeps the order."""
    multi = next(tag for tag in proptags._table()[1].values() if tag.multi and tag.kind == "text")
    assert parse_value(multi, ["b", "a", "b"]) == ["b", "a", "b"]
    assert parse_value(multi, []) == []
    for wrong in ("b", [1], [None], ["a", 1], {"a": 1}):
        with pytest.raises(ValidationError):
            parse_value(multi, wrong)


def test_unsupported_types() -> None:
    """Objects, rules and the like can be named but not stored."""
    unsupported = next(tag for tag in proptags._table()[1].values() if tag.kind is None)
    with pytest.raises(ValidationError, match="Unsupported"):
        parse_value(unsupported, "x")


def test_names_and_numbers_mean_the_same() -> None:
    """A property is found by its name in any case and by its number."""
    assert [tag.name for tag in parse_names(["DISPLAYNAME", "0x3001001F", "0x3001001f"])] == ["displayname"]
    for unknown in ("nosuch", "0x", "0xzz", "0x12345678", ""):
        with pytest.raises(ValidationError):
            parse_names([unknown])


def test_the_table_is_whole() -> None:
    """Every line of the table is a property, and each tag's type is one that is known or known to be unsupported."""
    by_name, by_tag = proptags._table()
    assert len(by_name) == 645
    assert {tag.tag & 0xFFFF for tag in by_tag.values() if tag.kind is None} == {0x0D, 0x48, 0xFB, 0xFD, 0xFE}
