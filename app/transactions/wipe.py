"""The states of a remote wipe. Pure functions: no database, no web."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

#: Of the device as a whole; then the same three for the account on it alone.
UNKNOWN, FINE, PENDING, REQUESTED, WIPED = 0, 1, 2, 4, 8
ACCOUNT_PENDING, ACCOUNT_REQUESTED, ACCOUNT_WIPED = 16, 32, 64

#: Asked for and not done yet.
UNDER_WAY: Final = (PENDING, REQUESTED, ACCOUNT_PENDING, ACCOUNT_REQUESTED)

_DEVICE = frozenset({PENDING, REQUESTED, WIPED})
_ACCOUNT = frozenset({ACCOUNT_PENDING, ACCOUNT_REQUESTED, ACCOUNT_WIPED})

#: What may be reported without a password, because it was given for it before: a wipe that goes on or becomes a lesser
#: one. A wipe that is done is done: another one needs the password again.
_AGREED_TO: Final[dict[int, frozenset[int]]] = {
    UNKNOWN: frozenset(),
    FINE: frozenset(),
    PENDING: _DEVICE | _ACCOUNT,
    REQUESTED: _DEVICE | _ACCOUNT,
    WIPED: frozenset({WIPED}),
    ACCOUNT_PENDING: _ACCOUNT,
    ACCOUNT_REQUESTED: _ACCOUNT,
    ACCOUNT_WIPED: frozenset({ACCOUNT_WIPED}),
}


class Kind(Enum):
    """Who says something about a device."""

    #: An administrator wants it wiped.
    REQUEST = auto()
    #: An administrator does not want it wiped, or lets it back in after a wipe.
    CANCEL = auto()
    #: An administrator removes the device.
    REMOVE = auto()
    #: The ActiveSync server tells what has become of it.
    REPORT = auto()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that may change a status; `status` is the one requested or reported."""

    kind: Kind
    status: int = UNKNOWN


def advance(status: int, event: Event) -> tuple[int, int | None]:
    """The status after the event, and the one for the history; None there when nothing has changed."""
    new = status
    if event.kind is Kind.REQUEST and status <= FINE:
        new = event.status
    elif event.kind is Kind.CANCEL and status > FINE:
        new = FINE
    elif event.kind is Kind.REMOVE:
        new = UNKNOWN
    elif event.kind is Kind.REPORT:
        # Taken as it is: the server has the device before it, and a user may take a request back over it.
        new = event.status
    return new, None if new == status else new


def needs_password(status: int, reported: int) -> bool:
    """Whether the ActiveSync server may report this only with a password: it would wipe what nobody agreed to."""
    return reported > FINE and reported not in _AGREED_TO[status]
