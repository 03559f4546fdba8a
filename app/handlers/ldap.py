"""Searches the directory, imports people from it, and finds users whose object is gone."""

from aiohttp import web

from postroom.app.openapi.decorators import docs, querystring_schema, response_schema, unhurried
from postroom.app.services import ldap_import, ldap_search, orphans
from postroom.app.services.downsync import downsync_user
from postroom.app.services.ldap_targets import SyncTarget
from postroom.app.web.keys import CALLER, QUERY, context_of
from postroom.app.web.responses import json_document, json_response, message, path_id
from postroom.schemas.downsync import (
    DownsyncQuerySchema,
    DumpQuerySchema,
    ImportQuerySchema,
    OrphansQuerySchema,
    SearchQuerySchema,
    WhereQuerySchema,
)
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.ldap import DeletedOrphansSchema, DumpSchema, LdapPeopleSchema, OrphansSchema
from postroom.schemas.responses.users import UserSchema

TAGS = ["LDAP"]


@docs(tags=TAGS, summary="Search the directory for people", operationId="searchLDAP")
@querystring_schema(SearchQuerySchema())
@response_schema(LdapPeopleSchema(), 200, description="The people found")
async def search(request: web.Request) -> web.Response:
    """Looks for the text in the search attributes of the configuration. Leaves out people who cannot be imported unless
    `showAll` is given.
    """
    query = request[QUERY]
    people = await ldap_search.search(
        context_of(request), _where(request), query["query"], query["limit"], show_all=query["showAll"]
    )
    return json_response({"data": people})


@docs(tags=TAGS, summary="Make a user of an object of the directory", operationId="importLdapUser")
@querystring_schema(ImportQuerySchema())
@response_schema(
    {"anyOf": [UserSchema(), MessageSchema()]},
    200,
    description="The updated user, or a message when a contact was imported into several domains",
)
@response_schema(UserSchema(), 201, description="The new user as it is stored")
async def import_user(request: web.Request) -> web.Response:
    """If a user is linked to the object already, updates that user instead."""
    query = request[QUERY]
    imported = await ldap_import.import_user(
        context_of(request),
        _where(request),
        query["ID"],
        force=query["force"],
        lang=query["lang"],
        actor=request[CALLER],
    )
    if len(imported) > 1:
        return message(ldap_import.imported_message(imported))
    return json_document(imported[0].document, 201 if imported[0].created else 200)


@docs(tags=TAGS, summary="Users whose object is gone from the directory", operationId="checkUsers")
@querystring_schema(WhereQuerySchema())
@response_schema(OrphansSchema(), 200, description="The users whose object is gone")
@unhurried
async def check_users(request: web.Request) -> web.Response:
    """Looks up the object of every linked user, and changes nothing."""
    return json_response({"orphaned": await orphans.show_orphans(context_of(request), _where(request))})


@docs(tags=TAGS, summary="Delete users whose object is gone", operationId="deleteOrphaned")
@querystring_schema(OrphansQuerySchema())
@response_schema(DeletedOrphansSchema(), 200, description="The users that were deleted")
@unhurried
async def delete_orphans(request: web.Request) -> web.Response:
    """Deletes none of them if they are suspiciously many, unless `force` is given."""
    query = request[QUERY]
    deleted = await orphans.delete_orphans(
        context_of(request), _where(request), request[CALLER], query.get("userID"), force=query["force"]
    )
    return json_response({"deleted": deleted})


@docs(tags=TAGS, summary="An object of the directory as LDIF", operationId="dumpLDAP")
@querystring_schema(DumpQuerySchema())
@response_schema(DumpSchema(), 200, description="The object as LDIF text")
async def dump(request: web.Request) -> web.Response:
    """Shows all attributes that postroom may read in the directory, without passwords."""
    return json_response({"data": await ldap_search.dump(context_of(request), _where(request), request[QUERY]["ID"])})


@docs(tags=["Domain Admin/Users", "LDAP"], summary="Update one user from the directory", operationId="putDownsync")
@querystring_schema(DownsyncQuerySchema())
@response_schema(UserSchema(), 200, description="The user as it is stored now")
async def put_downsync(request: web.Request) -> web.Response:
    """With `ID`, links the user to that object first; a user without a link needs it. If the object is gone or the
    directory cannot be reached, the user stays unchanged.
    """
    query = request[QUERY]
    document = await downsync_user(
        context_of(request),
        path_id(request, "domainID"),
        path_id(request, "userID"),
        query.get("ID"),
        query["lang"],
        request[CALLER],
    )
    return json_document(document)


def _where(request: web.Request) -> SyncTarget:
    """The domains that the query is about, the same that the route's guard has checked."""
    query, grants = request[QUERY], request[CALLER].grants
    org_id = query["organization"] if query["domain"] is None else None
    return SyncTarget(query["domain"], org_id, grants.read if request.method == "GET" else grants.write)
