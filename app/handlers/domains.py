"""Mail domains."""

from dataclasses import replace
from functools import partial

from aiohttp import web

from postroom.app.errors import ForbiddenError
from postroom.app.openapi.decorators import docs, json_schema, querystring_schema, response_schema
from postroom.app.transactions import domains
from postroom.app.web.etags import expected
from postroom.app.web.keys import BODY, CALLER, QUERY, context_of
from postroom.app.web.lookups import of_domain
from postroom.app.web.responses import json_document, message, path_id
from postroom.schemas.domains import (
    DomainCreateQuerySchema,
    DomainCreateSchema,
    DomainDeleteQuerySchema,
    DomainListQuerySchema,
    DomainPatchSchema,
)
from postroom.schemas.pages import LevelQuerySchema
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.domains import DomainListSchema, DomainSchema
from postroom.schemas.values.queries import DomainQuery
from postroom.storage.domains import select_domain, select_domains

TAGS = ["System Admin/Domains"]


@docs(tags=["Misc"], summary="The domains that the caller may read", operationId="getUserDomains")
@querystring_schema(LevelQuerySchema())
@response_schema(DomainListSchema(), 200, description="The domains, and how many there are")
async def list_own_domains(request: web.Request) -> web.Response:
    """Lists all of them in one response."""
    readable = request[CALLER].grants.read
    query = DomainQuery(
        level=request[QUERY].get("level", 1),
        limit=None,
        visible=None if readable.everything else readable.ids,
    )
    return json_document(await select_domains(context_of(request).database, query, caller=request[CALLER].user_id))


@docs(tags=TAGS, summary="Domains, page by page", operationId="getDomains")
@querystring_schema(DomainListQuerySchema())
@response_schema(DomainListSchema(), 200, description="The page, and how many domains match in all")
async def list_domains(request: web.Request) -> web.Response:
    """Lists only domains that the caller may read."""
    readable = request[CALLER].grants.read
    query = replace(request[QUERY], visible=None if readable.everything else readable.ids)
    return json_document(await select_domains(context_of(request).database, query, caller=request[CALLER].user_id))


@docs(tags=TAGS, summary="Create a domain", operationId="postDomain")
@querystring_schema(DomainCreateQuerySchema())
@json_schema(DomainCreateSchema())
@response_schema(DomainSchema(), 201, description="The new domain as it is stored")
async def create_domain(request: web.Request) -> web.Response:
    """With `createRole`, also creates a role whose holders administer the domain."""
    document = await context_of(request).database.write(
        domains.create_domain, request[BODY], request[QUERY]["createRole"]
    )
    return json_document(document, 201, version=True, version_of=domains.versioned(document))


@docs(tags=TAGS, summary="One domain", operationId="getDomainInfo")
@querystring_schema(LevelQuerySchema())
@response_schema(DomainSchema(), 200, description="The domain, as far as `level` asks")
async def get_domain(request: web.Request) -> web.Response:
    """Shows everything about the domain unless `level` asks for less. The ETag, which comes with level 2 only, does not
    change with the numbers of users.
    """
    level = request[QUERY].get("level", 2)
    document = await of_domain(request, partial(select_domain, level=level))
    return json_document(document, version=level == 2, version_of=domains.versioned(document))


@docs(tags=TAGS, summary="Change a domain", operationId="patchDomain")
@json_schema(DomainPatchSchema())
@response_schema(DomainSchema(), 200, description="The domain as it is stored now")
async def patch_domain(request: web.Request) -> web.Response:
    """Changes the fields that the request names and leaves the others. The name of a domain cannot change.
    `domainStatus` 0 brings a deleted domain back.
    """
    caller = request[CALLER]
    document = await context_of(request).database.write(
        domains.patch_domain,
        path_id(request, "domainID"),
        request[BODY],
        caller.grants.system_write,
        caller,
        expected(request),
    )
    return json_document(document, version=True, version_of=domains.versioned(document))


@docs(
    tags=TAGS,
    summary="Mark a domain as deleted, or purge it",
    operationId="deleteDomain",
)
@querystring_schema(DomainDeleteQuerySchema())
@response_schema(MessageSchema(), 200, description="The domain is marked as deleted, or removed")
async def delete_domain(request: web.Request) -> web.Response:
    """Without `purge`, marks the domain and its users as deleted: the users cannot log in, and a PATCH brings all back.
    With `purge`, removes the domain and everything in it for good.
    """
    domain_id, caller = path_id(request, "domainID"), request[CALLER]
    purge = request[QUERY]["purge"]
    # The guard admits callers who may do either of the two.
    if domain_id not in (caller.grants.purge if purge else caller.grants.org_admin_domains):
        raise ForbiddenError("You do not have the permission for this")
    database = context_of(request).database
    if purge:
        await database.write(domains.purge_domain, domain_id, caller)
        return message(f"Domain {domain_id} and everything in it has been removed")
    await database.write(domains.mark_domain_deleted, domain_id, caller)
    return message(f"Domain {domain_id} has been marked as deleted")
