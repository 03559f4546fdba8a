"""Checks the guard when a request arrives, and again inside the transaction of every write.

The first check happens as soon as the head of the request has arrived. Before the write, the body has to arrive, a
password may be hashed, a directory queried, other writes may be ahead in the queue. In that time the caller may have
been deleted or suspended, or have lost a role.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from aiohttp import web

from postroom.app.auth.permissions import covers
from postroom.app.auth.tokens import Caller, grants_now
from postroom.app.errors import ForbiddenError
from postroom.app.web.authentication import identify, token_of
from postroom.app.web.keys import CALLER, context_of
from postroom.storage.engine import Connection
from postroom.storage.generation import find_auth_generation
from postroom.storage.lanes import ASKER
from postroom.storage.writing import WRITE_CHECK

#: Tells whether a caller may use the operation.
Guard = Callable[[Caller, web.Request], bool]

#: Seconds for which the last look at the database counts before a response goes out.
_JUST_NOW: Final = 0.1
_REVOKED: Final = "Your permissions have changed while this request was in flight"
_LOST: Final = "Your permissions have changed while this request was in flight; nothing was stored"


def logged_in(_caller: Caller, _request: web.Request) -> bool:
    """Every caller with a login."""
    return True


async def admit(request: web.Request, guard: Guard) -> Caller:
    """Identifies the caller and checks the guard, now and again in every write of the request.

    Raises UnauthenticatedError, ForbiddenError.
    """
    # Read before the caller is looked up, so that no later change is missed.
    known = context_of(request).database.generation
    generation, since = known.value, known.mark()
    caller = await identify(request)
    if not guard(caller, request):
        raise ForbiddenError("You do not have the permission for this")
    request[CALLER] = caller
    ASKER.set(caller.user_id)
    WRITE_CHECK.set(RequestCheck(request, guard, generation))
    request[ADMITTED] = Admission(guard, generation, since)
    return caller


class Admission(NamedTuple):
    """Why a caller was admitted: the guard, and what was known of all authority at which moment."""

    guard: Guard
    generation: int
    since: float


ADMITTED: Final = web.RequestKey("admitted", Admission)


async def confirm(request: web.Request) -> None:
    """Checks the caller once more if anybody's authority has changed since they were admitted.

    Another process may have revoked theirs, so the database must have been asked since then, and just now: nearly
    always the read itself has done that. Raises UnauthenticatedError, ForbiddenError.
    """
    admitted = request.get(ADMITTED)
    if admitted is None:
        return
    database = context_of(request).database
    if not database.generation.was_seen_since(max(admitted.since, database.generation.mark() - _JUST_NOW)):
        await database.check()
    if database.generation.value != admitted.generation:
        caller = await identify(request)
        _require_no_less(caller, request, admitted.guard, _REVOKED)


def _require_no_less(caller: Caller, request: web.Request, guard: Guard, reason: str) -> None:
    """Raises ForbiddenError unless the caller passes the guard with no fewer grants than when they were admitted."""
    if not guard(caller, request) or not covers(caller.grants, request[CALLER].grants):
        raise ForbiddenError(reason)


class _Check:
    """Repeats the check only if anybody's authority has changed since the first one; otherwise it is one look-up."""

    __slots__ = ("_generation", "_guard", "_request")

    def __init__(self, request: web.Request, guard: Guard, generation: int) -> None:
        self._request = request
        self._guard = guard
        self._generation = generation

    def __call__(self, connection: Connection) -> None:
        """Raises UnauthenticatedError or ForbiddenError."""
        if find_auth_generation(connection) != self._generation:
            self._ask(connection)

    def of_task(self) -> "TaskCheck":
        """The check for a task that the request starts. The task may outlive the login."""
        return TaskCheck(self._request, self._guard, self._generation)

    def _ask(self, connection: Connection) -> None:
        raise NotImplementedError


class RequestCheck(_Check):
    """For a request: the login is still valid, passes the guard, and has no fewer grants than at the first check.

    With fewer grants, a decision that the handler took before the write could be wrong.
    """

    __slots__ = ()

    def _ask(self, connection: Connection) -> None:
        token, _ = token_of(self._request)
        caller = context_of(self._request).tokens.caller_inside(connection, token or "")
        _require_no_less(caller, self._request, self._guard, _LOST)


class TaskCheck(_Check):
    """For a task: the user who started it still passes the guard. Their login may end meanwhile: the task goes on.

    The guard covers the object of the task, so other grants that the user loses meanwhile do not matter.
    """

    __slots__ = ()

    def _ask(self, connection: Connection) -> None:
        starter = self._request[CALLER]
        now = replace(starter, grants=grants_now(connection, starter.user_id))
        if not self._guard(now, self._request):
            raise ForbiddenError("Stopped: the user who started this is no longer allowed to do it")
