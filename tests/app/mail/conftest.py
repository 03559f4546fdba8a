"""Fixtures of the tests of what mail servers ask."""

from tests.support.sieve import deliver, folder

__all__ = ["deliver", "folder"]
