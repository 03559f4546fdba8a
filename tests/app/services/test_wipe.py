"""The states of a remote wipe: every status with every event."""

import pytest

from postroom.app.transactions.wipe import Event, Kind, advance, needs_password
from postroom.schemas.devices import WIPE_STATUSES

#: event -> the status afterwards, of each of WIPE_STATUSES before
TABLE = {
    #                            0   1   2   4   8  16  32  64
    Event(Kind.REQUEST, 2):     (2,  2,  2,  4,  8, 16, 32, 64),
    Event(Kind.REQUEST, 16):   (16, 16,  2,  4,  8, 16, 32, 64),
    Event(Kind.CANCEL):         (0,  1,  1,  1,  1,  1,  1,  1),
    Event(Kind.REMOVE):         (0,  0,  0,  0,  0,  0,  0,  0),
    Event(Kind.REPORT, 0):      (0,  0,  0,  0,  0,  0,  0,  0),
    Event(Kind.REPORT, 1):      (1,  1,  1,  1,  1,  1,  1,  1),
    Event(Kind.REPORT, 2):      (2,  2,  2,  2,  2,  2,  2,  2),
    Event(Kind.REPORT, 4):      (4,  4,  4,  4,  4,  4,  4,  4),
    Event(Kind.REPORT, 8):      (8,  8,  8,  8,  8,  8,  8,  8),
    Event(Kind.REPORT, 16):    (16, 16, 16, 16, 16, 16, 16, 16),
    Event(Kind.REPORT, 32):    (32, 32, 32, 32, 32, 32, 32, 32),
    Event(Kind.REPORT, 64):    (64, 64, 64, 64, 64, 64, 64, 64),
}  # fmt: skip

#: status -> the reports that need a password
PASSWORDS = {
    0: {2, 4, 8, 16, 32, 64},
    1: {2, 4, 8, 16, 32, 64},
    2: set(),
    4: set(),
    8: {2, 4, 16, 32, 64},
    16: {2, 4, 8},
    32: {2, 4, 8},
    64: {2, 4, 8, 16, 32},
}


@pytest.mark.parametrize("event", TABLE)
@pytest.mark.parametrize("status", WIPE_STATUSES)
def test_every_status_with_every_event(status: int, event: Event) -> None:
    """An event leads to the status of the table, and into the history exactly when that is another one."""
    expected = TABLE[event][WIPE_STATUSES.index(status)]
    assert advance(status, event) == (expected, None if expected == status else expected)


@pytest.mark.parametrize("status", WIPE_STATUSES)
@pytest.mark.parametrize("reported", WIPE_STATUSES)
def test_every_wipe_is_agreed_to(status: int, reported: int) -> None:
    """A report needs a password when it starts a wipe, starts one again, or makes one of the account one of all."""
    assert needs_password(status, reported) == (reported in PASSWORDS[status])
