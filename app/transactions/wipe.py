"""The states of a remote wipe. Pure functions: no database, no web."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

#: Wipe status of the whole device; then the same three for the account on it only.
UNKNOWN, FINE, PENDING, REQUESTED, WIPED = 0, 1, 2, 4, 8
ACCOUNT_PENDING, ACCOUNT_REQUESTED, ACCOUNT_WIPED = 16, 32, 64

#: Requested, but not done yet.
UNDER_WAY: Final = (PENDING, REQUESTED, ACCOUNT_PENDING, ACCOUNT_REQUESTED)
#: Done.
DONE: Final = (WIPED, ACCOUNT_WIPED)

#: Status -> the status when the device has been told of its wipe, and when it has acknowledged it.
TOLD: Final[dict[int, int]] = {PENDING: REQUESTED, ACCOUNT_PENDING: ACCOUNT_REQUESTED}
ACKNOWLEDGED: Final[dict[int, int]] = {REQUESTED: WIPED, ACCOUNT_REQUESTED: ACCOUNT_WIPED}

_DEVICE = frozenset({PENDING, REQUESTED, WIPED})
_ACCOUNT = frozenset({ACCOUNT_PENDING, ACCOUNT_REQUESTED, ACCOUNT_WIPED})

#: Status -> what the server may report without a password, because the password was already given: progress of the
#: wipe, or a lesser wipe. After a completed wipe, another one needs the password again.
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
    """What happened to a device, and who caused it."""

    #: An administrator requests a wipe.
    REQUEST = auto()
    #: An administrator cancels the wipe, or readmits the device after a wipe.
    CANCEL = auto()
    #: An administrator removes the device.
    REMOVE = auto()
    #: The ActiveSync server reports a status.
    REPORT = auto()


@dataclass(frozen=True, slots=True)
class Event:
    """An event that may change a status; `status` is the requested or reported one."""

    kind: Kind
    status: int = UNKNOWN


def advance(status: int, event: Event) -> tuple[int, int | None]:
    """The status after the event, and the status for the history (None if nothing has changed)."""
    new = status
    if event.kind is Kind.REQUEST and status <= FINE:
        new = event.status
    elif event.kind is Kind.CANCEL and status > FINE:
        new = FINE
    elif event.kind is Kind.REMOVE:
        new = UNKNOWN
    elif event.kind is Kind.REPORT:
        # Accept any status: the server talks to the device, and a user may cancel a request through it.
        new = event.status
    return new, None if new == status else new


def needs_password(status: int, reported: int) -> bool:
    """Whether the ActiveSync server needs a password for this report, because it starts a wipe without one."""
    return reported > FINE and reported not in _AGREED_TO[status]
