"""Tests that fail: run alone, with `pytest failing.py`."""

import pytest

from postroom.testing import BlockingServer


def test_a_failure_shows_the_requests(postroom: BlockingServer) -> None:
    """Below its traceback."""
    postroom.admin.put("/domains/1/users/1/password", {"new": "a new secret"})
    raise AssertionError


@pytest.mark.postroom({"users": [{"username": "anna", "colour": "red"}]})
def test_a_seed_with_a_mistake(postroom: BlockingServer) -> None:
    """The message is all that is shown."""
