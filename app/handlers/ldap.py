"""Looking into the directory, taking people over from it, and finding out who is gone."""

from aiohttp import web

from postroom.app.openapi.decorators import docs, querystring_schema, response_schema, unhurried
from postroom.app.services import ldap_import, ldap_search, orphans
from postroom.app.services.downsync import downsync_user
from postroom.app.services.ldap_targets import Where
from postroom.app.web.keys import CALLER, QUERY, context_of
from postroom.app.web.responses import json_answer, json_document, message, path_id
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


@docs(tags=TAGS, summary="Perform LDAP user search", operationId="searchLDAP")
@querystring_schema(SearchQuerySchema())
@response_schema(LdapPeopleSchema(), 200, description="List of users returned")
async def search(request: web.Request) -> web.Response:
    """People of the directory who have the term in a search attribute, and can be imported."""
    query = request[QUERY]
    people = await ldap_search.search(
        context_of(request), _where(request), query["query"], query["limit"], show_all=query["showAll"]
    )
    return json_answer({"data": people})


@docs(tags=TAGS, summary="Import user from ldap", operationId="importLdapUser")
@querystring_schema(ImportQuerySchema())
@response_schema(
    {"anyOf": [UserSchema(), MessageSchema()]},
    200,
    description="An existing user was updated with LDAP data; a message when a contact went to several places",
)
@response_schema(UserSchema(), 201, description="A new user was created from LDAP data")
async def import_user(request: web.Request) -> web.Response:
    """Makes a user of an object, or updates the one who is linked to it."""
    query = request[QUERY]
    imported = await ldap_import.import_user(
        context_of(request),
        _where(request),
        query["ID"],
        force=query["force"],
        lang=query["lang"],
        actor=request[CALLER].user_id,
    )
    if len(imported) > 1:
        return message(ldap_import.imported_message(imported))
    return json_document(imported[0].document, 201 if imported[0].created else 200)


@docs(tags=TAGS, summary="Check status of ldap imported users", operationId="checkUsers")
@querystring_schema(WhereQuerySchema())
@response_schema(OrphansSchema(), 200, description="A list of orphaned users is returned")
@unhurried
async def check_users(request: web.Request) -> web.Response:
    """The linked users whose object is gone from the directory."""
    return json_answer({"orphaned": await orphans.show_orphans(context_of(request), _where(request))})


@docs(tags=TAGS, summary="Check status of ldap import users and delete orphaned", operationId="deleteOrphaned")
@querystring_schema(OrphansQuerySchema())
@response_schema(DeletedOrphansSchema(), 200, description="Orphaned users were deleted")
@unhurried
async def delete_orphans(request: web.Request) -> web.Response:
    """Removes them, unless they are suspiciously many."""
    query = request[QUERY]
    deleted = await orphans.delete_orphans(
        context_of(request), _where(request), request[CALLER].user_id, query.get("userID"), force=query["force"]
    )
    return json_answer({"deleted": deleted})


@docs(tags=TAGS, summary="Dump LDAP object", operationId="dumpLDAP")
@querystring_schema(DumpQuerySchema())
@response_schema(DumpSchema(), 200, description="LDAP object description returned")
async def dump(request: web.Request) -> web.Response:
    """All that the directory shows of an object, without passwords."""
    return json_answer({"data": await ldap_search.dump(context_of(request), _where(request), request[QUERY]["ID"])})


@docs(tags=["Domain Admin/Users", "LDAP"], summary="Update user from LDAP", operationId="putDownsync")
@querystring_schema(DownsyncQuerySchema())
@response_schema(UserSchema(), 200, description="Synchronization successful")
async def put_downsync(request: web.Request) -> web.Response:
    """Updates one user from the directory, after linking them to the object `ID` if that is given."""
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


def _where(request: web.Request) -> Where:
    """What the query is about: the same that the route's need looked at."""
    query, grants = request[QUERY], request[CALLER].grants
    org_id = query["organization"] if query["domain"] is None else None
    return Where(query["domain"], org_id, grants.read if request.method == "GET" else grants.write)
