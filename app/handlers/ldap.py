"""The directory: configuring it, and updating users from it."""

from aiohttp import web

from postroom.app.answers import json_answer, json_document, message, path_id
from postroom.app.context import BODY, QUERY, context_of
from postroom.app.describe import docs, json_schema, querystring_schema, response_schema
from postroom.app.services.downsync import downsync_user
from postroom.schemas.answers import LdapConfigAnswerSchema, MessageSchema, UserSchema
from postroom.schemas.downsync import DownsyncQuerySchema, ForceQuerySchema
from postroom.schemas.ldap import LdapConfigSchema
from postroom.storage.ldap_configs import select_ldap_config

TAGS = ["LDAP", "System Admin/MConf"]


@docs(tags=TAGS, summary="Get the current LDAP configuration", operationId="getLDAPConf")
@response_schema(LdapConfigAnswerSchema(), 200, description="LDAP configuration returned")
async def get_config(request: web.Request) -> web.Response:
    """The configuration without its password, which never comes back."""
    row = await select_ldap_config(context_of(request).database, None)
    if row is None:
        return json_answer({"ldapAvailable": False, "data": {}})
    return json_answer({"ldapAvailable": not row.document.get("disabled", False), "data": row.document})


@docs(tags=TAGS, summary="Set new LDAP configuration", operationId="setLDAPConf")
@querystring_schema(ForceQuerySchema())
@json_schema(LdapConfigSchema())
@response_schema(MessageSchema(), 200, description="LDAP configuration updated")
async def put_config(request: web.Request) -> web.Response:
    """Tests a configuration against its server and stores it; `force` stores it without a test."""
    await context_of(request).directories.configure(None, request[BODY], force=request[QUERY]["force"])
    return message("The LDAP configuration has been stored")


@docs(tags=TAGS, summary="Remove LDAP configuration and disable service", operationId="deleteLDAPConf")
@response_schema(MessageSchema(), 200, description="LDAP deactivated")
async def delete_config(request: web.Request) -> web.Response:
    """Removes the configuration. Users linked to the directory cannot log in until there is one again."""
    await context_of(request).directories.remove(None)
    return message("The LDAP configuration has been removed")


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
    )
    return json_document(document)
