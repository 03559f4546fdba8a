"""Which paths a pattern of a fault stands for."""

import pytest

from postroom.testing.operations import can_be, parts_of


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/domains", "/domains", True),
        ("/domains", "/domains/1", False),
        ("/domains/*", "/domains", False),
        ("/domains/*/users/7", "/domains/{domainID}/users/{userID}", True),
        ("/**", "/domains/1/users", True),
        ("/domains/**", "/domains", True),
        ("/domains/**/users", "/domains/users", True),
        ("/domains/**/users", "/domains/1/users/users", True),
        ("/domains/**/users", "/domains/1/users/2", False),
        ("/**/users/**", "/domains/1/users/2/sync", True),
        ("/**/**", "/domains", True),
        ("/**/users/**/users", "/domains/1/users", False),
        ("/do*/**/s?nc", "/domains/1/users/2/sync", True),
    ],
)
def test_which_paths(pattern: str, path: str, matches: bool) -> None:
    """`*` is within a part, `**` any number of parts, also none."""
    assert can_be(parts_of(pattern), parts_of(path)) == matches


def test_many_of_any_number() -> None:
    """Take no longer than others: they were tried one after the other, for ever."""
    assert not can_be(["**"] * 300 + ["x"], ["a"] * 1000)
    assert not can_be(["**", "a"] * 150 + ["x"], ["a"] * 1000)
    assert can_be(["**", "a"] * 150, ["a"] * 1000)
