"""The fixtures on unittest."""

import unittest

import pytest

from app import Directory
from postroom.testing import BlockingServer


class TestDirectory(unittest.TestCase):
    """A class of unittest gets the server from a fixture that runs for each test."""

    postroom: BlockingServer

    @pytest.fixture(autouse=True)
    def _with_postroom(self, postroom: BlockingServer) -> None:
        self.postroom = postroom

    def test_users(self) -> None:
        """The client finds the users of the seed."""
        users = Directory(self.postroom.url, self.postroom.admin.token).users()
        assert len(users) == 2

    @pytest.mark.postroom({"users": ["carla"]})
    def test_a_seed_of_its_own(self) -> None:
        """Marks work as well."""
        users = Directory(self.postroom.url, self.postroom.admin.token).users()
        assert [user.username for user in users] == ["carla@example.org"]
