"""The errors that a client gets: exceptions that know nothing of HTTP except their status.

Every message is a plain English sentence for the person who made the call. It names the thing and the reason. The
client sees it unchanged, so it holds no secret.
"""

from collections.abc import Sequence
from typing import ClassVar


class PostroomError(Exception):
    """An error that the client is told about. `errors` lists single reasons as "field: reason"."""

    status: ClassVar[int]
    #: Seconds until the client may try again, if known.
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
        """The error for one wrong field; the message and the list both name the field."""
        text = f"{field}: {reason}"
        return cls(f"Invalid input: {text}", [text])

    @classmethod
    def missing(cls, field: str, thing: str, key: object) -> "InvalidError":
        """The error for a field that refers to a `thing` that does not exist."""
        return cls.field(field, f"There is no {thing} {key}.")


class CutOffError(Exception):
    """The client disconnected before its request was complete. Nothing is done, and no response is sent."""


class HungUpError(PostroomError):
    """The client disconnected while its lines were done. Nobody reads this but those who look at the task."""

    status = 400

    def __init__(self) -> None:
        super().__init__("The client has hung up")


class UnauthenticatedError(PostroomError):
    """The request has no login, or one that is not valid (any more)."""

    status = 401


class LoginFailedError(UnauthenticatedError):
    """A login attempt failed. The text is the same for every reason, so that it does not tell which names exist."""

    def __init__(self) -> None:
        super().__init__("Login failed", ["Invalid username or password"])


class ForbiddenError(PostroomError):
    """The caller is logged in but may not do this."""

    status = 403


class NotFoundError(PostroomError):
    """The object does not exist, or not in the domain of the path."""

    status = 404

    @classmethod
    def of(cls, thing: str, key: object) -> "NotFoundError":
        """The error for a `thing` (domain, role, user) when none has this ID or name."""
        return cls(f"There is no {thing} {key}")


class ConflictError(PostroomError):
    """The change conflicts with what is stored, and the request did not force it; nothing was changed."""

    status = 409


class TooLargeError(PostroomError):
    """The body is larger than the limit."""

    status = 413


class UnsupportedError(PostroomError):
    """The body has an encoding that is not supported."""

    status = 415


class PreconditionFailedError(PostroomError):
    """The stored object has changed since the client read it; nothing was changed."""

    status = 412


class ThrottledError(PostroomError):
    """Too many attempts, or too many at once; this one was not checked. The next may follow after `seconds`."""

    status = 429

    def __init__(self, reason: str, seconds: int) -> None:
        super().__init__(f"{reason}; try again in {seconds} s")
        self.retry_after = seconds


def too_many_logins() -> ThrottledError:
    """The error when too many logins wait for their password check."""
    return ThrottledError("Too many logins at once", 1)


class UnavailableError(PostroomError):
    """Something that postroom needs (the database, a directory server) is unavailable; a retry may work."""

    status = 503


class BusyError(UnavailableError):
    """The service is overloaded; nothing was done."""

    retry_after = 1


class OverdueError(UnavailableError):
    """A request took too long and was cancelled. A change that had begun is stored completely or not at all."""

    retry_after = 5


class SlowBodyError(PostroomError):
    """The body of a request did not arrive in time; nothing was done."""

    status = 408


class MisconfiguredError(UnavailableError):
    """The directory is not configured, or not correctly; a retry helps only after the configuration is fixed."""
