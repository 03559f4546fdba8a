"""What can go wrong, as exceptions that know nothing of HTTP, and the one map from them to a status.

Every message is a plain English sentence for the person who made the call: it names the thing and the reason, and
holds no secret, since it is shown to the client as it stands.
"""

from collections.abc import Sequence
from typing import ClassVar


class PostroomError(Exception):
    """Something a caller is told about. `errors` lists single reasons as "field: reason"."""

    status: ClassVar[int]
    #: Seconds after which it may be tried again, where that is known.
    retry_after: int | None = None

    def __init__(self, message: str, errors: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.errors = list(errors)


class InvalidError(PostroomError):
    """The input breaks a rule; nothing was stored."""

    status = 400

    @classmethod
    def field(cls, field: str, reason: str) -> "InvalidError":
        """One field is wrong: the message and the list both name it."""
        text = f"{field}: {reason}"
        return cls(f"Invalid input: {text}", [text])

    @classmethod
    def missing(cls, field: str, thing: str, key: object) -> "InvalidError":
        """A field names what is not there."""
        return cls.field(field, f"There is no {thing} {key}.")


class CutOffError(Exception):
    """The client has gone before its request was complete: there is nothing to do, and nobody to tell."""


class UnauthenticatedError(PostroomError):
    """Nobody is logged in, or the login does not count (any more)."""

    status = 401


class LoginFailedError(UnauthenticatedError):
    """A login attempt failed. One text for every reason, so that nobody learns which names exist."""

    def __init__(self) -> None:
        super().__init__("Login failed", ["Invalid username or password"])


class ForbiddenError(PostroomError):
    """The caller is known and may not do this."""

    status = 403


class NotFoundError(PostroomError):
    """There is no such thing, or none in the domain of the path."""

    status = 404

    @classmethod
    def of(cls, thing: str, key: object) -> "NotFoundError":
        """The one sentence for a `thing` (domain, role, user) that nothing has the ID or name of."""
        return cls(f"There is no {thing} {key}")


class ConflictError(PostroomError):
    """What is there stands in the way, and nobody has said that it may be overruled; nothing was changed."""

    status = 409


class TooLargeError(PostroomError):
    """The body is longer than is read of one."""

    status = 413


class UnsupportedError(PostroomError):
    """The body is encoded in a way that is not read."""

    status = 415


class PreconditionFailedError(PostroomError):
    """What the client has read is no longer what is stored; nothing was changed."""

    status = 412


class ThrottledError(PostroomError):
    """Too many attempts, or too many at once; nothing was looked at. The next may begin after so many seconds."""

    status = 429

    def __init__(self, reason: str, seconds: int) -> None:
        super().__init__(f"{reason}; try again in {seconds} s")
        self.retry_after = seconds


def too_many_logins() -> ThrottledError:
    """More wait for their password to be checked than may."""
    return ThrottledError("Too many logins at once", 1)


class UnavailableError(PostroomError):
    """Something postroom needs (the database, a directory server) is away; trying again later may work."""

    status = 503


class BusyError(UnavailableError):
    """There is too much to do already; nothing was done."""

    retry_after = 1


class OverdueError(UnavailableError):
    """A request took too long and was given up. A change that had begun is stored as a whole, or not at all."""

    retry_after = 5


class SlowBodyError(PostroomError):
    """The body of a request did not arrive in time; nothing was done."""

    status = 408


class MisconfiguredError(UnavailableError):
    """The directory is not configured, or does not work as it is: trying again helps once that has been mended."""
