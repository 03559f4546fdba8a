"""Looks up the object that the path names, or raises NotFoundError (404)."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web

from postroom.app.errors import InvalidError, NotFoundError
from postroom.app.transactions.lookups import no_store, user_not_found, username_not_found
from postroom.app.web.keys import CALLER, context_of
from postroom.app.web.responses import path_id
from postroom.storage.database import Database
from postroom.storage.devices import select_owner
from postroom.storage.users import UserRow, select_user_row

T = TypeVar("T")


async def owner(request: web.Request) -> None:
    """Raises NotFoundError unless a user has the username in the path as username or alias."""
    username = request.match_info["username"]
    if await select_owner(context_of(request).database, username) is None:
        raise username_not_found(username)


#: A query by the ID in the path; returns None when no object has that ID.
Select = Callable[[Database, int], Awaitable[T | None]]


async def of_domain(request: web.Request, select: Select[T]) -> T:
    """What `select` finds of the domain. Raises NotFoundError when there is no such domain."""
    return await _found(request, "domain", "domainID", select)


async def of_org(request: web.Request, select: Select[T]) -> T:
    """What `select` finds of the organisation. Raises NotFoundError when there is no such organisation."""
    return await _found(request, "organisation", "ID", select)


async def of_role(request: web.Request, select: Select[T]) -> T:
    """What `select` finds of the role. Raises NotFoundError when there is no such role."""
    return await _found(request, "role", "ID", select)


async def _found(request: web.Request, thing: str, parameter: str, select: Select[T]) -> T:
    number = path_id(request, parameter)
    found = await select(context_of(request).database, number)
    if found is None:
        raise NotFoundError.of(thing, number)
    return found


def place_of(request: web.Request) -> tuple[int, int]:
    """(domain ID, user ID) of whom the request is about: the user in the path, and where it names none the caller.

    Raises InvalidError for a caller without a mailbox.
    """
    if "userID" in request.match_info:
        return path_id(request, "domainID"), path_id(request, "userID")
    caller = request[CALLER]
    if caller.domain_id is None:
        raise InvalidError(f"This is about a mailbox, and {caller.username} has none")
    return caller.domain_id, caller.user_id


async def of_user_row(request: web.Request) -> UserRow:
    """The user that the request is about. Raises NotFoundError when the domain has no such user."""
    domain_id, user_id = place_of(request)
    row = await select_user_row(context_of(request).database, domain_id, user_id)
    if row is None:
        raise user_not_found(domain_id, user_id)
    return row


async def of_user(request: web.Request, select: Callable[[Database, int, int], Awaitable[bytes | None]]) -> bytes:
    """What `select(database, domain ID, user ID)` finds.

    Raises NotFoundError when the domain has no such user. Raises InvalidError when the query is about a store and the
    user is a contact, which has none.
    """
    database = context_of(request).database
    domain_id, user_id = place_of(request)
    document = await select(database, domain_id, user_id)
    if document is None:
        exists = await select_user_row(database, domain_id, user_id) is not None
        raise no_store(user_id) if exists else user_not_found(domain_id, user_id)
    return document
