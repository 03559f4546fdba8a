"""Who makes a request, for the record of what it changes."""

from aiohttp import web

from postroom.app.auth.operator import Operator
from postroom.app.logs import REQUEST_ID
from postroom.app.web.keys import CALLER
from postroom.app.web.routing import AddressOr, Guard
from postroom.app.web.trust import address_of
from postroom.storage.audit.record import Author


class RequestAuthor:
    """The author of what a request writes: the caller, as soon as there is one."""

    __slots__ = ("_guard", "_operation", "_request")

    def __init__(self, request: web.Request, operation: str, guard: Guard) -> None:
        self._request = request
        self._operation = operation
        self._guard = guard

    def __call__(self) -> Author:
        """Whoever it is now."""
        caller = self._request.get(CALLER)
        about = self._operation, address_of(self._request), REQUEST_ID.get()
        if caller is None:
            # Without a login, some requests are trusted by their address; what others cause is done by the service.
            return Author("address" if isinstance(self._guard, AddressOr) else "service", *about)
        if isinstance(caller, Operator):
            return caller.author
        who = caller.user_id, caller.username
        if caller.token is None:
            return Author("session", *about, *who)
        return Author("token", *about, *who, caller.token.id, caller.token.name)


def operation_of(handler: object) -> str:
    """The ID of the operation that a handler serves; empty for what is none."""
    described: dict[str, str] = getattr(handler, "__apispec__", {})
    return described.get("operationId", "")
