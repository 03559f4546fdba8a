"""Configuring the directory: the one for all, and an organisation's own."""

from aiohttp import web

from postroom.app.openapi.decorators import docs, json_schema, querystring_schema, response_schema
from postroom.app.web.keys import BODY, QUERY, context_of
from postroom.app.web.lookups import of_org
from postroom.app.web.responses import json_answer, message
from postroom.schemas.downsync import ForceQuerySchema
from postroom.schemas.ldap import LdapConfigSchema, with_defaults
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.ldap import LdapConfigAnswerSchema
from postroom.storage.ldap_configs import select_ldap_config
from postroom.storage.orgs import select_org_id

SYSTEM_TAGS = ["LDAP", "System Admin/MConf"]
ORG_TAGS = ["System Admin/Organizations", "LDAP"]


@docs(tags=SYSTEM_TAGS, summary="Get the current LDAP configuration", operationId="getLDAPConf")
@response_schema(LdapConfigAnswerSchema(), 200, description="LDAP configuration returned")
async def get_config(request: web.Request) -> web.Response:
    """The whole configuration with its defaults, but without its password, and whether the server answers now."""
    return await _get(request, None)


@docs(tags=SYSTEM_TAGS, summary="Set new LDAP configuration", operationId="setLDAPConf")
@querystring_schema(ForceQuerySchema())
@json_schema(LdapConfigSchema())
@response_schema(MessageSchema(), 200, description="LDAP configuration updated")
async def put_config(request: web.Request) -> web.Response:
    """Tests a configuration against its server and stores it; `force` stores it without a test."""
    return await _put(request, None)


@docs(tags=SYSTEM_TAGS, summary="Remove LDAP configuration and disable service", operationId="deleteLDAPConf")
@response_schema(MessageSchema(), 200, description="LDAP deactivated")
async def delete_config(request: web.Request) -> web.Response:
    """Removes the configuration. Users linked to the directory cannot log in until there is one again."""
    return await _delete(request, None)


@docs(tags=ORG_TAGS, summary="Get organization specific LDAP configuration", operationId="getOrgLDAPConf")
@response_schema(LdapConfigAnswerSchema(), 200, description="LDAP configuration returned")
async def get_org_config(request: web.Request) -> web.Response:
    """The organisation's own configuration, like the one for all; empty where that counts."""
    return await _get(request, await _org_id(request))


@docs(tags=ORG_TAGS, summary="Set organization specific LDAP configuration", operationId="setOrgLDAPConf")
@querystring_schema(ForceQuerySchema())
@json_schema(LdapConfigSchema())
@response_schema(MessageSchema(), 200, description="LDAP configuration updated")
async def put_org_config(request: web.Request) -> web.Response:
    """Tests a configuration and stores it for the organisation alone; `force` stores it without a test."""
    return await _put(request, await _org_id(request))


@docs(tags=ORG_TAGS, summary="Reset organization specific LDAP configuration", operationId="deleteOrgLDAPConf")
@response_schema(MessageSchema(), 200, description="LDAP configuration removed")
async def delete_org_config(request: web.Request) -> web.Response:
    """Removes the organisation's own configuration: from then on the one for all counts."""
    return await _delete(request, await _org_id(request))


async def _org_id(request: web.Request) -> int:
    """The organisation of the path. Raises NotFoundError."""
    return await of_org(request, select_org_id)


async def _get(request: web.Request, org_id: int | None) -> web.Response:
    context = context_of(request)
    row = await select_ldap_config(context.database, org_id)
    if row is None:
        return json_answer({"ldapAvailable": False, "data": {}})
    return json_answer({"ldapAvailable": await context.directories.answers(row), "data": with_defaults(row.document)})


async def _put(request: web.Request, org_id: int | None) -> web.Response:
    await context_of(request).directories.configure(org_id, request[BODY], force=request[QUERY]["force"])
    return message("The LDAP configuration has been stored")


async def _delete(request: web.Request, org_id: int | None) -> web.Response:
    await context_of(request).directories.remove(org_id)
    return message("The LDAP configuration has been removed")
