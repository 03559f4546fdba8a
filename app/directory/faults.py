"""What can go wrong between us and a directory server, before it is an error for people."""

from collections.abc import Sequence
from typing import Any


class AwayError(Exception):
    """The server cannot be asked; the text is the reason, to go on after the server's name ("... is ...")."""


class FaultError(Exception):
    """The server answered and cannot do what is configured; the text is the reason."""


class RefusedError(Exception):
    """The server does not accept the DN with this password."""


class TooManyError(Exception):
    """There are more entries than were asked for, or than the server gives out; `came` are those that came."""

    came: Sequence[Any] = ()
