"""Errors between us and a directory server. client.py turns them into errors for users of the API."""

from collections.abc import Sequence
from typing import Any, Final

NO_SUCH_OBJECT, INVALID_DN, BAD_FILTER = 32, 34, -7
#: Result code of RFC 4511 (negative: libldap's own) -> what is wrong with the configuration.
REASONS: Final = {
    1: "it requires a bind user",
    7: "it does not support this way of logging in",
    8: "it requires an encrypted connection",
    13: "it requires an encrypted connection",
    10: "it refers to another server",
    NO_SUCH_OBJECT: "the base DN does not exist or may not be read",
    INVALID_DN: "the base DN or the bind user is not a valid DN",
    50: "the bind user may not search",
    BAD_FILTER: "the filter is not valid",
    3: "its time limit for a search is too low",
    11: "it returns only part of its entries: the limits of the bind user have to be raised",
}


class AwayError(Exception):
    """The server cannot be asked. The text is the reason, without the server's name: "it refuses connections"."""


class FaultError(Exception):
    """The server answers, but the configuration does not work with it. The text is the reason."""


class RefusedError(Exception):
    """The server does not accept the DN with this password."""


class TooManyError(Exception):
    """There are more entries than requested, or than the server returns. `came` has the received ones."""

    came: Sequence[Any] = ()
