"""Many changes of users in one transaction: the lines of a bulk request, each by the rules of its single operation."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final

from postroom.app.errors import NotFoundError
from postroom.app.transactions import authority, names, users
from postroom.app.transactions.lookups import find_domain_or_raise
from postroom.app.transactions.users import Change
from postroom.app.transactions.versions import Expected
from postroom.storage.engine import Connection
from postroom.storage.faults import is_unavailable
from postroom.storage.usernames import find_id_by_username
from postroom.storage.writing import savepoint, undone

#: Seconds after which a transaction begins no further line: other writers wait meanwhile.
SECONDS: Final = 0.02


@dataclass(slots=True)
class Line:
    """One line: an `action` with its `data`, loaded by the schema of the single operation."""

    number: int
    action: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    #: Whom to change or delete: an ID, or a username.
    user: int | str = 0
    allowed: Expected = None
    #: The hash of the password, once it is known.
    hashed: str | None = None
    #: Why nothing is to be done.
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a line: the user and the status of success, or the reason why nothing was done."""

    line: Line
    status: int = 0
    user_id: int | None = None
    error: Exception | None = None


#: What surrounds a line in a transaction that other lines share.
Part = Callable[[Connection], AbstractContextManager[None]]
#: Does one line.
Do = Callable[[Connection, int, Line, Change], Outcome]


def do(connection: Connection, domain_id: int, line: Line, change: Change) -> Outcome:
    """Does a line. Raises what the single operation raises; what it has changed by then has to be undone."""
    if line.error is not None:
        return Outcome(line, error=line.error)
    if line.allowed is not None:
        change = change._replace(allowed=line.allowed)
    return _ACTIONS[line.action](connection, domain_id, line, change)


def try_to_do(connection: Connection, domain_id: int, line: Line, change: Change) -> Outcome:
    """Like do(), but an error is an outcome, and nothing of that line stays."""
    return _try(savepoint, connection, domain_id, line, change)


def only_try(connection: Connection, domain_id: int, line: Line, change: Change) -> Outcome:
    """Like try_to_do(), but nothing of any line stays."""
    return _try(undone, connection, domain_id, line, change)


def do_lines(
    connection: Connection, domain_id: int, lines: Sequence[Line], change: Change, one: Do, *, stop: bool
) -> list[Outcome]:
    """Does lines in order, at least one, until the time for one transaction is over.

    With `stop`, the first line that is refused is the last.
    """
    outcomes: list[Outcome] = []
    until = time.monotonic() + SECONDS
    for line in lines:
        outcomes.append(one(connection, domain_id, line, change))
        if (stop and outcomes[-1].error is not None) or time.monotonic() > until:
            break
    return outcomes


def _try(part: Part, connection: Connection, domain_id: int, line: Line, change: Change) -> Outcome:
    try:
        with part(connection):
            return do(connection, domain_id, line, change)
    except Exception as error:
        # A failure of the database is no line's fault, and may have ended the transaction.
        if is_unavailable(error) or not connection.in_transaction:
            raise
        return Outcome(line, error=error)


def _create(connection: Connection, domain_id: int, line: Line, change: Change) -> Outcome:
    if "passwordHash" in line.data:
        # Whether the password is long enough cannot be seen, and that is no domain administrator's decision.
        authority.check_may_give_hashes(connection, change.actor, domain_id)
    return Outcome(line, 201, users.add_user(connection, domain_id, line.data, line.hashed, change))


def _patch(connection: Connection, domain_id: int, line: Line, change: Change) -> Outcome:
    user_id = _id_of(connection, domain_id, line.user)
    users.change_user(connection, domain_id, user_id, line.data, change)
    return Outcome(line, 200, user_id)


def _delete(connection: Connection, domain_id: int, line: Line, change: Change) -> Outcome:
    user_id = _id_of(connection, domain_id, line.user)
    users.delete_user(connection, domain_id, user_id, change.allowed, change.actor)
    return Outcome(line, 200, user_id)


_ACTIONS: Final[Mapping[str, Do]] = {"create": _create, "patch": _patch, "delete": _delete}


def _id_of(connection: Connection, domain_id: int, user: int | str) -> int:
    if isinstance(user, int):
        return user
    domain = find_domain_or_raise(connection, domain_id)
    # The name of a contact has no domain.
    for username in dict.fromkeys((names.parse_username(user, domain), user)):
        found = find_id_by_username(connection, domain_id, username)
        if found is not None:
            return found
    raise NotFoundError(f"There is no user {user[:100]!r} in domain {domain_id}")
