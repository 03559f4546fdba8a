"""Letting callers in, and asking again inside the transaction of every write whether they may still do this.

A request is let in by what is known when its head has come. Until it writes, its body has to arrive, a password is
hashed, a directory is asked, other writes are ahead of it; meanwhile the caller may have been deleted, suspended or
have lost a role.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from aiohttp import web

from postroom.app.auth.permissions import covers
from postroom.app.auth.tokens import Caller, grants_now
from postroom.app.errors import ForbiddenError
from postroom.app.web.authentication import identify, token_of
from postroom.app.web.keys import CALLER, context_of
from postroom.storage.lanes import ASKER
from postroom.storage.writing import GUARD, find_auth_generation

#: Whether a caller may do this.
Need = Callable[[Caller, web.Request], bool]

_LOST: Final = "What you may do has changed while this was under way; nothing was stored"


def logged_in(_caller: Caller, _request: web.Request) -> bool:
    """Whoever is logged in."""
    return True


async def admit(request: web.Request, need: Need) -> Caller:
    """The caller, who meets the need now, and has to meet it in every write of the request as well.

    Raises UnauthenticatedError, ForbiddenError.
    """
    # Of a moment before the caller is looked up, so that no change since then is overlooked.
    generation = context_of(request).database.auth_generation
    caller = await identify(request)
    if not need(caller, request):
        raise ForbiddenError("You do not have the permission for this")
    request[CALLER] = caller
    ASKER.set(caller.user_id)
    GUARD.set(Guard(request, need, generation))
    return caller


class _Asking:
    """Asks again only when somebody's authority has changed since the caller was let in; else it is one look-up."""

    __slots__ = ("_generation", "_need", "_request")

    def __init__(self, request: web.Request, need: Need, generation: int) -> None:
        self._request = request
        self._need = need
        self._generation = generation

    def __call__(self, connection: sqlite3.Connection) -> None:
        """Raises UnauthenticatedError or ForbiddenError."""
        if find_auth_generation(connection) != self._generation:
            self._ask(connection)

    def of_task(self) -> "TaskGuard":
        """That of a task which the request starts, and which may go on for longer than its login does."""
        return TaskGuard(self._request, self._need, self._generation)

    def _ask(self, connection: sqlite3.Connection) -> None:
        raise NotImplementedError


class Guard(_Asking):
    """Of a request: its caller's login still counts, meets the need, and reaches no less than when it was let in.

    That it reaches no less makes right whatever a handler has concluded from the caller's grants before the write.
    """

    __slots__ = ()

    def _ask(self, connection: sqlite3.Connection) -> None:
        token, _ = token_of(self._request)
        caller = context_of(self._request).tokens.caller_inside(connection, token or "")
        if not self._need(caller, self._request) or not covers(caller.grants, self._request[CALLER].grants):
            raise ForbiddenError(_LOST)


class TaskGuard(_Asking):
    """Of a task: who has started it may still do so. What becomes of the login is no matter: a new password ends none.

    What the task is about is in the need; whatever else its starter loses meanwhile has nothing to do with it.
    """

    __slots__ = ()

    def _ask(self, connection: sqlite3.Connection) -> None:
        starter = self._request[CALLER]
        now = replace(starter, grants=grants_now(connection, starter.user_id))
        if not self._need(now, self._request):
            raise ForbiddenError("Stopped: whoever has started this may no longer do it")
