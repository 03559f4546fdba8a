"""Errors between us and a directory server. client.py turns them into errors for users of the API."""

from collections.abc import Sequence
from typing import Any


class AwayError(Exception):
    """The server cannot be asked. The text is the reason, without the server's name: "it refuses connections"."""


class FaultError(Exception):
    """The server answers, but the configuration does not work with it. The text is the reason."""


class RefusedError(Exception):
    """The server does not accept the DN with this password."""


class TooManyError(Exception):
    """There are more entries than requested, or than the server returns. `came` has the received ones."""

    came: Sequence[Any] = ()
