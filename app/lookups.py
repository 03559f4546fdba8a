"""Look up or 404, for what belongs to the domain or the user in the path."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web

from postroom.app.answers import path_id
from postroom.app.context import context_of
from postroom.app.errors import NotFoundError
from postroom.app.services.devices import user_not_found as owner_not_found
from postroom.app.services.users import no_store, user_not_found
from postroom.storage.database import Database
from postroom.storage.devices import select_owner
from postroom.storage.users import select_user_row

T = TypeVar("T")


async def owner(request: web.Request) -> None:
    """Raises NotFoundError unless the username in the path is somebody's username or alias."""
    username = request.match_info["username"]
    if await select_owner(context_of(request).database, username) is None:
        raise owner_not_found(username)


async def of_domain(request: web.Request, select: Callable[[Database, int], Awaitable[T | None]]) -> T:
    """What `select(database, domain ID)` finds. Raises NotFoundError when there is no such domain."""
    domain_id = path_id(request, "domainID")
    found = await select(context_of(request).database, domain_id)
    if found is None:
        raise NotFoundError(f"There is no domain {domain_id}")
    return found


async def of_user(request: web.Request, select: Callable[[Database, int, int], Awaitable[bytes | None]]) -> bytes:
    """What `select(database, domain ID, user ID)` finds.

    Raises NotFoundError when the domain has no such user, InvalidError when what is asked for belongs to a store and
    the user is a contact.
    """
    database = context_of(request).database
    domain_id, user_id = path_id(request, "domainID"), path_id(request, "userID")
    document = await select(database, domain_id, user_id)
    if document is None:
        exists = await select_user_row(database, domain_id, user_id) is not None
        raise no_store(user_id) if exists else user_not_found(domain_id, user_id)
    return document
