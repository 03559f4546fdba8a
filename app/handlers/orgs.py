"""Organisations."""

from functools import partial

from aiohttp import web

from postroom.app.openapi.decorators import docs, json_schema, querystring_schema, response_schema
from postroom.app.transactions import orgs
from postroom.app.web.keys import BODY, CALLER, QUERY, context_of
from postroom.app.web.lookups import of_org
from postroom.app.web.responses import json_document, message, path_id
from postroom.schemas.orgs import OrgCreateSchema, OrgListQuerySchema, OrgPatchSchema
from postroom.schemas.pages import LevelQuerySchema
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.orgs import OrgListSchema, OrgSchema
from postroom.storage.orgs import select_org, select_orgs

TAGS = ["System Admin/Organizations"]


@docs(tags=TAGS, summary="Get a list of organizations", operationId="getOrgs")
@querystring_schema(OrgListQuerySchema())
@response_schema(OrgListSchema(), 200, description="List of organizations returned")
async def list_orgs(request: web.Request) -> web.Response:
    """A page of the organisations."""
    return json_document(
        await select_orgs(context_of(request).database, request[QUERY], caller=request[CALLER].user_id)
    )


@docs(tags=TAGS, summary="Create new organization", operationId="postOrgs")
@json_schema(OrgCreateSchema())
@response_schema(OrgSchema(), 201, description="Organization created")
async def create_org(request: web.Request) -> web.Response:
    """Creates an organisation, with `domains` taken into it."""
    return json_document(await context_of(request).database.write(orgs.create_org, request[BODY]), 201)


@docs(tags=TAGS, summary="Get detailed information about an organization", operationId="getOrg")
@querystring_schema(LevelQuerySchema())
@response_schema(OrgSchema(), 200, description="Organization returned")
async def get_org(request: web.Request) -> web.Response:
    """One organisation with its domains."""
    level, caller = request[QUERY].get("level", 2), request[CALLER].user_id
    return json_document(await of_org(request, partial(select_org, level=level, caller=caller)))


@docs(tags=TAGS, summary="Update organization", operationId="patchOrg")
@json_schema(OrgPatchSchema())
@response_schema(OrgSchema(), 200, description="Organization updated")
async def patch_org(request: web.Request) -> web.Response:
    """Changes the fields given; `domains` replaces the list."""
    return json_document(
        await context_of(request).database.write(orgs.patch_org, path_id(request, "ID"), request[BODY])
    )


@docs(tags=TAGS, summary="Delete organization", operationId="deleteOrg")
@response_schema(MessageSchema(), 200, description="Organization deleted")
async def delete_org(request: web.Request) -> web.Response:
    """Removes an organisation; its domains stay and belong to none."""
    org_id = path_id(request, "ID")
    await context_of(request).database.write(orgs.delete_org, org_id)
    return message(f"Organisation {org_id} has been deleted")
