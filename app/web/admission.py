"""Checks the guard when a request arrives, and again inside the transaction of every write.

The first check happens as soon as the head of the request has arrived. Before the write, the body has to arrive, a
password may be hashed, a directory queried, other writes may be ahead in the queue. In that time the caller may have
been deleted or suspended, or have lost a role.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from aiohttp import web

from postroom.app.auth.permissions import covers
from postroom.app.auth.tokens import Caller, grants_now
from postroom.app.errors import ForbiddenError, UnauthenticatedError
from postroom.app.web.authentication import identify, token_of
from postroom.app.web.keys import CALLER, context_of
from postroom.app.web.routing import READS
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
    """Every caller with a login, or a token."""
    return True


class InPerson:
    """A guard that admits logins alone, and no token: a program must not make tokens, see or end logins, or change its
    owner's password.
    """

    def __init__(self, guard: Guard) -> None:
        self.guard = guard

    def __call__(self, caller: Caller, request: web.Request) -> bool:
        return caller.token is None and self.guard(caller, request)


#: Every caller with a login.
in_person: Final = InPerson(logged_in)


class Own(InPerson):
    """A guard for what is the caller's own: it also admits users without any role, whom no other guard admits.

    `subject`: one of schemas/values/self_service.py, which the caller's domain must let its users change.
    """

    def __init__(self, subject: str | None = None) -> None:
        super().__init__(logged_in)
        self.subject = subject

    def __call__(self, caller: Caller, request: web.Request) -> bool:
        # Who is in no domain has no mailbox either: the handler says so.
        allowed = self.subject is None or caller.domain_id is None or self.subject in caller.self_service
        return allowed and super().__call__(caller, request)


#: Every caller with a login, also without a role.
own: Final = Own()


async def admit(request: web.Request, guard: Guard) -> Caller:
    """Identifies the caller and checks the guard, now and again in every write of the request.

    Raises UnauthenticatedError, ForbiddenError, ThrottledError.
    """
    context = context_of(request)
    # Read before the caller is looked up, so that no later change is missed.
    known = context.database.generation
    check = RequestCheck(request, guard, known.value, known.mark())
    caller = await identify(request)
    _require(caller, request, guard)
    request[CALLER] = caller
    ASKER.set(caller.user_id)
    WRITE_CHECK.set(check)
    return caller


def _require(caller: Caller, request: web.Request, guard: Guard) -> None:
    """Raises ForbiddenError unless the caller may use the operation."""
    token = caller.token
    if token is not None and token.read_only and request.method not in READS:
        raise ForbiddenError(f"The token {token.name} may only read")
    if isinstance(guard, InPerson) and token is not None:
        raise ForbiddenError("This needs a login: a token cannot be used for it")
    if not caller.has_role and not isinstance(guard, Own):
        raise ForbiddenError("You have no role, so you may use what is below /me and nothing else")
    if isinstance(guard, Own) and not guard(caller, request):
        raise ForbiddenError(f"The users of your domain may not change this themselves ({guard.subject})")
    if not guard(caller, request):
        raise ForbiddenError(
            "You do not have the permission for this"
            if token is None
            else f"The token {token.name} does not have the permission for this, or its owner has lost it"
        )


def _passes(guard: Guard, caller: Caller, request: web.Request) -> bool:
    return (caller.has_role or isinstance(guard, Own)) and guard(caller, request)


def dismiss(request: web.Request) -> None:
    """Forgets the caller of a request, and the check that came with them."""
    request.pop(CALLER, None)
    WRITE_CHECK.set(None)


async def may_also(request: web.Request, guard: Guard) -> bool:
    """Whether a request that nobody needs a login for has one that passes the guard. Its caller is admitted then."""
    try:
        await admit(request, guard)
    except (UnauthenticatedError, ForbiddenError):
        dismiss(request)
        return False
    return True


async def confirm() -> None:
    """Checks the caller of this request once more, if there is one. Raises UnauthenticatedError, ForbiddenError."""
    check = WRITE_CHECK.get()
    if isinstance(check, RequestCheck):
        await check.confirm()


class _Check:
    """Repeats the check only if anybody's authority has changed since the first one, or the login or token has expired;
    otherwise it is one look-up.
    """

    __slots__ = ("_generation", "_guard", "_request", "_since")

    def __init__(self, request: web.Request, guard: Guard, generation: int, since: float) -> None:
        self._request = request
        self._guard = guard
        #: What was known of all authority, and at which moment.
        self._generation = generation
        self._since = since

    def __call__(self, connection: Connection) -> None:
        """Raises UnauthenticatedError or ForbiddenError."""
        if find_auth_generation(connection) != self._generation or self._is_over():
            self._ask(connection)

    def _is_over(self) -> bool:
        caller: Caller = self._request[CALLER]
        return caller.expires <= context_of(self._request).clock.now()

    def of_task(self) -> "TaskCheck":
        """The check for a task that the request starts. The task may outlive the login."""
        return TaskCheck(self._request, self._guard, self._generation, self._since)

    def _ask(self, connection: Connection) -> None:
        raise NotImplementedError


class RequestCheck(_Check):
    """For a request: the login is still valid, passes the guard, and has no fewer grants than at the first check.

    With fewer grants, a decision that the handler took before the write could be wrong.
    """

    __slots__ = ()

    async def confirm(self) -> None:
        """The same before a response that tells something.

        Another process may have revoked the permission, so the database must have been asked since the first check, and
        just now: nearly always the read itself has done that.
        """
        context = context_of(self._request)
        known = context.database.generation
        if not known.was_seen_since(max(self._since, known.mark() - _JUST_NOW)):
            await context.database.check()
        if known.value != self._generation or self._is_over():
            self._require_no_less(await identify(self._request), _REVOKED)

    def _ask(self, connection: Connection) -> None:
        token, _ = token_of(self._request)
        self._require_no_less(context_of(self._request).tokens.caller_inside(connection, token or ""), _LOST)

    def _require_no_less(self, caller: Caller, reason: str) -> None:
        if not _passes(self._guard, caller, self._request) or not covers(caller.grants, self._request[CALLER].grants):
            raise ForbiddenError(reason)


class TaskCheck(_Check):
    """For a task: the user who started it still passes the guard. Their login may end meanwhile: the task goes on.

    The guard covers the object of the task, so other grants that the user loses meanwhile do not matter.
    """

    __slots__ = ()

    def _ask(self, connection: Connection) -> None:
        starter = self._request[CALLER]
        now = replace(starter, grants=grants_now(connection, starter, context_of(self._request).clock.now()))
        if not _passes(self._guard, now, self._request):
            raise ForbiddenError("Stopped: the user who started this is no longer allowed to do it")
