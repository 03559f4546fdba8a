"""Letting callers in, and asking again inside the transaction of every write whether they may still do this.

A request is let in by what is known when its head has come. Until it writes, its body has to arrive, a password is
hashed, a directory is asked, other writes are ahead of it; meanwhile the caller may have been deleted, suspended or
have lost a role.
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
from postroom.storage.generation import find_auth_generation
from postroom.storage.lanes import ASKER
from postroom.storage.sqlite import sqlite3
from postroom.storage.writing import WRITE_CHECK

#: Whether a caller may do this.
Guard = Callable[[Caller, web.Request], bool]

_READS: Final = frozenset({"GET", "HEAD"})
_REVOKED: Final = "What you may do has changed while this was read"
_LOST: Final = "What you may do has changed while this was under way; nothing was stored"


def logged_in(_caller: Caller, _request: web.Request) -> bool:
    """Whoever is logged in."""
    return True


async def admit(request: web.Request, guard: Guard) -> Caller:
    """The caller, who passes the guard now, and has to pass it in every write of the request as well.

    Raises UnauthenticatedError, ForbiddenError.
    """
    # Of a moment before the caller is looked up, so that no change since then is overlooked.
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
    """On what grounds a caller was let in: by what was known at which moment."""

    guard: Guard
    generation: int
    since: int


ADMITTED: Final = web.RequestKey("admitted", Admission)


async def confirm(request: web.Request) -> None:
    """Looks again at the caller of a read, if authority has changed anywhere since they were let in.

    Another process may have revoked it, so the database has to have been asked since; nearly always the read itself has
    done that. What a write may do is asked inside its transaction. Raises UnauthenticatedError, ForbiddenError.
    """
    admitted = request.get(ADMITTED)
    if admitted is None or request.method not in _READS:
        return
    database = context_of(request).database
    if not database.generation.was_seen_since(admitted.since):
        await database.check()
    if database.generation.value != admitted.generation:
        caller = await identify(request)
        if not admitted.guard(caller, request) or not covers(caller.grants, request[CALLER].grants):
            raise ForbiddenError(_REVOKED)


class _Check:
    """Asks again only when somebody's authority has changed since the caller was let in; else it is one look-up."""

    __slots__ = ("_generation", "_guard", "_request")

    def __init__(self, request: web.Request, guard: Guard, generation: int) -> None:
        self._request = request
        self._guard = guard
        self._generation = generation

    def __call__(self, connection: sqlite3.Connection) -> None:
        """Raises UnauthenticatedError or ForbiddenError."""
        if find_auth_generation(connection) != self._generation:
            self._ask(connection)

    def of_task(self) -> "TaskCheck":
        """That of a task which the request starts, and which may go on for longer than its login does."""
        return TaskCheck(self._request, self._guard, self._generation)

    def _ask(self, connection: sqlite3.Connection) -> None:
        raise NotImplementedError


class RequestCheck(_Check):
    """Of a request: its caller's login still counts, meets the guard, and reaches no less than when it was let in.

    That it reaches no less makes right whatever a handler has concluded from the caller's grants before the write.
    """

    __slots__ = ()

    def _ask(self, connection: sqlite3.Connection) -> None:
        token, _ = token_of(self._request)
        caller = context_of(self._request).tokens.caller_inside(connection, token or "")
        if not self._guard(caller, self._request) or not covers(caller.grants, self._request[CALLER].grants):
            raise ForbiddenError(_LOST)


class TaskCheck(_Check):
    """Of a task: who has started it may still do so. What becomes of the login is no matter: a new password ends none.

    What the task is about is in the guard; whatever else its starter loses meanwhile has nothing to do with it.
    """

    __slots__ = ()

    def _ask(self, connection: sqlite3.Connection) -> None:
        starter = self._request[CALLER]
        now = replace(starter, grants=grants_now(connection, starter.user_id))
        if not self._guard(now, self._request):
            raise ForbiddenError("Stopped: whoever has started this may no longer do it")
