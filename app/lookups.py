"""Look up or 404, for what belongs to the user in the path."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from postroom.app.answers import path_id
from postroom.app.context import context_of
from postroom.app.services.users import user_not_found
from postroom.storage.database import Database


async def of_user(request: web.Request, select: Callable[[Database, int, int], Awaitable[bytes | None]]) -> bytes:
    """What `select(database, domain ID, user ID)` finds. Raises NotFoundError when the domain has no such user."""
    domain_id, user_id = path_id(request, "domainID"), path_id(request, "userID")
    document = await select(context_of(request).database, domain_id, user_id)
    if document is None:
        raise user_not_found(domain_id, user_id)
    return document
