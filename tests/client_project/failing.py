"""Tests that fail: run alone, with `pytest failing.py`."""

import pytest

from postroom.testing import BlockingServer


def test_a_failure_shows_the_requests(postroom: BlockingServer) -> None:
    """Below its traceback."""
    postroom.faults.add(status=503, operation="deleteUser")
    postroom.admin.put("/domains/1/users/1/password", {"new": "a new secret"})
    raise AssertionError


@pytest.mark.postroom({"users": [{"username": "anna", "colour": "red"}]})
def test_a_seed_with_a_mistake(postroom: BlockingServer) -> None:
    """The message is all that is shown."""


@pytest.mark.postroom({"users": ["anna"]}, strict=True)
def test_something_that_is_not_described(postroom: BlockingServer) -> None:
    """In strict mode, the test that did it fails."""
    assert postroom.admin.get("/domains/1/users", {"limt": 10})["count"] == 1


@pytest.mark.postroom({"users": ["anna"]}, strict=True)
def test_what_is_forgotten_is_forgiven(postroom: BlockingServer) -> None:
    """As is everything that is described."""
    assert postroom.admin.get("/domains/1/users", {"limt": 10})["count"] == 1
    postroom.requests.clear()
    assert postroom.admin.get("/domains/1/users", {"limit": 10})["count"] == 1
