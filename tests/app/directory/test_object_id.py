import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.app.directory.object_id import escape_object_id, filter_escape, parse_object_id
from postroom.app.errors import InvalidError
from postroom.schemas.ldap_filters import check_filter


@given(st.binary(min_size=1))
@example(bytes.fromhex("5c2a282900"))
@example(bytes(range(256)))
def test_any_bytes_come_back(raw: bytes) -> None:
    """An object ID of any bytes survives the way to the API and back, and is plain ASCII there."""
    text = escape_object_id(raw)
    assert text.isascii()
    assert parse_object_id(text) == raw
    assert parse_object_id(filter_escape(raw)) == raw
    check_filter(f"(objectGUID={filter_escape(raw)})")


def test_spelling() -> None:
    """Letters and digits stand for themselves, everything else is a lower-case escape, in a filter all bytes."""
    assert escape_object_id(b"aZ9-\\\xff") == r"aZ9\2d\5c\ff"
    assert filter_escape(b"a\x00*") == r"\61\00\2a"


@pytest.mark.parametrize(("text", "raw"), [(r"\2D\2d", b"--"), ("a-b", b"a-b"), ("é", b"\xc3\xa9"), ("a\nb", b"a\nb")])
def test_lenient_spelling(text: str, raw: bytes) -> None:
    """Escapes may be upper case, and other characters may go unescaped."""
    assert parse_object_id(text) == raw


@pytest.mark.parametrize(
    "text",
    [
        *("", "\\", "\\1", "a\\zz", "\\ 1", "\ud800"),
        *("\\\\", "\\0g", "\\g0", "\\x41", "\\+1", "\\-1", "\\1_", "\\1\n", "\\\n1"),
        *("\\é0", "\\\u0661\u0662", "\\００", "ab\\4", "\\41\\"),
    ],
)
def test_broken_ids_are_refused(text: str) -> None:
    """An empty ID or a broken escape is the caller's error."""
    with pytest.raises(InvalidError):
        parse_object_id(text)


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    """Whatever a client sends is either an ID or an InvalidError."""
    with contextlib.suppress(InvalidError):
        assert parse_object_id(text)
