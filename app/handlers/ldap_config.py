"""The LDAP configuration for everyone, and those of organisations."""

from aiohttp import web

from postroom.app.openapi.decorators import docs, json_schema, querystring_schema, response_schema
from postroom.app.web.keys import BODY, QUERY, context_of
from postroom.app.web.lookups import of_org
from postroom.app.web.responses import json_response, message
from postroom.schemas.downsync import ForceQuerySchema
from postroom.schemas.ldap import LdapConfigSchema, with_defaults
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.ldap import LdapConfigAnswerSchema
from postroom.storage.ldap_configs import select_ldap_config
from postroom.storage.orgs import select_org_id

SYSTEM_TAGS = ["LDAP", "System Admin/MConf"]
ORG_TAGS = ["System Admin/Organizations", "LDAP"]


@docs(tags=SYSTEM_TAGS, summary="The LDAP configuration for everyone", operationId="getLDAPConf")
@response_schema(LdapConfigAnswerSchema(), 200, description="The configuration, and whether the server answers")
async def get_config(request: web.Request) -> web.Response:
    """Shows the configuration with its defaults but without the bind password; `data` is empty without a
    configuration. `ldapAvailable` tells whether the server answers now.
    """
    return await _get(request, None)


@docs(tags=SYSTEM_TAGS, summary="Set the LDAP configuration for everyone", operationId="setLDAPConf")
@querystring_schema(ForceQuerySchema())
@json_schema(LdapConfigSchema())
@response_schema(MessageSchema(), 200, description="The configuration is stored")
async def put_config(request: web.Request) -> web.Response:
    """Tests the configuration against its server and stores it when the test succeeds. With `force`, stores it without
    a test.
    """
    return await _put(request, None)


@docs(tags=SYSTEM_TAGS, summary="Remove the LDAP configuration for everyone", operationId="deleteLDAPConf")
@response_schema(MessageSchema(), 200, description="The configuration is removed")
async def delete_config(request: web.Request) -> web.Response:
    """Users who are linked to this directory cannot log in until there is a configuration again."""
    return await _delete(request, None)


@docs(tags=ORG_TAGS, summary="The LDAP configuration of an organisation", operationId="getOrgLDAPConf")
@response_schema(LdapConfigAnswerSchema(), 200, description="The configuration, and whether the server answers")
async def get_org_config(request: web.Request) -> web.Response:
    """Shows the organisation's own configuration; `data` is empty when the one for everyone applies."""
    return await _get(request, await _org_id(request))


@docs(tags=ORG_TAGS, summary="Set the LDAP configuration of an organisation", operationId="setOrgLDAPConf")
@querystring_schema(ForceQuerySchema())
@json_schema(LdapConfigSchema())
@response_schema(MessageSchema(), 200, description="The configuration is stored")
async def put_org_config(request: web.Request) -> web.Response:
    """Tests the configuration and stores it for this organisation alone. With `force`, stores it without a test."""
    return await _put(request, await _org_id(request))


@docs(tags=ORG_TAGS, summary="Remove the LDAP configuration of an organisation", operationId="deleteOrgLDAPConf")
@response_schema(MessageSchema(), 200, description="The configuration is removed")
async def delete_org_config(request: web.Request) -> web.Response:
    """From then on the configuration for everyone applies to the organisation."""
    return await _delete(request, await _org_id(request))


async def _org_id(request: web.Request) -> int:
    """The organisation of the path. Raises NotFoundError."""
    return await of_org(request, select_org_id)


async def _get(request: web.Request, org_id: int | None) -> web.Response:
    context = context_of(request)
    row = await select_ldap_config(context.database, org_id)
    if row is None:
        return json_response({"ldapAvailable": False, "data": {}})
    return json_response({"ldapAvailable": await context.directories.answers(row), "data": with_defaults(row.document)})


async def _put(request: web.Request, org_id: int | None) -> web.Response:
    await context_of(request).directories.configure(org_id, request[BODY], force=request[QUERY]["force"])
    return message("The LDAP configuration has been stored")


async def _delete(request: web.Request, org_id: int | None) -> web.Response:
    await context_of(request).directories.remove(org_id)
    return message("The LDAP configuration has been removed")
