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


@docs(tags=TAGS, summary="Organisations, page by page", operationId="getOrgs")
@querystring_schema(OrgListQuerySchema())
@response_schema(OrgListSchema(), 200, description="The page, and how many organisations match in all")
async def list_orgs(request: web.Request) -> web.Response:
    """Sorts by ID unless `sort` says otherwise."""
    return json_document(
        await select_orgs(context_of(request).database, request[QUERY], caller=request[CALLER].user_id)
    )


@docs(tags=TAGS, summary="Create an organisation", operationId="postOrgs")
@json_schema(OrgCreateSchema())
@response_schema(OrgSchema(), 201, description="The new organisation as it is stored")
async def create_org(request: web.Request) -> web.Response:
    """Adds the domains in `domains` to the organisation."""
    return json_document(await context_of(request).database.write(orgs.create_org, request[BODY]), 201)


@docs(tags=TAGS, summary="One organisation", operationId="getOrg")
@querystring_schema(LevelQuerySchema())
@response_schema(OrgSchema(), 200, description="The organisation, as far as `level` asks")
async def get_org(request: web.Request) -> web.Response:
    """Shows the organisation with its domains unless `level` asks for less."""
    level, caller = request[QUERY].get("level", 2), request[CALLER].user_id
    return json_document(await of_org(request, partial(select_org, level=level, caller=caller)))


@docs(tags=TAGS, summary="Change an organisation", operationId="patchOrg")
@json_schema(OrgPatchSchema())
@response_schema(OrgSchema(), 200, description="The organisation as it is stored now")
async def patch_org(request: web.Request) -> web.Response:
    """Changes the fields that the request names. `domains` replaces the whole list: a domain that is left out belongs
    to no organisation.
    """
    return json_document(
        await context_of(request).database.write(orgs.patch_org, path_id(request, "ID"), request[BODY])
    )


@docs(tags=TAGS, summary="Delete an organisation", operationId="deleteOrg")
@response_schema(MessageSchema(), 200, description="The organisation is deleted")
async def delete_org(request: web.Request) -> web.Response:
    """Keeps its domains; they belong to no organisation from then on."""
    org_id = path_id(request, "ID")
    await context_of(request).database.write(orgs.delete_org, org_id)
    return message(f"Organisation {org_id} has been deleted")
