"""The fixtures, without asyncio."""

import sys

import pytest

from app import Directory
from postroom.testing import BlockingClient, BlockingServer
from schemas import User
from storage import remembered

ANNA, BERT = User(1, "anna@example.org"), User(2, "bert@example.org")


@pytest.fixture
def directory(postroom: BlockingServer) -> Directory:
    """The client under test."""
    return Directory(postroom.url, postroom.admin.token)


@pytest.mark.parametrize("time", [1, 2])
def test_each_test_begins_with_the_seed(directory: Directory, postroom: BlockingServer, time: int) -> None:
    """What the last test has stored is gone."""
    remembered[:] = directory.users()
    assert remembered == [ANNA, BERT]
    assert len(postroom.requests) == 1
    directory.rename(ANNA, "anna.berg")
    postroom.requests.assert_called("patchUser", body={"username": "anna.berg"})


def test_settings_count(postroom_client: BlockingClient) -> None:
    """Those of pytest.ini."""
    postroom_client.post("/domains/1/users", {"username": "short", "password": "abc"})


@pytest.mark.postroom({"users": ["carla"]})
def test_a_seed_of_its_own(postroom: BlockingServer, postroom_server: BlockingServer) -> None:
    """A marked test has another server."""
    assert [user.username for user in Directory(postroom.url, postroom.admin.token).users()] == ["carla@example.org"]
    assert postroom.url != postroom_server.url


def test_the_server_of_the_process(postroom_server: BlockingServer, postroom: BlockingServer) -> None:
    """It is the same server, reset."""
    assert postroom is postroom_server


def test_the_packages_are_those_of_this_project() -> None:
    """postroom has none of these names."""
    for name in ("app", "schemas", "storage"):
        assert "client_project" in (sys.modules[name].__file__ or ""), name
