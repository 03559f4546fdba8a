"""The users of a domain."""

from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from postroom.app.auth.passwords import check_new_password
from postroom.app.openapi.decorators import docs, json_schema, querystring_schema, response_schema
from postroom.app.transactions import users
from postroom.app.transactions.lookups import user_not_found
from postroom.app.transactions.users import Change
from postroom.app.web.etags import expected
from postroom.app.web.keys import BODY, CALLER, QUERY, context_of
from postroom.app.web.lookups import of_domain
from postroom.app.web.responses import json_document, message, path_id
from postroom.app.web.streams import send_page
from postroom.schemas.pages import LevelQuerySchema
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.users import UserListSchema, UserSchema
from postroom.schemas.user_queries import AllUsersQuerySchema, UserDeleteQuerySchema, UserListQuerySchema
from postroom.schemas.users import UserCreateSchema, UserPatchSchema
from postroom.schemas.values.queries import UserQuery
from postroom.schemas.values.users import STATUS_CONTACT, STATUS_NORMAL, STATUS_SHARED
from postroom.storage.database import Database
from postroom.storage.long_pages import LongPage, select_long_page
from postroom.storage.searches import FEW
from postroom.storage.user_list import select_users
from postroom.storage.users import select_user

TAGS = ["Domain Admin/Users"]


@docs(tags=TAGS, summary="The users of a domain, page by page", operationId="getUsers")
@querystring_schema(UserListQuerySchema())
@response_schema(UserListSchema(), 200, description="The page, and how many users match in all")
async def list_users(request: web.Request) -> web.StreamResponse:
    """Filters, searches and sorts by the parameters. `count` is the number of all users that match, not of the page."""
    return await send_page(request, await of_domain(request, _select(request)))


@docs(tags=["System Admin/Domains"], summary="The users of all domains, page by page", operationId="getAllUsers")
@querystring_schema(AllUsersQuerySchema())
@response_schema(UserListSchema(), 200, description="The page, and how many users match in all domains")
async def list_all_users(request: web.Request) -> web.StreamResponse:
    """Takes the parameters of the list of one domain, and also `orgID`."""
    page = await _select(request)(context_of(request).database, None)
    # None stands for an unknown domain, which is impossible here: no domain is asked for.
    return await send_page(request, page or b"")


def _select(request: web.Request) -> Callable[[Database, int | None], Awaitable[bytes | LongPage | None]]:
    query: UserQuery = request[QUERY]
    select = select_users if query.limit <= FEW else select_long_page
    return partial(select, query=query, caller=request[CALLER].user_id)


@docs(tags=TAGS, summary="Create a user, a shared mailbox or a contact", operationId="postUser")
@json_schema(UserCreateSchema())
@response_schema(UserSchema(), 201, description="The new user as it is stored")
async def create_user(request: web.Request) -> web.Response:
    """`status` 4 creates a shared mailbox, 5 a contact; any other user needs a password. The create defaults fill in
    what the request leaves out. Nothing is stored when anything is wrong.
    """
    context, data = context_of(request), request[BODY]
    hashed = None
    if data.get("status", STATUS_NORMAL) not in (STATUS_SHARED, STATUS_CONTACT) or data.get("password") is not None:
        # Hashed before the transaction begins, because there is only one writer, and it must not wait.
        minimum = context.config.password_min_length
        password = check_new_password(data.get("password"), minimum, "password")
        hashed = await context.passwords.hash(password, request[CALLER].user_id)
    document = await context.database.write(
        users.create_user, path_id(request, "domainID"), data, hashed, _change(request)
    )
    return json_document(document, 201, version=True)


@docs(tags=TAGS, summary="One user", operationId="getUser")
@querystring_schema(LevelQuerySchema())
@response_schema(UserSchema(), 200, description="The user, as far as `level` asks")
async def get_user(request: web.Request) -> web.Response:
    """Shows everything about the user unless `level` asks for less. The ETag comes with level 2 only; a change can send
    it back as If-Match.
    """
    domain_id, user_id = path_id(request, "domainID"), path_id(request, "userID")
    level = request[QUERY].get("level", 2)
    document = await select_user(context_of(request).database, domain_id, user_id, level)
    if document is None:
        raise user_not_found(domain_id, user_id)
    # If-Match is checked against the whole user (level 2), so only level 2 has an ETag.
    return json_document(document, version=level == 2)


@docs(tags=TAGS, summary="Change a user", operationId="patchUser")
@json_schema(UserPatchSchema())
@response_schema(UserSchema(), 200, description="The user as it is stored now")
async def patch_user(request: web.Request) -> web.Response:
    """Changes the fields that the request names and leaves the others; null clears a field. A client may send the whole
    user back as it was read. Nothing is stored when anything is wrong.
    """
    document = await context_of(request).database.write(
        users.patch_user,
        path_id(request, "domainID"),
        path_id(request, "userID"),
        request[BODY],
        _change(request),
    )
    return json_document(document, version=True)


@docs(tags=TAGS, summary="Delete a user", operationId="deleteUser")
@querystring_schema(UserDeleteQuerySchema())
@response_schema(MessageSchema(), 200, description="The user is deleted")
async def delete_user(request: web.Request) -> web.Response:
    """Removes the user, everything that belongs to them, and all access that was granted to them."""
    username = await context_of(request).database.write(
        users.delete_user,
        path_id(request, "domainID"),
        path_id(request, "userID"),
        expected(request),
        request[CALLER],
    )
    return message(f"{username} has been deleted")


def _change(request: web.Request) -> Change:
    caller = request[CALLER]
    return Change(caller, caller.grants.system_write, context_of(request).now(), expected(request))
